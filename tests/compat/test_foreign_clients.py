"""LangCache clients of other projects work with the server without changes.

Needs the package registry. The clients are installed into their own environments.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from langcache_mockserver import MockServer

PROGRAMS = Path(__file__).parent / "clients"
ENVIRONMENTS = {
    "old": ["langcache==0.11.1"],
    "new": ["langcache==0.14.0", "redisvl[langcache]==0.28.0", "langchain-redis[langcache]==0.2.6"],
}
CACHE_ID, BARE_CACHE_ID = "a" * 32, "b" * 32
ATTRIBUTES = ["topic", "language", "llm_string"]
STRICT = {
    "caches": [
        {"id": CACHE_ID, "attributes": ATTRIBUTES, "search_strategies": ["semantic", "exact"]},
        {"id": BARE_CACHE_ID, "search_strategies": ["semantic", "exact"]},
    ],
    "keys": [{"token": "key", "grants": [{"cache": "*", "actions": ["full"]}]}],
}
MODES = {"development": None, "strict": STRICT}

pytestmark = [
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH"),
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups"),
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="langchain-redis can't be installed"),
]


@pytest.fixture(scope="module")
def python_of(tmp_path_factory):
    """A function that returns the Python of an environment and creates it on first use."""
    made = {}

    def python_of(name):
        if name not in made:
            environment = tmp_path_factory.mktemp(name) / "venv"
            python = environment / "bin" / "python"
            make = ["uv", "venv", "--quiet", "--python", sys.executable, environment]
            install = ["uv", "pip", "install", "--quiet", "--python", python]
            subprocess.run(make, check=True, timeout=120)
            subprocess.run([*install, *ENVIRONMENTS[name]], check=True, timeout=300)
            made[name] = python
        return made[name]

    return python_of


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def run(python, program, *arguments):
    """Run a program in its own process group. Return its output and exit code."""
    process = subprocess.Popen(
        [python, "-I", PROGRAMS / program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return printed, process.returncode


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_official_package(python_of, environment, mode):
    with MockServer(config=MODES[mode]) as server:
        arguments = [server.url, CACHE_ID, "key", mode]
        assert run(python_of(environment), "official.py", *arguments) == ("works\n", 0)


def test_redisvl(python_of, mode):
    with MockServer(config=MODES[mode]) as server:
        arguments = [server.url, CACHE_ID, "key", mode, BARE_CACHE_ID]
        assert run(python_of("new"), "redisvl_cache.py", *arguments) == ("works\n", 0)


@pytest.mark.parametrize(
    ("length", "limits"), [("short", "published"), ("long", "attribute_value_length")]
)
def test_langchain(python_of, mode, length, limits):
    with MockServer(config=MODES[mode], limits=limits) as server:
        arguments = [server.url, CACHE_ID, "key", length]
        assert run(python_of("new"), "langchain_cache.py", *arguments) == ("works\n", 0)


def test_langchain_sends_longer_values_than_the_api_allows(python_of):
    with MockServer() as server:
        arguments = [server.url, CACHE_ID, "key", "long"]
        printed, code = run(python_of("new"), "langchain_cache.py", *arguments)
    assert code == 1
    assert "attributes.llm_string: must have at most 500 characters" in printed
