import gc
import itertools
import os
import sys
from pathlib import Path

import certifi
import pytest
from hypothesis import HealthCheck, settings
from langcache_mockserver import MockServer
from redis_servers import (  # noqa: F401 - fixtures for all
    free_port,
    own_redis_client,
    query_engine_url,
    redis_prefix,
    redis_url,
    shared_redis_url,
    start_cluster,
    start_redis,
)
from upstream import upstream  # noqa: F401 - a fixture for all

from langcache import LangCache

_numbers = itertools.count()

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Without bytecode in files, every process that a test starts compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_LONGEST = {"test_langchain_releases.py", "test_litellm_releases.py", "test_official_package.py"}


def pytest_collection_modifyitems(items):
    """Begin with the tests that run others in environments of their own, as they take longest."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


def pytest_collection_finish():
    """Spare the garbage collector the thousands of tests, which stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def few_certificates(tmp_path_factory):
    """Let HTTP clients load one certificate instead of all, which takes each of them 30 ms."""
    file = tmp_path_factory.mktemp("certificates") / "cacert.pem"
    end = "-----END CERTIFICATE-----\n"
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition(end)
    file.write_text(first + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        yield


@pytest.fixture(scope="session")
def server():
    """A real server on a free loopback port, shared by all tests."""
    with MockServer() as running:
        yield running


@pytest.fixture
def cache_id():
    """The id of a cache that no other test uses."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def cache(server, cache_id):
    """A client of an empty cache on the real server."""
    with LangCache(server_url=server.url, cache_id=cache_id, api_key="key") as client:
        yield client
