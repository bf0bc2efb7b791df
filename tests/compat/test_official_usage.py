"""Programs written for the official package work with this one: each pattern in its README.

One of its examples is not valid Python: it has a positional argument after a keyword argument.
Here, the retry configuration is passed by name.
"""

import asyncio
import logging
from typing import Any

import httpx
import pytest

from langcache import LangCache, errors
from langcache.httpclient import AsyncHttpClient
from langcache.models import SearchStrategy
from langcache.utils import BackoffStrategy, RetryConfig


@pytest.fixture
def settings(server, cache_id):
    return {"server_url": server.url, "cache_id": cache_id, "api_key": "key"}


def test_save_and_search(settings):
    with LangCache(**settings) as lang_cache:
        saved = lang_cache.set(
            prompt="How does semantic caching work?", response="It compares meanings."
        )
        found = lang_cache.search(prompt="How does semantic caching work?")
        assert found.data[0].id == saved.entry_id
        assert found.model_dump()["data"][0]["search_strategy"] == "semantic"
        assert found.model_dump(by_alias=True)["data"][0]["searchStrategy"] == "semantic"


def test_save_and_search_async(settings):
    async def main():
        async with LangCache(**settings) as lang_cache:
            await lang_cache.set_async(prompt="What is a cache?", response="A memory.")
            return await lang_cache.search_async(prompt="What is a cache?")

    assert asyncio.run(main()).data[0].response == "A memory."


def test_delete_an_entry(settings):
    with LangCache(**settings) as lang_cache:
        entry_id = lang_cache.set(prompt="p", response="r").entry_id
        lang_cache.delete_by_id(entry_id=entry_id)
        assert not lang_cache.search(prompt="p").data


def test_delete_an_entry_async(settings):
    async def main():
        async with LangCache(**settings) as lang_cache:
            saved = await lang_cache.set_async(prompt="p", response="r")
            await lang_cache.delete_by_id_async(entry_id=saved.entry_id)
            return await lang_cache.search_async(prompt="p")

    assert asyncio.run(main()).data == []


def test_delete_entries(settings):
    attributes = {"language": "en", "topic": "ai"}
    with LangCache(**settings) as lang_cache:
        lang_cache.set(prompt="p", response="r", attributes=attributes)
        assert lang_cache.delete_query(attributes=attributes).deleted_entries_count == 1


def test_delete_entries_async(settings):
    async def main():
        async with LangCache(**settings) as lang_cache:
            return await lang_cache.delete_query_async(attributes={"language": "en"})

    assert asyncio.run(main()).deleted_entries_count == 0


def test_exact_and_semantic_search(settings):
    with LangCache(**settings) as lang_cache:
        lang_cache.set(prompt="What is Redis?", response="A database.")
        found = lang_cache.search(
            prompt="what is redis?",
            search_strategies=[SearchStrategy.EXACT, SearchStrategy.SEMANTIC],
        )
    assert found.data[0].search_strategy == SearchStrategy.EXACT


def test_fault_19_the_retry_example_runs(settings):
    with LangCache(**settings) as lang_cache:
        found = lang_cache.delete_query(
            attributes={"language": "en", "topic": "ai"},
            retries=RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), False),
        )
    assert found.deleted_entries_count == 0


def test_retries_of_a_client(settings):
    with LangCache(
        retry_config=RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), False), **settings
    ) as lang_cache:
        assert lang_cache.delete_query(attributes={}).deleted_entries_count == 0


def test_errors(settings):
    with LangCache(**settings) as lang_cache, pytest.raises(errors.LangCacheError) as caught:
        lang_cache.delete_query(attributes={"not a name": "x"})
    e = caught.value
    assert e.status_code == e.raw_response.status_code == 400
    assert e.message == e.body == str(e)
    assert e.headers["content-type"] == "application/json"
    assert isinstance(e, errors.BadRequestErrorResponseContent)
    assert (e.data.status, e.data.type) == (400, "/errors/invalid-data")
    assert e.data.title
    assert e.data.detail
    assert e.data.instance


def test_a_client_with_headers_of_its_own(settings):
    http_client = httpx.Client(headers={"x-custom-header": "someValue"})
    with http_client:
        s = LangCache(client=http_client, **settings)
        assert s.search(prompt="p").data == []


def test_a_wrapped_async_client(settings):
    class CustomClient(AsyncHttpClient):
        client: AsyncHttpClient

        def __init__(self, client: AsyncHttpClient):
            self.client = client

        async def send(
            self,
            request: httpx.Request,
            *,
            stream: bool = False,
            auth: Any = httpx.USE_CLIENT_DEFAULT,
            follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
        ) -> httpx.Response:
            request.headers["Client-Level-Header"] = "added by client"
            return await self.client.send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )

        def build_request(self, method, url, **options):
            return self.client.build_request(method, url, **options)

    seen = []

    async def remember(request):
        seen.append(request.headers["client-level-header"])

    async def main():
        async with httpx.AsyncClient(event_hooks={"request": [remember]}) as inner:
            s = LangCache(async_client=CustomClient(inner), **settings)
            return await s.search_async(prompt="p")

    assert asyncio.run(main()).data == []
    assert seen == ["added by client"]


def test_a_debug_logger(settings, caplog):
    with (
        caplog.at_level(logging.DEBUG),
        LangCache(debug_logger=logging.getLogger("my-app"), **settings) as s,
    ):
        s.search(prompt="p")
    assert [r.name for r in caplog.records if "attempt 1" in r.getMessage()] == ["my-app"]


def test_a_callable_key(settings):
    with LangCache(**{**settings, "api_key": lambda: "made-on-demand"}) as s:
        assert s.search(prompt="p").data == []
