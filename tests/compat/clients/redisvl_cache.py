"""Uses every operation of RedisVL's LangCacheSemanticCache, sync and async.

The arguments are the URL of the server, the id of a cache with the attributes `topic` and
`language`, an API key, "development" or "strict", and the id of a cache without attributes. Prints
"works" at the end.
"""

import asyncio
import sys

from redisvl.extensions.cache.llm import LangCacheSemanticCache

URL, CACHE_ID, KEY, MODE, BARE_CACHE_ID = sys.argv[1:6]
PROMPT, RESPONSE = "How does semantic caching work?", "By meaning."
PARAPHRASE = "How does a semantic cache work?"
# RedisVL percent-encodes these characters before sending and decodes them again.
VALUES = ["a, b", "50%", "a/b c?d", "Ünï漢🤖", "%2C", "@x:{y}|z"]


async def use(cache, call):
    """Use every operation. `call` takes the name of a method and its arguments."""
    entry_id = await call("store", prompt=PROMPT, response=RESPONSE, ttl=60)
    (hit,) = await call("check", prompt=PROMPT)
    assert (hit["entry_id"], hit["prompt"], hit["response"]) == (entry_id, PROMPT, RESPONSE)
    assert hit["vector_distance"] == 0

    (near,) = await call("check", prompt=PARAPHRASE, distance_threshold=0.2, num_results=3)
    assert 0 < near["vector_distance"] <= 0.2
    assert (
        await call("check", prompt=PARAPHRASE, distance_threshold=near["vector_distance"] / 2) == []
    )
    assert await call("check", prompt="Why do cats sleep so much?") == []

    for value in VALUES:
        metadata = {"topic": value, "language": "en"}
        await call("store", prompt=PROMPT, response=value, metadata=metadata)
        (hit,) = await call("check", prompt=PROMPT, attributes=metadata)
        assert (hit["response"], hit["metadata"]) == (value, metadata)
        (hit,) = await call("check", prompt=PROMPT, attributes={"topic": value})
        assert hit["response"] == value
    deleted = await call("delete_by_attributes", attributes={"topic": VALUES[0]})
    assert deleted == {"deleted_entries_count": 1}
    assert await call("check", prompt=PROMPT, attributes={"topic": VALUES[0]}) == []

    await call("delete_by_id", entry_id)
    assert entry_id not in {
        hit["entry_id"] for hit in await call("check", prompt=PROMPT, num_results=9)
    }
    await call("clear")
    assert await call("check", prompt=PROMPT) == []
    await call("delete")


async def refuses_attributes(call):
    """Check that RedisVL recognises the error of a cache without attributes."""
    for method, arguments in (
        ("store", {"response": RESPONSE, "metadata": {"topic": "ai"}}),
        ("check", {"attributes": {"topic": "ai"}}),
    ):
        error = await failure(call(method, prompt=PROMPT, **arguments))
        assert "not configured for this cache" in str(error), method


async def failure(call):
    """Return the exception that a call raises."""
    try:
        await call
    except RuntimeError as error:
        return error
    raise AssertionError("the call has not failed")


def callers(cache):
    async def sync_call(method, *args, **arguments):
        return getattr(cache, method)(*args, **arguments)

    async def async_call(method, *args, **arguments):
        return await getattr(cache, f"a{method}")(*args, **arguments)

    return sync_call, async_call


async def main():
    cache = LangCacheSemanticCache(server_url=URL, cache_id=CACHE_ID, api_key=KEY)
    for call in callers(cache):
        await use(cache, call)
    if MODE == "strict":
        bare = LangCacheSemanticCache(server_url=URL, cache_id=BARE_CACHE_ID, api_key=KEY)
        for call in callers(bare):
            await refuses_attributes(call)


async def on_the_scale_of_redis():
    """On this scale, distances and thresholds are between 0 and 2."""
    options = {"server_url": URL, "cache_id": CACHE_ID, "api_key": KEY}
    cache = LangCacheSemanticCache(distance_scale="redis", use_exact_search=False, **options)
    normalised = LangCacheSemanticCache(**options)
    cache.store(prompt=PROMPT, response=RESPONSE)
    (hit,) = cache.check(prompt=PARAPHRASE, distance_threshold=0.4)
    (same,) = normalised.check(prompt=PARAPHRASE, distance_threshold=0.2)
    assert abs(hit["vector_distance"] - 2 * same["vector_distance"]) < 1e-6
    cache.clear()


asyncio.run(main())
asyncio.run(on_the_scale_of_redis())
print("works")
