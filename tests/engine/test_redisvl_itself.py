"""RedisVL's own classes on a cache in Redis. `.ci/all` runs this with RedisVL installed."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import redis
import redis.asyncio

from langcache.engine import RedisStorage, SemanticCache

pytestmark = pytest.mark.query_engine
filters = pytest.importorskip("redisvl.query.filter", reason="needs redisvl; .ci/all runs this")

FIELDS = [
    {"name": "user", "type": "tag"},
    {"name": "age", "type": "numeric"},
    {"name": "topic", "type": "text"},
]


def vectorizer():
    from redisvl.utils.vectorize import CustomVectorizer

    return CustomVectorizer(embed=lambda text, **_: [3.0, float(len(text)), 1.0])


@pytest.fixture
def cache(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix)
    cache = SemanticCache(
        "cache", vectorizer=vectorizer(), storage=storage, filterable_fields=FIELDS
    )
    cache.store("What?", "This", filters={"user": "ann, b|c", "age": 3, "topic": "red wine"})
    yield cache
    storage.close()


def test_the_index_is_redisvls(cache, redis_prefix):
    from redisvl.index import SearchIndex
    from redisvl.query import FilterQuery

    index = cache.index
    assert isinstance(index, SearchIndex)
    assert index.name == f"{redis_prefix}:v3:2"
    assert index.exists()
    assert int(index.info()["num_docs"]) == 1
    (found,) = index.query(FilterQuery(return_fields=["prompt"], filter_expression="*"))
    assert found["prompt"] == "What?"


@pytest.mark.parametrize("kind", ["url", "client", "sync client"])
def test_the_asynchronous_index_is_redisvls(redis_url, redis_prefix, kind):
    async def look():
        clients = {
            "url": {"url": redis_url},
            "client": {
                "client": redis.asyncio.Redis.from_url(redis_url),
                "sync_client": redis.Redis.from_url(redis_url),
            },
            "sync client": {"sync_client": redis.Redis.from_url(redis_url)},
        }
        storage = RedisStorage(prefix=redis_prefix, **clients[kind])
        cache = SemanticCache("cache", vectorizer=vectorizer(), storage=storage)
        index = cache.aindex
        found = (await index.exists(), type(index).__name__)
        client = index.client
        await index.disconnect()
        await client.aclose()
        await storage.aclose()
        return found

    assert asyncio.run(look()) == (True, "AsyncSearchIndex")


def test_filters_of_redisvl_are_understood(cache):
    tag, number, text = filters.Tag("user"), filters.Num("age"), filters.Text("topic")
    matching = [
        tag == "ann, b|c",
        tag != "x",
        tag % "ann*",
        number.between(1, 5),
        (text % "wi*") & (number >= 3),
        text == "red wine",
        (tag == "x") | (text % "%%wune%%"),
        filters.Timestamp("inserted_at") > 1,
        tag == [],
    ]
    for each in matching:
        assert len(cache.check("What?", filter_expression=each)) == 1, str(each)
    for each in (number != 3, tag == "x", text == "wine red"):
        assert cache.check("What?", filter_expression=each) == [], str(each)


def test_vectors_of_a_vectorizer_are_those_of_redisvl(cache):
    vector = np.array(vectorizer().embed("What?"))
    assert cache.check(vector=vector)[0]["vector_distance"] < 1e-6
