"""The integrations of LangChain and LangGraph work with their newest releases.

They bring some forty packages, so they are installed into an environment of their own, from the
package registry. `.ci/all` does the same with the oldest releases that are supported.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from own_environments import needs_uv, run_tests

TESTS = Path(__file__).parent / "with_langchain"
NEWEST = [
    "langchain-core==1.8.3",
    "langchain==1.5.2",
    "langgraph==1.2.24",
    "langchain-tests==1.1.9",
]


@needs_uv
@pytest.mark.skipif(sys.version_info < (3, 11), reason="these releases need Python 3.11")
def test_the_newest_releases(tmp_path):
    run_tests(TESTS, NEWEST, "langchain,langgraph", tmp_path, "-o", "asyncio_mode=auto")


@pytest.mark.skipif(find_spec("langchain_core") is not None, reason="LangChain is installed here")
@pytest.mark.parametrize("name", ["langchain", "langgraph"])
def test_without_its_library_the_import_names_the_extra(name):
    with pytest.raises(ImportError, match=f'needs the extra {name}; see "Install"'):
        __import__(f"langcache.integrations.{name}")
