"""What users of RedisVL's `SemanticCache` rely on."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
import redis

from langcache.engine import (
    EmbeddingsCache,
    FunctionEmbedder,
    Num,
    RedisStorage,
    SemanticCache,
    StorageError,
    Tag,
    Text,
)

FIELDS = [
    {"name": "user", "type": "tag"},
    {"name": "age", "type": "numeric"},
    {"name": "topic", "type": "text"},
]


def embedder():
    def embed(texts):
        rows = np.array([[1.0, len(text), text.count("e")] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return FunctionEmbedder(embed, model_id="letters", dimensions=3)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "plain", pytest.param("engine", marks=pytest.mark.query_engine)])
def cache(request, clock):
    """A cache with three entries, in memory or in Redis."""
    arguments = {"vectorizer": embedder(), "filterable_fields": FIELDS, "clock": clock}
    storage = None
    if request.param != "memory":
        storage = RedisStorage(
            url=request.getfixturevalue("redis_url"),
            prefix=request.getfixturevalue("redis_prefix"),
            search="plain" if request.param == "plain" else "query-engine",
            clock=clock,
        )
    cache = SemanticCache("cache", storage=storage, **arguments)
    for number, (user, topic) in enumerate([("ann", "red wine"), ("andy", "beer"), ("bob", "")]):
        clock.now = 1000.0 + number
        filters = {"user": user, "age": number, **({"topic": topic} if topic else {})}
        cache.store("Which one?", f"Answer number {number}", filters=filters)
    clock.now = 1010.0
    yield cache
    if storage:
        storage.close()


def found(cache, expression):
    hits = cache.check("Which one?", num_results=9, filter_expression=expression)
    return {int(hit["response"][-1]) for hit in hits}


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        (Num("age").between(1, 2), {1, 2}),
        (Num("age").between(0, 2, "neither"), {1}),
        (Tag("user") % "an*", {0, 1}),
        (Text("topic") % "%%bear%%", {1}),
        (Text("response") == "number 2", {2}),
        (Text("prompt") == "which", {0, 1, 2}),
        (Text("prompt") % "who*", set()),
        (Num("inserted_at") > 1000, {1, 2}),
        (Num("updated_at") <= 1001, {0, 1}),
        (~(Num("inserted_at") == 1001) & (Text("response") % "answer"), {0, 2}),
        ("@user:{ann|bob}", {0, 2}),
        ("@user:{an*} -@age:[1 1]", {0}),
        ('@topic:("red wine") | @age:[(1 +inf]', {0, 2}),
        ("@response:(number) @inserted_at:[-inf 1000]", {0}),
        ("*", {0, 1, 2}),
    ],
)
def test_a_filter_finds_its_entries(cache, expression, numbers):
    assert found(cache, expression) == numbers


def test_a_filter_expression_of_redisvl_is_understood():
    cache = SemanticCache(vectorizer=embedder(), filterable_fields=FIELDS)
    cache.store("Which one?", "Answer number 0", filters={"user": "ann"})
    foreign = type(
        "FilterExpression",
        (),
        {"__module__": "redisvl.query.filter", "__str__": lambda self: "@user:{ann}"},
    )
    assert found(cache, foreign()) == {0}


def test_no_results_are_an_empty_list(cache):
    assert cache.check("Which one?", num_results=0) == []
    assert cache.check_many(["Which one?", "And?"], num_results=0) == [[], []]
    assert asyncio.run(_checked(cache)) == []


async def _checked(cache):
    hits = await cache.acheck("Which one?", num_results=0)
    if isinstance(cache.storage, RedisStorage):
        await cache.storage.aclose()
    return hits


def test_a_key_exists_in_redis_where_the_entries_are(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix)
    cache = SemanticCache("a:{b}", vectorizer=embedder(), storage=storage, ttl=100)
    with redis.Redis.from_url(redis_url) as client:
        key = cache.store("What is it?", "This")
        assert client.exists(key)
        assert client.hget(key, "prompt") == b"What is it?"
        (hit,) = cache.check("What is it?")
        assert hit["key"] == key
        cache.update(key, response="That")
        cache.expire(key, 50)
        assert 40 < client.ttl(key) <= 50
        # A key of the form that every storage has names the same entry.
        cache.update(f"a:{{b}}:{hit['entry_id']}", response="This")
        assert cache.check("What is it?")[0]["response"] == "This"
        cache.drop(keys=[key])
        assert not client.exists(key)
    storage.close()


def test_a_cache_can_be_used_again(redis_url, redis_prefix):
    arguments = {"vectorizer": embedder(), "redis_url": redis_url}
    with SemanticCache(redis_prefix, **arguments) as cache:
        cache.store("What is it?", "This")
    try:
        assert cache.check("What is it?")[0]["response"] == "This"
        cache.disconnect()
        cache.disconnect()

        async def use():
            async with cache:
                await cache.astore("And that?", "That")
            found = await cache.acheck("And that?")
            await cache.adisconnect()
            return found[0]["response"]

        assert asyncio.run(use()) == "That"
        cache.report_wrong("What else is it?", cache.check("What is it?")[0]["key"])
        assert cache.reports()
    finally:
        cache.delete()
        cache.disconnect()


def test_an_embeddings_cache_can_be_used_again(redis_url, redis_prefix):
    with EmbeddingsCache(redis_prefix, redis_url=redis_url) as cache:
        key = cache.set("What is it?", "model", [0.5, 1.5])
    try:
        assert cache.get("What is it?", "model")["embedding"] == [0.5, 1.5]
        cache.disconnect()
        cache.disconnect()

        async def use():
            async with cache:
                assert await cache.aexists_by_key(key)
            found = await cache.aget("What is it?", "model")
            await cache.adisconnect()
            return found["embedding"]

        assert asyncio.run(use()) == [0.5, 1.5]
    finally:
        cache.clear()
        cache.disconnect()


def test_a_cache_in_memory_can_be_used_again():
    with SemanticCache(vectorizer=embedder()) as cache:
        cache.store("What is it?", "This")
    cache.store("And that?", "That")
    assert cache.check("What is it?")[0]["response"] == "This"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_unreachable_redis_is_an_error_of_redis(free_port, asynchronous):
    storage = RedisStorage(url=f"redis://127.0.0.1:{free_port}", timeout=1)

    async def get():
        try:
            await storage.aget("ns", "1")
        finally:
            await storage.aclose()

    with pytest.raises(redis.ConnectionError) as caught:
        asyncio.run(get()) if asynchronous else storage.get("ns", "1")
    assert isinstance(caught.value, StorageError)
    with pytest.raises(redis.RedisError):
        SemanticCache(vectorizer=embedder(), redis_url=f"redis://127.0.0.1:{free_port}")


def test_a_refusal_and_a_time_out_are_errors_of_redis(start_redis):
    server = start_redis()
    storage = RedisStorage(url=server.url, timeout=0.5)
    with server.client() as client:
        client.set("_langcache:r:a", "text")
    with pytest.raises(redis.RedisError, match="WRONGTYPE") as caught:
        storage.records("a")
    assert isinstance(caught.value, StorageError)
    server.pause()
    with pytest.raises(redis.TimeoutError, match="no answer in time") as caught:
        storage.records("a")
    assert isinstance(caught.value, StorageError)
    server.resume()
    storage.close()


class Vectorizer:
    """Has what RedisVL's vectorizers have."""

    model = "letters"
    dims = 3
    dtype = "float32"

    def embed_many(self, contents):
        return [[3.0, len(each), each.count("e")] for each in contents]

    async def aembed_many(self, contents):
        return self.embed_many(contents)


