"""LangChain's own tests of caches."""

import pytest
from langchain_tests.integration_tests.cache import AsyncCacheTestSuite, SyncCacheTestSuite

from langcache.integrations.langchain import LangCacheSemanticCache


class TestSync(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, answers):
        return LangCacheSemanticCache(answers)


class TestAsync(AsyncCacheTestSuite):
    @pytest.fixture
    def cache(self, answers):
        return LangCacheSemanticCache(answers)
