"""The integrations of LangChain and LangGraph work with their newest releases.

They bring some forty packages, so they are installed into an environment of their own, from the
package registry. `.ci/all` does the same with the oldest releases that are supported.
"""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = Path(__file__).parent / "with_langchain"
SUPPORT = ROOT / "tests" / "support"
REQUIREMENTS = [
    *("langchain-core==1.8.3", "langchain==1.5.2", "langgraph==1.2.24", "langchain-tests==1.1.9"),
    f"{ROOT}[langchain,langgraph]",
    *(str(ROOT / folder) for folder in ("models/minilm", "models/minilm_pair", "mockserver")),
]


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH")
def test_the_newest_releases(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [
        *("uv", "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable),
        # Otherwise uv uses its earlier build of this tree until pyproject.toml changes.
        *("--refresh-package", "langcache", "--refresh-package", "langcache-mockserver"),
        *(part for requirement in REQUIREMENTS for part in ("--with", requirement)),
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
        *("-W", "error:::langcache", "-c", str(tmp_path / "pytest.ini")),
        *("--rootdir", str(tmp_path), "--confcutdir", str(TESTS)),
        *("-o", "asyncio_mode=auto", "-o", f"pythonpath={SUPPORT}", str(TESTS)),
    ]
    tests = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=900
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert " passed" in tests.stdout
    assert " skipped" not in tests.stdout


@pytest.mark.skipif(find_spec("langchain_core") is not None, reason="LangChain is installed here")
@pytest.mark.parametrize("name", ["langchain", "langgraph"])
def test_without_its_library_the_import_names_the_extra(name):
    with pytest.raises(ImportError, match=f'needs the extra {name}; see "Install"'):
        __import__(f"langcache.integrations.{name}")
