"""Data of earlier versions in Redis: refused by default, migrated on request, never lost."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import redis
from stored_entries import EAST, SCOPE
from stored_entries import make_entry as entry

from langcache.engine import FunctionEmbedder, Num, SemanticCache, StorageError, Tag, Text
from langcache.engine.storage.redis import RedisStorage
from langcache.engine.storage.redis._keys import DEFAULT_PREFIX, FORMER_PREFIX

FILTERS = [Num("age") == 3, Text("topic") == "wine", Num("inserted_at") == 900, Tag("user") == "a"]
ATTRIBUTES = {"age": "3", "topic": "red wine", "user": "a"}


def make_old(client, prefix, namespaces=("ns", "a:{b} ü"), count=3):
    """Store what an earlier version stored."""
    storage = RedisStorage(sync_client=client, prefix=prefix)
    for namespace in namespaces:
        for number in range(count):
            storage.store(entry(str(number), namespace=namespace, attributes=ATTRIBUTES))
    storage.set_record("caches", "a", "text")
    storage.set_record("fields: x", "b", "text")
    for key in client.scan_iter(match=f"{prefix}:e:*"):
        fields = [name for name in client.hkeys(key) if name in _NEW_FIELDS or name[:1] == b"n"]
        client.hdel(key, *fields)
    for key in client.scan_iter(match=f"{prefix}:n:*"):
        client.hdel(key, "format")
    return storage


_NEW_FIELDS = {b"created", b"words"}


@pytest.fixture
def client(own_redis_client):
    """A client of an empty server."""
    own_redis_client.flushall()
    return own_redis_client


@pytest.fixture
def engine_client(start_redis):
    """A client of an empty server with the query engine."""
    with start_redis(query_engine=True).client(protocol=2) as client:
        yield client


def test_the_default_prefix_is_not_covered_by_that_of_a_cache_named_langcache():
    assert not DEFAULT_PREFIX.startswith(FORMER_PREFIX)


OPERATIONS = {
    "store": lambda storage: storage.store(entry()),
    "store_many": lambda storage: storage.store_many([entry(namespace="new"), entry()]),
    "search": lambda storage: storage.search(EAST, *SCOPE, 0.9),
    "search_top": lambda storage: storage.search_top(EAST, *SCOPE, 0.9),
    "search_filtered": lambda storage: storage.search_filtered(EAST, *SCOPE, 0.9, FILTERS[0]),
    "find_exact": lambda storage: storage.find_exact("prompt 1", *SCOPE),
    "get": lambda storage: storage.get("ns", "1"),
    "edit": lambda storage: storage.edit("ns", "1", lambda found: found),
    "entries": lambda storage: storage.entries("ns"),
    "list_entries": lambda storage: storage.list_entries("ns"),
    "namespace_size": lambda storage: storage.namespace_size("ns"),
    "namespace_bytes": lambda storage: storage.namespace_bytes("ns"),
    "delete": lambda storage: storage.delete("ns", ["1"]),
    "delete_by_attributes": lambda storage: storage.delete_by_attributes("ns", {}),
    "invalidate_namespace": lambda storage: storage.invalidate_namespace("ns"),
    "record": lambda storage: storage.record("caches", "a"),
    "records": lambda storage: storage.records("caches"),
    "set_record": lambda storage: storage.set_record("caches", "a", "other"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_data_under_the_former_default_prefix_is_not_passed_over(client, operation):
    make_old(client, FORMER_PREFIX)
    with pytest.raises(StorageError, match="langcache migrate"):
        OPERATIONS[operation](RedisStorage(sync_client=client))
    assert not list(client.scan_iter(match=f"{DEFAULT_PREFIX}*"))


def test_what_the_former_prefix_does_not_have_is_used_as_ever(client):
    make_old(client, FORMER_PREFIX)
    storage = RedisStorage(sync_client=client)
    storage.store(entry(namespace="another"))
    assert storage.search(EAST, "another", *SCOPE[1:], 0.9).entry.id == "1"
    storage.set_record("others", "a", "b")
    assert storage.records("others") == {"a": "b"}


def test_a_look_for_former_data_is_made_once(client):
    client.config_resetstat()
    storage = RedisStorage(sync_client=client)
    storage.store(entry())
    before = client.info("commandstats")["cmdstat_exists"]["calls"]
    for _ in range(3):
        storage.get("ns", "1")
    after = client.info("commandstats")["cmdstat_exists"]["calls"]
    assert before == after


def test_the_former_prefix_can_be_kept(client):
    make_old(client, FORMER_PREFIX)
    storage = RedisStorage(sync_client=client, prefix=FORMER_PREFIX)
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "0"
    assert storage.records("caches") == {"a": "text"}


@pytest.mark.parametrize("run", ["sync", "async"])
def test_a_migration_moves_everything(client, run):
    old = make_old(client, FORMER_PREFIX, count=210)
    expected = {name: list(old.entries(name)) for name in ("ns", "a:{b} ü")}
    progress = []
    storage = RedisStorage(sync_client=client)
    if run == "sync":
        done = storage.migrate(progress.append)
    else:
        done = asyncio.run(storage.amigrate(progress.append))
    assert done == (2 * 210, 2, 0)
    assert progress == sorted(progress)
    assert progress[-1] == 2 * 210
    for name, entries in expected.items():
        found = {each.id: each for each in storage.entries(name)}
        assert found == {each.id: each for each in entries}
    assert storage.records("caches") == {"a": "text"}
    assert storage.records("fields: x") == {"b": "text"}
    assert not list(client.scan_iter(match=f"{FORMER_PREFIX}:*"))
    assert storage.migrate() == (0, 0, 0)


def test_a_migration_that_was_interrupted_goes_on(client):
    old = make_old(client, FORMER_PREFIX, count=210)
    expected = {each.id for each in old.entries("ns")}

    def interrupt(count):
        raise KeyboardInterrupt

    storage = RedisStorage(sync_client=client)
    with pytest.raises(KeyboardInterrupt):
        storage.migrate(interrupt)
    with pytest.raises(StorageError, match="langcache migrate"):
        RedisStorage(sync_client=client).records("caches")
    RedisStorage(sync_client=client).migrate()
    assert {each.id for each in storage.entries("ns")} == expected


def test_a_migration_keeps_what_is_newer_and_leaves_what_is_damaged(client):
    make_old(client, FORMER_PREFIX, ["ns"])
    current = RedisStorage(sync_client=client, prefix=DEFAULT_PREFIX)
    current._former = None
    current.store(entry("1", response="newer"))
    current.set_record("caches", "a", "newer")
    client.hset(f"{FORMER_PREFIX}:e:{{ns}}:2", "response", "cut")
    storage = RedisStorage(sync_client=client)
    assert storage.migrate() == (2, 2, 1)
    assert storage.get("ns", "1").response == "newer"
    assert storage.records("caches") == {"a": "newer"}
    assert storage.get("ns", "0") is not None
    assert client.exists(f"{FORMER_PREFIX}:e:{{ns}}:2")


@pytest.mark.query_engine
@pytest.mark.parametrize("prefix", ["own", FORMER_PREFIX])
def test_entries_of_the_first_format_are_found_before_and_after_a_migration(engine_client, prefix):
    make_old(engine_client, prefix, ["ns"])
    engine_client.execute_command(
        *f"FT.CREATE {prefix}:v3 ON HASH PREFIX 1 {prefix}:e:{{ SCHEMA scope TAG".split()
    )
    storage = RedisStorage(sync_client=engine_client, prefix=prefix, search="query-engine")
    for each in FILTERS:
        assert len(storage.search_filtered(EAST, *SCOPE, 0.9, each, limit=9)) == 3
        assert storage.search_filtered(EAST, *SCOPE, 0.9, ~each, limit=9) == []
    storage.store(entry("new", attributes={"age": "4"}))
    assert storage.migrate() == (4, 0, 0)
    assert storage.migrate() == (0, 0, 0)
    for each in FILTERS[:2]:
        assert len(storage.search_filtered(EAST, *SCOPE, 0.9, each, limit=9)) == 3
        (match,) = storage.search_filtered(EAST, *SCOPE, 0.9, ~each, limit=9)
        assert match.entry.id == "new"
    assert engine_client.execute_command("FT._LIST") == [f"{prefix}:v3:2".encode()]


@pytest.mark.query_engine
def test_a_semantic_cache_goes_on_after_a_migration(engine_client):
    def embed(texts):
        return np.tile(EAST, (len(texts), 1))

    arguments = {"vectorizer": FunctionEmbedder(embed, model_id="model", dimensions=3)}
    old = RedisStorage(sync_client=engine_client, prefix=FORMER_PREFIX)
    SemanticCache("name", storage=old, **arguments).store("What is it?", "This")
    with pytest.raises(StorageError, match="langcache migrate"):
        SemanticCache("name", redis_client=engine_client, **arguments)
    assert RedisStorage(sync_client=engine_client).migrate().entries == 1
    cache = SemanticCache("name", redis_client=engine_client, **arguments)
    assert cache.check("What is it?")[0]["response"] == "This"
    assert FORMER_PREFIX.encode() not in str(engine_client.keys(f"{FORMER_PREFIX}*")).encode()


def test_a_cluster_is_migrated(start_cluster):
    node, *_ = start_cluster()
    with redis.RedisCluster(host="127.0.0.1", port=node.port) as client:
        make_old(client, FORMER_PREFIX, [f"ns{number}" for number in range(10)])
        storage = RedisStorage(sync_client=client)
        assert storage.migrate() == (30, 2, 0)
        assert storage.namespace_size("ns7") == 3
