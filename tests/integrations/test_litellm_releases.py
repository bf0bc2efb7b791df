"""The LiteLLM integration works with the oldest release it supports and with the newest.

LiteLLM brings some fifty packages and is noisy, so each release is installed into an environment
of its own, from the package registry.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_environments import needs_uv, run_tests
from redis_servers import redis_server

OLDEST, NEWEST = "1.80.0", "1.106.2"
TESTS = Path(__file__).parent / "with_litellm"

in_all = pytest.mark.skipif(
    "LANGCACHE_OLDEST_RELEASES" not in os.environ, reason="takes minutes: .ci/all"
)


@needs_uv
@pytest.mark.parametrize("release", [pytest.param(OLDEST, marks=in_all), NEWEST])
def test_litellm_release(release, tmp_path):
    # LiteLLM accepts tools only if mcp is installed.
    requirements = [f"litellm=={release}", "mcp", "pytest>=8", "hypothesis>=6"]
    run_tests(
        *(TESTS, requirements, "litellm,redis", tmp_path),
        # The environment of its own has no server.
        PATH=f"{Path(redis_server()).parent}{os.pathsep}{os.environ['PATH']}",
        # Otherwise LiteLLM fetches prices from the web and waits for them.
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )


@pytest.mark.skipif("litellm" in sys.modules, reason="LiteLLM is installed here")
def test_without_litellm_the_import_names_the_extra():
    with pytest.raises(ImportError, match='needs the extra litellm; see "Install"'):
        import langcache.integrations.litellm  # noqa: F401


def test_importing_the_package_of_integrations_imports_no_other_library():
    program = (
        "import sys, langcache.integrations; "
        "assert not {'litellm', 'numpy', 'httpx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
