"""A program that uses every public name. Type checkers check it; it is never run."""

import asyncio
from collections.abc import Awaitable

import httpx
from typing_extensions import assert_type

from langcache import (
    UNSET,
    DefaultAioHttpClient,
    DefaultAsyncHttpClient,
    DefaultHttpClient,
    LangCache,
    OptionalNullable,
    RawResponse,
    errors,
    models,
)
from langcache.hooks import HookContext
from langcache.utils import BackoffStrategy, RetryConfig

RETRIES: OptionalNullable[RetryConfig] = RetryConfig(
    "backoff", BackoffStrategy(100, 2000, 2, 5000, jitter_ms=10), True, ["429", "5XX"]
)


async def key() -> str:
    return "key"


def key_or_none() -> str | None:
    return None


def blocking() -> None:
    with LangCache(
        server_url="https://example.com", api_key=key_or_none, cache_id="c", retry_config=RETRIES
    ) as cache:
        assert_type(cache, LangCache)
        stored = cache.set(prompt="p", response="r", attributes={"a": "b"}, ttl_millis=1000)
        assert_type(stored, models.SetResponse)
        assert_type(stored.entry_id, str)
        found = cache.search(
            prompt="p",
            similarity_threshold=0.9,
            search_strategies=[models.SearchStrategy.EXACT, "semantic"],
            attributes={"a": "b"},
            max_results=3,
            retries=None,
            server_url="https://elsewhere.example.com",
            timeout_ms=100,
            http_headers={"x-a": "b"},
        )
        assert_type(found, models.SearchResponse)
        for entry in found.data:
            assert_type(entry, models.CacheEntry)
            assert_type(entry.similarity, float)
            assert_type(entry.search_strategy, models.SearchStrategy)
            assert_type(entry.attributes, dict[str, str])
        talk = cache.conversational_search(prompt="p", context=["q"], retries=UNSET)
        assert_type(talk.actual_prompt, str)
        deleted = cache.delete_query(attributes={})
        assert_type(deleted.deleted_entries_count, int)
        cache.delete_by_id(entry_id="e")
        cache.flush()
        assert_type(cache.health().ok, bool)
        raw = cache.with_raw_response.search(prompt="p")
        assert_type(raw, RawResponse[models.SearchResponse])
        assert_type(raw.parsed.data, list[models.CacheEntry])
        assert_type(raw.headers, httpx.Headers)
        assert_type(raw.request_id, str | None)
        assert_type(raw.attempts, int)

        @cache.hooks.before_request
        def tag(context: HookContext, request: httpx.Request) -> None:
            request.headers["x-op"] = context.operation_id

        @cache.hooks.after_error
        async def look(
            context: HookContext,
            response: httpx.Response | None,
            error: httpx.RequestError | None,
        ) -> httpx.Response | None:
            return response

        def count(context: HookContext, response: httpx.Response) -> None:
            print(context.attempt, response.status_code)

        cache.hooks.after_success(count)


async def asynchronous() -> None:
    async with (
        DefaultAioHttpClient() as fast,
        DefaultAsyncHttpClient(proxy="http://proxy:3128") as plain,
    ):
        for http in (fast, plain):
            async with LangCache("https://example.com", api_key=key, async_client=http) as cache:
                assert_type(cache, LangCache)
                found = await cache.search_async(prompt="p")
                assert_type(found, models.SearchResponse)
                pending: Awaitable[models.SetResponse] = cache.set_async(prompt="p", response="r")
                await pending
                raw = await cache.with_raw_response.set_async(prompt="p", response="r")
                assert_type(raw.parsed.entry_id, str)
                await cache.flush_async()


def failing(cache: LangCache) -> None:
    try:
        cache.search(prompt="p")
    except errors.BadRequestErrorResponseContent as error:
        assert_type(error.data, errors.BadRequestErrorResponseContentData)
        assert_type(error.data.type, models.BadRequestErrorType)
        assert_type(error.data.fields, list[models.FieldError] | None)
    except errors.ResourceUnavailableErrorResponseContent as error:
        assert_type(error.data.type, models.FailedDependencyErrorType)
    except errors.ResponseValidationError as error:
        assert_type(error.cause, Exception)
    except errors.LangCacheError as error:
        assert_type(error.status_code, int)
        assert_type(error.body, str)
        assert_type(error.attempts, int)
        assert_type(error.raw_response, httpx.Response)
    except errors.NoResponseError as error:
        assert_type(error.attempts, int)


def supplied() -> LangCache:
    request: models.SetRequestTypedDict = {"prompt": "p", "response": "r"}
    assert_type(models.SetRequest(**request), models.SetRequest)
    models.SearchRequest(prompt="p", similarity_threshold=0.5)
    LangCache("https://example.com", client=httpx.Client())
    return LangCache("https://example.com", client=DefaultHttpClient(verify=True))


if __name__ == "__main__":
    blocking()
    asyncio.run(asynchronous())
    failing(supplied())
