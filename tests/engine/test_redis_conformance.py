"""The rules of every storage backend, on a real Redis."""

from __future__ import annotations

import itertools

import pytest

from langcache.engine.storage.redis import RedisStorage
from langcache.engine.testing import StorageConformance


class OnRedis(StorageConformance):
    search = "plain"

    @pytest.fixture(autouse=True)
    def server(self, redis_url, redis_prefix):
        self.prefixes = (f"{redis_prefix}-{number}" for number in itertools.count())
        self.url = redis_url

    def make(self, clock):
        return RedisStorage(
            url=self.url, prefix=next(self.prefixes), search=self.search, clock=clock
        )


class TestPlainSearch(OnRedis):
    pass


@pytest.mark.query_engine
class TestSearchByTheQueryEngine(OnRedis):
    search = "query-engine"

    def make(self, clock):
        storage = super().make(clock)
        assert storage.prepare(3) == "query-engine"
        return storage


del OnRedis