def test_a_vectorizer_of_redisvl_is_accepted():
    vectorizer = Vectorizer()
    cache = SemanticCache(vectorizer=vectorizer)
    key = cache.store("What is it?", "This")
    assert cache.check("What is it?")[0]["key"] == key
    assert asyncio.run(cache.acheck("What is it?"))[0]["key"] == key
    assert cache.vectorizer.vectorizer is vectorizer
    assert cache.vectorizer.dimensions == 3
    assert cache.vectorizer.embed([]).shape == (0, 3)
    vectorizer.embed_many = lambda contents: [[1.0]]
    with pytest.raises(Exception, match="shape"):
        cache.check("What is it?")


@pytest.mark.parametrize(
    "vectorizer",
    ["invalid", "openai:", 3, object(), Vectorizer, SimpleNamespace(model="x", dims=3)],
)
def test_what_is_no_vectorizer_is_a_type_error(vectorizer):
    with pytest.raises(TypeError, match=r"^(vectorizer|embedder): "):
        SemanticCache(vectorizer=vectorizer)


def test_a_dtype_may_be_given():
    assert SemanticCache(vectorizer=embedder(), dtype="float32").check("x") == []
    with pytest.raises(ValueError, match="dtype: must be 'float32', got 'float16'"):
        SemanticCache(vectorizer=embedder(), dtype="float16")


def test_an_index_that_others_create_is_not_created(redis_url, redis_prefix):
    with pytest.raises(ValueError, match="overwrite"):
        SemanticCache(vectorizer=embedder(), overwrite=True, create_index=False)
    arguments = {"vectorizer": embedder(), "redis_url": redis_url}
    with SemanticCache(redis_prefix, **arguments) as owner:
        other = SemanticCache(
            redis_prefix, filterable_fields=FIELDS, create_index=False, **arguments
        )
        owner.store("What is it?", "This")
        assert other.check("What is it?")[0]["response"] == "This"
        with pytest.raises(ValueError, match="create_index=False"):
            other.delete()
        other.clear()
        assert owner.check("What is it?") == []
        other.disconnect()
        owner.delete()


@pytest.mark.query_engine
def test_a_storage_without_the_right_to_create_an_index_searches_without(redis_url, redis_prefix):
    arguments = {"url": redis_url, "prefix": redis_prefix}
    storage = RedisStorage(create_index=False, **arguments)
    cache = SemanticCache("cache", vectorizer=embedder(), storage=storage)
    cache.store("What is it?", "This")
    assert cache.check("What is it?")[0]["response"] == "This"
    assert storage.search_mode == "plain"
    owner = RedisStorage(**arguments)
    assert owner.prepare(3) == "query-engine"
    user = RedisStorage(create_index=False, **arguments)
    assert user.prepare(3) == "query-engine"
    for each in (storage, owner, user):
        each.close()


def test_the_index_of_a_cache_in_memory_can_be_looked_at():
    cache = SemanticCache("cache", vectorizer=embedder())
    cache.store("What is it?", "This")
    assert cache.index.name == "cache"
    assert cache.index.exists()
    assert cache.index.info() == {"index_name": "cache", "num_docs": 1}

    async def look():
        index = cache.aindex
        return index.name, await index.exists(), await index.info()

    assert asyncio.run(look()) == ("cache", True, {"index_name": "cache", "num_docs": 1})


def test_without_redisvl_the_index_in_redis_says_what_to_install(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix)
    cache = SemanticCache("cache", vectorizer=embedder(), storage=storage)
    for get in (lambda: cache.index, lambda: cache.aindex):
        with pytest.raises(ImportError, match="install redisvl"):
            get()
    storage.close()
