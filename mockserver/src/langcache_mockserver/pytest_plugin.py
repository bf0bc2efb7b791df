"""The pytest plugin: a LangCache server for the tests of a project, and clients of it.

Every run of pytest imports this module, so slow imports are inside the fixtures that need them.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from langcache import LangCache
    from langcache_mockserver.controls.clock import Clock
    from langcache_mockserver.controls.faults import Faults
    from langcache_mockserver.controls.journal import Journal
    from langcache_mockserver.mock_server import MockServer

_OPTIONS = {
    "url": "base URL of a running server to use; by default one is started in this process",
    "storage": "where the server keeps entries: memory (the default) or sqlite:PATH",
    "strict": "let the server apply the service's own rules, as to declared attributes",
}
_KEY = "test"
_SERVER = pytest.StashKey["MockServer"]()


@dataclass(frozen=True)
class RemoteServer:
    """A server that runs elsewhere.

    Attributes:
        url: Its base URL.
    """

    url: str


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, each also an ini setting."""
    group = parser.getgroup("langcache", "LangCache")
    for name, description in _OPTIONS.items():
        is_flag = name == "strict"
        group.addoption(
            f"--langcache-{name}",
            action="store_true" if is_flag else "store",
            default=None,
            help=description,
        )
        kind = "bool" if is_flag else "string"
        parser.addini(f"langcache_{name}", description, type=kind, default=None)
    parser.addini(
        "langcache_attributes",
        "names of the attributes that the caches of the tests have, under the service's rules",
        type="args",
        default=[],
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """After each test, undo what it did to the server outside of its own cache."""
    try:
        return (yield)
    finally:
        server = item.config.stash.get(_SERVER, None)
        if server is not None:
            server.faults.clear()
            server.recording.stop()
            server.clock.reset()
            server.journal.clear()
            server.journal.bodies = False


@pytest.fixture(scope="session")
def langcache_server(
    pytestconfig: pytest.Config,
) -> Generator[MockServer | RemoteServer]:
    """A LangCache server, shared by the tests of a process (under pytest-xdist: of a worker).

    It listens on a free port of this machine, and has the attributes `faults`, `clock` and
    `journal`. With `--langcache-url` it is the server at that URL, which has only `url`.
    """
    url = _setting(pytestconfig, "url")
    if url:
        yield RemoteServer(str(url))
        return
    from langcache_mockserver.mock_server import MockServer

    storage = str(_setting(pytestconfig, "storage") or "memory")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and storage.startswith("sqlite:"):
        storage += f".{worker}"  # a file belongs to one process
    config = None
    if _setting(pytestconfig, "strict"):
        grants = [{"cache": "*", "actions": ["full"]}]
        config = {"caches": [], "keys": [{"token": _KEY, "grants": grants}]}
    with MockServer(storage=storage, config=config, test_controls="on") as server:
        pytestconfig.stash[_SERVER] = server
        try:
            yield server
        finally:
            del pytestconfig.stash[_SERVER]


@pytest.fixture
def langcache_cache_id(
    langcache_server: MockServer | RemoteServer, pytestconfig: pytest.Config
) -> Generator[str]:
    """The id of an empty cache that no other test uses, in any worker and any run."""
    if not isinstance(langcache_server, RemoteServer) and _setting(pytestconfig, "strict"):
        yield from _declared_cache(langcache_server, pytestconfig.getini("langcache_attributes"))
        return
    cache_id = uuid.uuid4().hex
    yield cache_id
    if isinstance(langcache_server, RemoteServer):
        with _client(langcache_server, cache_id) as client:
            client.flush()
    else:
        langcache_server.reset(cache_id)  # not with a client, which the test's faults would hit


@pytest.fixture
def langcache(
    langcache_server: MockServer | RemoteServer, langcache_cache_id: str
) -> Generator[LangCache]:
    """A client of an empty cache, for blocking calls."""
    with _client(langcache_server, langcache_cache_id) as client:
        yield client


@pytest.fixture
def async_langcache(
    langcache_server: MockServer | RemoteServer, langcache_cache_id: str
) -> Generator[LangCache]:
    """A client of the same cache as `langcache`, for async calls in any event loop."""
    with _client(langcache_server, langcache_cache_id) as client:
        yield client


@pytest.fixture
def langcache_faults(langcache_server: MockServer | RemoteServer) -> Faults:
    """The faults of the server; there are none before and after a test."""
    return _own(langcache_server).faults


@pytest.fixture
def langcache_clock(langcache_server: MockServer | RemoteServer) -> Clock:
    """The clock of the server; before and after a test it shows the system's time."""
    return _own(langcache_server).clock


@pytest.fixture
def langcache_journal(langcache_server: MockServer | RemoteServer) -> Journal:
    """The journal of the server; it is empty before and after a test."""
    return _own(langcache_server).journal


def _setting(config: pytest.Config, name: str) -> object:
    value = config.getoption(f"--langcache-{name}")
    return config.getini(f"langcache_{name}") if value is None else value


def _client(server: MockServer | RemoteServer, cache_id: str) -> LangCache:
    from langcache import LangCache

    if isinstance(server, RemoteServer):
        return LangCache(server.url, _remote_key(), cache_id)
    return LangCache(
        server.url, _KEY, cache_id, client=server.client(), async_client=server.async_client()
    )


def _declared_cache(server: MockServer, attributes: list[str]) -> Generator[str]:
    """Make a cache under the service's rules, and remove it afterwards."""
    declaration = {
        "name": "test",
        "databaseId": "default",
        "defaultSearchThreshold": 0.9,
        "defaultTtlMillis": -1,
        "attributes": attributes,
        "searchStrategies": ["semantic", "exact"],
    }
    caches = "/control/v1/caches"
    with server.client() as client:
        client.headers["authorization"] = f"Bearer {server.admin_token}"
        cache_id = client.post(caches, json=declaration).raise_for_status().json()["cacheId"]
        server.journal.clear()
        yield cache_id
        client.delete(f"{caches}/{cache_id}", params={"flush": "true"})


def _remote_key() -> str:
    return os.environ.get("LANGCACHE_API_KEY") or _KEY


def _own(server: MockServer | RemoteServer) -> MockServer:
    if isinstance(server, RemoteServer):
        pytest.skip("needs a server in this process, not one at --langcache-url")
    return server
