"""The LiteLLM integration works with the oldest release it supports and with the newest.

LiteLLM brings some fifty packages and is noisy, so each release is installed into an environment
of its own, from the package registry.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from redis_servers import redis_server

ROOT = Path(__file__).parent.parent.parent
OLDEST, NEWEST = "1.80.0", "1.106.2"
# LiteLLM accepts tools only if mcp is installed.
PACKAGES = [
    "mcp",
    f"{ROOT}[litellm,redis]",
    str(ROOT / "models" / "minilm"),
    str(ROOT / "models" / "minilm_pair"),
    str(ROOT / "mockserver"),
]


needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH")
TESTS = Path(__file__).parent / "with_litellm"
SUPPORT = Path(__file__).parent.parent / "support"
REDIS_TESTS = TESTS / "test_litellm_redis.py"


in_all = pytest.mark.skipif(
    "LANGCACHE_OLDEST_RELEASES" not in os.environ, reason="takes minutes: .ci/all"
)


@needs_uv
@pytest.mark.parametrize("release", [pytest.param(OLDEST, marks=in_all), NEWEST])
def test_litellm_release(release, tmp_path):
    run_tests(release, tmp_path, str(TESTS), f"--ignore={REDIS_TESTS}")


@needs_uv
def test_litellm_on_redis(tmp_path, monkeypatch):
    # The environment of its own has no server.
    directory = str(Path(redis_server()).parent)
    monkeypatch.setenv("PATH", directory, prepend=os.pathsep)
    run_tests(NEWEST, tmp_path, str(REDIS_TESTS))


def run_tests(release, tmp_path, *which):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    requirements = [f"litellm=={release}", "pytest>=8", "hypothesis>=6", *PACKAGES]
    command = [
        *("uv", "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable),
        # Otherwise uv uses its earlier build of this tree until pyproject.toml changes.
        *("--refresh-package", "langcache", "--refresh-package", "langcache-mockserver"),
        *(part for requirement in requirements for part in ("--with", requirement)),
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
        *("-W", "error:::langcache", "-c", str(tmp_path / "pytest.ini")),
        *("--rootdir", str(tmp_path), "--confcutdir", str(TESTS)),
        *("-o", f"pythonpath={SUPPORT}", *which),
    ]
    # Otherwise LiteLLM fetches prices from the web and waits for them.
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    tests = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert " passed" in tests.stdout
    assert " skipped" not in tests.stdout


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
