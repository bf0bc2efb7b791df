"""Uses every operation of the official package's client, sync and async.

The arguments are the URL of the server, the id of a cache with the attributes `topic` and
`language`, an API key, and "development" or "strict". Prints "works" at the end.
"""

import asyncio
import sys

from langcache import LangCache, errors
from langcache.models import SearchStrategy

# 0.11.1 has no conversational search. It also does not know the type of a 404 that later releases
# use, and raises an error of another class. No type is known to both.
IS_OLD = not hasattr(LangCache, "conversational_search")

URL, CACHE_ID, KEY = sys.argv[1:4]
IS_STRICT = sys.argv[4] == "strict"
PROMPT, RESPONSE = "How does semantic caching work?", "By meaning."
PARAPHRASE = "How does a semantic cache work?"
ATTRIBUTES = {"topic": "ai", "language": "en"}


async def use(call):
    """Use every operation. `call` takes the name of a method and its arguments."""
    stored = await call("set", prompt=PROMPT, response=RESPONSE)
    assert len(stored.entry_id) == 32, stored

    (exact,) = (
        await call("search", prompt=PROMPT.upper(), search_strategies=[SearchStrategy.EXACT])
    ).data
    assert (exact.id, exact.prompt, exact.response) == (stored.entry_id, PROMPT, RESPONSE)
    assert (exact.attributes, exact.similarity) == ({}, 1)
    assert exact.search_strategy == SearchStrategy.EXACT

    (semantic,) = (await call("search", prompt=PARAPHRASE, similarity_threshold=0.8)).data
    assert semantic.id == stored.entry_id
    assert 0.8 <= semantic.similarity < 1
    assert semantic.search_strategy == SearchStrategy.SEMANTIC
    assert (await call("search", prompt="Why do cats sleep so much?")).data == []

    await call("set", prompt=PROMPT, response="Other.", attributes=ATTRIBUTES, ttl_millis=60_000)
    both = [SearchStrategy.EXACT, SearchStrategy.SEMANTIC]
    found = await call("search", prompt=PROMPT, search_strategies=both, attributes=ATTRIBUTES)
    assert [(each.response, each.attributes) for each in found.data] == [("Other.", ATTRIBUTES)]
    assert (await call("search", prompt=PROMPT, attributes={"topic": "music"})).data == []

    if not IS_OLD:
        await call("set", prompt="What color is the sky?", response="Blue.")
        answer = await call(
            "conversational_search", prompt="What color is the sky?", context=["Hello."]
        )
        assert answer.actual_prompt
        assert [each.response for each in answer.data] == ["Blue."]

    deleted = await call("delete_query", attributes=ATTRIBUTES)
    assert deleted.deleted_entries_count == 1
    await call("delete_by_id", entry_id=stored.entry_id)
    error = await failure(call("delete_by_id", entry_id=stored.entry_id))
    assert error.status_code == 404
    if not IS_OLD:
        assert isinstance(error, errors.NotFoundErrorResponseContent)
        assert error.data.type == "/errors/resource-not-found"
    error = await failure(call("set", prompt="", response=RESPONSE))
    assert isinstance(error, errors.BadRequestErrorResponseContent)
    assert (error.status_code, error.data.type) == (400, "/errors/invalid-data")

    await call("set", prompt=PROMPT, response=RESPONSE)
    await call("flush")
    assert (await call("search", prompt=PROMPT)).data == []


async def failure(call):
    """Return the exception that a call raises."""
    try:
        await call
    except errors.LangCacheError as error:
        return error
    raise AssertionError("the call has not failed")


async def use_with_a_wrong_key():
    """Check the error for a key that the server does not know in strict mode."""
    with LangCache(server_url=URL, cache_id=CACHE_ID, api_key="wrong") as client:
        for call in (sync_calls(client), async_calls(client)):
            error = await failure(call("search", prompt=PROMPT))
            assert isinstance(error, errors.AuthenticationErrorResponseContent)
            assert (error.status_code, error.data.type) == (401, "/errors/authentication-failed")


def sync_calls(client):
    async def call(method, **arguments):
        return getattr(client, method)(**arguments)

    return call


def async_calls(client):
    async def call(method, **arguments):
        return await getattr(client, f"{method}_async")(**arguments)

    return call


async def main():
    with LangCache(server_url=URL, cache_id=CACHE_ID, api_key=KEY) as client:
        await use(sync_calls(client))
    async with LangCache(server_url=URL, cache_id=CACHE_ID, api_key=KEY) as client:
        await use(async_calls(client))
    if IS_STRICT:
        await use_with_a_wrong_key()


asyncio.run(main())
print("works")
