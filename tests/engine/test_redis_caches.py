"""`SemanticCache` and `EmbeddingsCache` with their arguments for Redis."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import subprocess
import sys
import time

import numpy as np
import pytest
import redis
import redis.asyncio

from langcache.engine import (
    EmbeddingsCache,
    FunctionEmbedder,
    RedisStorage,
    SemanticCache,
    StorageError,
    Tag,
)

VECTOR = [0.1, 0.2, 0.3]


def embedder():
    def embed(texts):
        rows = [[1.0, len(text), text.count("e")] for text in texts]
        array = np.array(rows, np.float32)
        return array / np.linalg.norm(array, axis=1, keepdims=True)

    return FunctionEmbedder(embed, model_id="letters", dimensions=3)


@pytest.fixture
def url(redis_url, redis_prefix):
    """The URL. A cache named `redis_prefix` is removed after the test."""
    yield redis_url
    arguments = {"vectorizer": embedder(), "redis_url": redis_url, "overwrite": True}
    with SemanticCache(redis_prefix, **arguments) as cache:
        cache.delete()
    with redis.Redis.from_url(redis_url) as client, contextlib.suppress(redis.ResponseError):
        client.execute_command("FT.DROPINDEX", "_langcache:v3:2")


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


# SemanticCache


@pytest.mark.parametrize(
    "search", ["plain", pytest.param("query-engine", marks=pytest.mark.query_engine)]
)
def test_a_prompt_is_stored_in_one_round_trip(redis_url, redis_prefix, search):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix, search=search)
    fields = [{"name": "user", "type": "tag"}]
    cache = SemanticCache(storage=storage, vectorizer=embedder(), filterable_fields=fields)
    sent = []

    def count_commands(client):
        send = client.execute_command

        def counted(*args, **options):
            sent.append(args[0])
            return send(*args, **options)

        client.execute_command = counted

    async def store():
        await cache.astore("first", "a")
        count_commands(storage._connection.async_client())
        await cache.astore("p", "a")
        await cache.astore("p", "a", filters={"user": "ann"})
        await cache.astore("p", "b", filters={"user": "ann"})
        await storage.aclose()

    cache.store("first", "a")
    count_commands(storage._connection.sync_client())
    cache.store("p", "a")
    cache.store("p", "a", filters={"user": "ann"})
    cache.store("p", "b", filters={"user": "ann"})
    assert sent == ["EVALSHA"] * 3
    asyncio.run(store())
    assert sent == ["EVALSHA"] * 6


def test_a_semantic_cache_by_url_is_shared(url, redis_prefix):
    fields = [{"name": "user", "type": "tag"}]
    arguments = {"vectorizer": embedder(), "redis_url": url, "filterable_fields": fields}
    with SemanticCache(redis_prefix, **arguments) as one:
        assert isinstance(one.storage, RedisStorage)
        key = one.store("What is it?", "This", metadata={"a": [1]}, filters={"user": "ann, bob"})
        with SemanticCache(redis_prefix, **arguments) as two:
            (hit,) = two.check("What is it?", filter_expression=Tag("user") == "ann, bob")
            assert hit["key"] == key
            assert hit["response"] == "This"
            assert hit["metadata"] == {"a": [1]}
            two.update(key, response="That")
        assert one.check("What is it?")[0]["response"] == "That"
        one.clear()


def test_a_semantic_cache_can_be_used_both_ways(url, redis_prefix):
    cache = SemanticCache(redis_prefix, vectorizer=embedder(), redis_url=url, ttl=100)
    cache.store("What is it?", "This")

    async def main():
        assert (await cache.acheck("What is it?"))[0]["response"] == "This"
        await cache.astore("And that?", "That")
        assert await cache.aget_or_compute("And that?", None) == "That"
        await cache.adisconnect()

    asyncio.run(main())
    assert cache.check("What is it?")[0]["response"] == "This"
    cache.disconnect()


def test_a_client_that_was_given_is_not_closed(url, client, redis_prefix):
    with SemanticCache(redis_prefix, vectorizer=embedder(), redis_client=client) as cache:
        cache.store("What is it?", "This")
    assert cache.check("What is it?")[0]["response"] == "This"


def test_a_ttl_is_a_time_to_live_in_redis(url, client, redis_prefix):
    with SemanticCache(redis_prefix, vectorizer=embedder(), redis_url=url, ttl=100) as cache:
        key = cache.store("What is it?", "This", ttl=50)
        assert 40 < client.ttl(key) <= 50
        cache.check("What is it?")
        assert 90 < client.ttl(key) <= 100


def test_other_fields_are_refused_without_overwrite(url, redis_prefix):
    with SemanticCache(redis_prefix, vectorizer=embedder(), redis_url=url):
        pass
    other = {"filterable_fields": [{"name": "a", "type": "tag"}], "redis_url": url}
    with pytest.raises(ValueError, match="other fields"):
        SemanticCache(redis_prefix, vectorizer=embedder(), **other)
    with SemanticCache(redis_prefix, vectorizer=embedder(), overwrite=True, **other) as cache:
        cache.store("What is it?", "This", filters={"a": "b"})


def test_arguments_that_contradict_each_other_are_refused(client):
    async_client = redis.asyncio.Redis()
    for arguments, error in [
        ({"redis_client": async_client}, TypeError),
        ({"redis_client": client, "redis_url": "redis://h"}, ValueError),
        ({"connection_kwargs": {"db": 1}}, ValueError),
        ({"redis_client": client, "connection_kwargs": {"db": 1}}, ValueError),
        ({"redis_url": "redis://h", "storage": RedisStorage(sync_client=client)}, ValueError),
        ({"redis_url": "redis://127.0.0.1:1"}, StorageError),
    ]:
        with pytest.raises(error):
            SemanticCache(vectorizer=embedder(), **arguments)


def test_connection_kwargs_reach_the_connection(url, redis_prefix):
    arguments = {"redis_url": url, "connection_kwargs": {"client_name": "mine"}}
    with SemanticCache(redis_prefix, vectorizer=embedder(), **arguments) as cache:
        cache.store("What is it?", "This")
        assert cache.storage._connection.sync_client().client_getname() in ("mine", b"mine")


def test_the_engine_does_not_import_redis_before_it_is_needed():
    code = (
        "import sys, langcache.engine\n"
        "assert 'redis' not in sys.modules\n"
        "from langcache.engine import RedisStorage\n"
        "from langcache.engine.storage import RedisStorage as same\n"
        "assert RedisStorage is same and 'redis' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_extra_the_error_names_it():
    code = (
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'redis' else find(name, *a)\n"
        "import langcache.engine as engine\n"
        "for use in (lambda: engine.RedisStorage, lambda: engine.EmbeddingsCache(redis_url='redis://h')):\n"
        "    try: use()\n"
        "    except ImportError as error: assert 'needs the extra redis' in str(error), error\n"
        "    else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# EmbeddingsCache


@pytest.fixture
def embeddings(redis_url, redis_prefix):
    with EmbeddingsCache(redis_prefix, redis_url=redis_url, ttl=100) as cache:
        yield cache
        cache.clear()


def test_an_embedding_is_a_hash_under_redisvls_key_with_its_fields(
    embeddings, client, redis_prefix
):
    embeddings.set("What is ML?", "model", VECTOR, metadata={"a": 1})
    entry_id = hashlib.sha256(b"What is ML?:model").hexdigest()
    held = client.hgetall(f"{redis_prefix}:{entry_id}")
    assert held[b"entry_id"] == entry_id.encode()
    assert held[b"content"] == b"What is ML?"
    assert held[b"model_name"] == b"model"
    assert json.loads(held[b"embedding"]) == VECTOR
    assert json.loads(held[b"metadata"]) == {"a": 1}
    assert abs(float(held[b"inserted_at"]) - time.time()) < 100
    assert 90 < client.ttl(f"{redis_prefix}:{entry_id}") <= 100


def test_a_get_refreshes_the_time_to_live_and_exists_does_not(embeddings, client):
    key = embeddings.set("a", "model", VECTOR, ttl=50)
    assert embeddings.exists("a", "model")
    assert client.ttl(key) <= 50
    embeddings.get("a", "model")
    assert 50 < client.ttl(key) <= 100
    embeddings.expire(key, 7)
    assert client.ttl(key) <= 7
    client.pexpire(key, 1)
    time.sleep(0.01)
    assert embeddings.get("a", "model") is None


def test_an_embedding_may_live_for_thousands_of_years(embeddings):
    key = embeddings.set("a", "model", VECTOR, ttl=10**11)
    assert embeddings.get("a", "model")["embedding"] == VECTOR
    embeddings.expire(key, 10**11)
    assert embeddings.exists("a", "model")


def test_many_embeddings_are_set_and_read_in_order(embeddings):
    contents = [f"text {number}" for number in range(500)]
    items = [
        {"content": content, "model_name": "model", "embedding": [float(number)]}
        for number, content in enumerate(contents)
    ]
    keys = embeddings.mset(items)
    found = embeddings.mget([*contents, "absent"], "model")
    assert [each and each["embedding"] for each in found] == [
        *([float(number)] for number in range(500)),
        None,
    ]
    assert embeddings.mexists_by_keys(["absent", *keys]) == [False] + [True] * 500
    embeddings.mdrop_by_keys(keys[::2])
    assert embeddings.mexists_by_keys(keys) == [False, True] * 250
    assert embeddings.statistics.entries == 250


def test_an_item_that_redis_cannot_keep_stores_none(embeddings):
    items = [
        {"content": "a", "model_name": "model", "embedding": VECTOR},
        {"content": "b", "model_name": "model", "embedding": VECTOR, "metadata": {1: 2}},
    ]
    with pytest.raises(ValueError, match="metadata"):
        embeddings.mset(items)
    assert embeddings.mexists(["a", "b"], "model") == [False, False]


def test_keys_of_others_are_left_alone(embeddings, client, redis_prefix):
    others = [f"{redis_prefix}:other", f"{redis_prefix}x:{'0' * 64}"]
    for key in others:
        client.hset(key, "a", "b")
    embeddings.set("a", "model", VECTOR)
    assert embeddings.mget_by_keys(others) == [None, None]
    embeddings.mdrop_by_keys(others)
    embeddings.clear()
    assert client.exists(*others) == 2


def test_a_foreign_or_damaged_key_is_no_entry(embeddings, client, caplog):
    keys = [embeddings.set(content, "model", VECTOR) for content in "abc"]
    client.set(keys[0], "x")
    client.hset(keys[1], "embedding", "[0.1, 0.")
    with caplog.at_level(logging.WARNING, "langcache.engine"):
        found = embeddings.mget_by_keys(keys)
    assert found[:2] == [None, None]
    assert found[2]["embedding"] == VECTOR
    assert "skipped a key of an embeddings cache" in caplog.text


def test_an_embeddings_cache_takes_a_client_of_each_kind(redis_url, redis_prefix):
    async def main():
        async with redis.asyncio.Redis.from_url(redis_url) as async_client:
            cache = EmbeddingsCache(redis_prefix, async_redis_client=async_client)
            await cache.aset("a", "model", VECTOR)
            assert (await cache.aget("a", "model"))["embedding"] == VECTOR
            assert (await cache.astatistics()).entries == 1
            with pytest.raises(RuntimeError, match="pass a synchronous one"):
                cache.get("a", "model")
            await cache.aclear()
            assert await cache.aget("a", "model") is None
            await cache.adisconnect()
            assert await async_client.ping()

    asyncio.run(main())


def test_an_embeddings_cache_by_url_can_be_used_both_ways(redis_url, redis_prefix):
    async def main():
        async with EmbeddingsCache(redis_prefix, redis_url=redis_url) as cache:
            cache.set("a", "model", VECTOR)
            assert (await cache.amget(["a", "b"], "model"))[0]["embedding"] == VECTOR
            await cache.adrop("a", "model")
            assert not cache.exists("a", "model")

    asyncio.run(main())


def test_an_embeddings_cache_without_redis_there_says_so():
    with (
        EmbeddingsCache(redis_url="redis://127.0.0.1:1") as cache,
        pytest.raises(StorageError, match="refused"),
    ):
        cache.get("a", "model")


@pytest.mark.query_engine
def test_deleting_the_last_cache_removes_the_index(redis_url, client, redis_prefix):
    def indexes():
        found = client.execute_command("FT._LIST", NEVER_DECODE=True)
        return [name for name in found if name.startswith(redis_prefix.encode())]

    storage = RedisStorage(url=redis_url, prefix=redis_prefix)
    first, last = (
        SemanticCache(name, vectorizer=embedder(), storage=storage) for name in ("first", "last")
    )
    for cache in (first, last):
        cache.store("What is it?", cache.name)
        assert cache.check("What is it?")
    first.delete()
    assert indexes() == [f"{redis_prefix}:v3:2".encode()]
    assert last.check("What is it?")[0]["response"] == "last"
    last.delete()
    assert indexes() == []
    assert last.check("What is it?") == []
    last.store("What is it?", "again")
    assert last.check("What is it?")[0]["response"] == "again"
    assert indexes() != []

    async def delete():
        await last.adelete()
        await storage.aclose()

    asyncio.run(delete())
    assert indexes() == []


@pytest.mark.parametrize("kind", ["semantic", "embeddings"])
def test_a_loop_that_ends_closes_its_connections(url, client, redis_prefix, kind):
    if kind == "semantic":
        cache = SemanticCache(redis_prefix, vectorizer=embedder(), redis_url=url)
        call = cache.acheck
    else:
        cache = EmbeddingsCache(redis_prefix, redis_url=url)
        call = cache.astatistics
    before = len(client.client_list())
    for _ in range(5):
        asyncio.run(call("text") if kind == "semantic" else call())
    deadline = time.monotonic() + 5
    while len(client.client_list()) > before and time.monotonic() < deadline:
        pass  # the server needs a moment to see that a connection has gone
    assert len(client.client_list()) <= before
    cache.disconnect()
