"""Digests of API keys, by which the proxy tells apart who may share answers."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from langcache_mockserver.domain.key_digests import KeyDigests

from langcache.engine.storage import InMemoryStorage, SQLiteStorage
from langcache.engine.storage.redis import RedisStorage

SERVERS = 4


@pytest.fixture(params=["memory", "sqlite", "redis"])
def storages(request, tmp_path):
    """The storage of each of some servers, all of which keep the same records."""
    with ExitStack() as stack:
        if request.param == "redis":
            url, prefix = map(request.getfixturevalue, ("redis_url", "redis_prefix"))
            storages = [RedisStorage(url=url, prefix=prefix) for _ in range(SERVERS)]
        elif request.param == "sqlite":
            storages = [SQLiteStorage(tmp_path / "cache.db")] * SERVERS
        else:
            storages = [InMemoryStorage()] * SERVERS
        for storage in storages:
            stack.callback(storage.close)
        yield storages


def test_servers_that_start_together_give_a_key_the_same_digest(storages, monkeypatch):
    all_have_looked = threading.Barrier(SERVERS)

    def token_hex(size):
        all_have_looked.wait(30)
        return token_of(size)

    token_of = secrets.token_hex
    monkeypatch.setattr(secrets, "token_hex", token_hex)
    with ThreadPoolExecutor(SERVERS) as pool:
        digests = list(pool.map(lambda storage: KeyDigests(storage).digest(b"key"), storages))
    assert set(digests) == {KeyDigests(storages[0]).digest(b"key")}
