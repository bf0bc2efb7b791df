"""LangCache clients of other projects work with the server without changes.

Needs the package registry. The clients are installed into their own environments.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from langcache_mockserver import MockServer

PROGRAMS = Path(__file__).parent / "clients"
ENVIRONMENTS = {
    "old": ["langcache==0.11.1"],
    "new": ["langcache==0.14.0", "redisvl[langcache]==0.28.0", "langchain-redis[langcache]==0.2.6"],
}
# What takes seconds to import.
IMPORTED = {
    "official.py": ["langcache"],
    "redisvl_cache.py": ["redisvl.extensions.cache.llm"],
    "langchain_cache.py": ["langchain_redis", "langchain_core.language_models.fake_chat_models"],
}
ENDED = re.compile(r"ended with status (-?\d+)\n")
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


class Program:
    """A program in an environment. It is started once; each of its runs is a fork of that process.

    Args:
        python: The Python of the environment.
        name: The name of its file.
    """

    def __init__(self, python, name):
        command = [python, "-I", "-Wignore::DeprecationWarning", PROGRAMS / "run_often.py"]
        self._process = subprocess.Popen(
            [*command, PROGRAMS / name, *IMPORTED[name]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments):
        """Run it and return its output and exit code."""
        guard = threading.Timer(60, self._kill)
        guard.start()
        try:
            self._process.stdin.write(f"{json.dumps(arguments)}\n")
            self._process.stdin.flush()
            printed = ""
            while line := self._process.stdout.readline():
                if ended := ENDED.fullmatch(line):
                    return printed, int(ended[1])
                printed += line
            raise AssertionError(f"it runs no more: {printed}")
        finally:
            guard.cancel()

    def _kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self):
        self._kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def run(python_of):
    """Run a program in an environment, with arguments; returns its output and exit code."""
    programs = {}

    def run(environment, name, *arguments):
        if (environment, name) not in programs:
            programs[environment, name] = Program(python_of(environment), name)
        return programs[environment, name].run(*arguments)

    yield run
    for program in programs.values():
        program.close()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_official_package(run, environment, mode):
    with MockServer(config=MODES[mode]) as server:
        arguments = [server.url, CACHE_ID, "key", mode]
        assert run(environment, "official.py", *arguments) == ("works\n", 0)


def test_redisvl(run, mode):
    with MockServer(config=MODES[mode]) as server:
        arguments = [server.url, CACHE_ID, "key", mode, BARE_CACHE_ID]
        assert run("new", "redisvl_cache.py", *arguments) == ("works\n", 0)


@pytest.mark.parametrize(
    ("length", "limits"), [("short", "published"), ("long", "attribute_value_length")]
)
def test_langchain(run, mode, length, limits):
    with MockServer(config=MODES[mode], limits=limits) as server:
        arguments = [server.url, CACHE_ID, "key", length]
        assert run("new", "langchain_cache.py", *arguments) == ("works\n", 0)


def test_langchain_sends_longer_values_than_the_api_allows(run):
    with MockServer() as server:
        arguments = [server.url, CACHE_ID, "key", "long"]
        printed, code = run("new", "langchain_cache.py", *arguments)
    assert code == 1
    assert "attributes.llm_string: must have at most 500 characters" in printed
