"""Real Redis servers for the tests of what is kept in Redis."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_numbers = itertools.count()


class RedisServer:
    """A `redis-server` of the test's own, on a free port, with its own directory."""

    def __init__(self, directory, *options):
        self.directory = directory
        self.port = unused_port()
        self._options = options
        self._process = None

    def start(self):
        command = [
            *(redis_server(), *self._options, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self.directory), "--save", "", "--logfile", "redis.log"),
            *("--repl-diskless-sync-delay", "0"),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server does not answer"
            if self._process.poll() is not None:
                # Somebody else has taken the port meanwhile, or that of the cluster's bus.
                self.port = unused_port()
                return self.start()
            time.sleep(0.02)
        return self

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def _answers(self):
        with self.client() as client:
            try:
                return client.ping()
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
        self.resume()
        self._process.terminate()
        self._process.wait()


def unused_port():
    # Well below 55536, as a node of a cluster takes the port 10000 above as well.
    for port in itertools.count(20_000 + (os.getpid() * 37 + next(_numbers)) % 20_000):
        with contextlib.closing(socket.socket()) as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def redis_server():
    """Return the path of `redis-server`, or skip the test."""
    return shutil.which("redis-server") or pytest.skip("no redis-server on the PATH")


@pytest.fixture
def free_port():
    """A port of this machine that nobody uses."""
    return unused_port()


@pytest.fixture
def start_redis(tmp_path):
    """Start a server with further options; it is stopped after the test."""
    running = []

    def start(*options):
        directory = tmp_path / f"redis-{len(running)}"
        directory.mkdir()
        server = RedisServer(directory, *options)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def own_redis_client(tmp_path_factory):
    """A client of a server that nobody else has, so one that may be flushed."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    with server.client() as client:
        yield client
    server.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """The URL of the server at LANGCACHE_TEST_REDIS_URL, else of one for all tests."""
    given = os.environ.get("LANGCACHE_TEST_REDIS_URL")
    if given:
        yield given
        return
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server.url
    server.stop()


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


@pytest.fixture
def query_engine(redis_url):
    """Skip the test where the server has no query engine."""
    with redis.Redis.from_url(redis_url) as client:
        try:
            client.execute_command("FT._LIST")
        except redis.ResponseError:
            pytest.skip(
                "the Redis server has no query engine; LANGCACHE_TEST_REDIS_URL can name one"
            )
