"""Uses langchain-redis's LangCacheSemanticCache on its own and as the cache of LangChain's models.

The arguments are the URL of the server, the id of a cache with the attribute `llm_string`, an API
key, and "short" or "long": whether the model descriptions in that attribute are longer than the 500
characters that the API allows. Prints "works" at the end.
"""

import asyncio
import sys
from urllib.parse import quote

from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.outputs import Generation
from langchain_redis import LangCacheSemanticCache

URL, CACHE_ID, KEY = sys.argv[1:4]
IS_LONG = sys.argv[4] == "long"
PROMPT = "How does semantic caching work?"
PARAPHRASE = "How does a semantic cache work?"
OTHER_PROMPT = "Why do cats sleep so much?"


async def use(cache, lookup, update, clear):
    """Use every operation of the cache on its own."""
    models = ["[('_type', 'first')]", "[('_type', 'second')]"]
    if IS_LONG:
        models = [f"{model} {'x, ' * 60}" for model in models]
        # The value is percent-encoded twice, by langchain-redis and by RedisVL.
        assert len(quote(quote(models[0]), safe="")) > 500
    assert await lookup(PROMPT, models[0]) is None
    await update(PROMPT, models[0], [Generation(text="By meaning."), Generation(text="So.")])
    for asked in (PROMPT, PARAPHRASE):
        found = await lookup(asked, models[0])
        assert [each.text for each in found] == ["By meaning.", "So."], asked
    assert await lookup(OTHER_PROMPT, models[0]) is None
    assert await lookup(PROMPT, models[1]) is None
    await update(PROMPT, models[1], [Generation(text="Another.")])
    assert [each.text for each in await lookup(PROMPT, models[1])] == ["Another."]
    await clear()
    assert await lookup(PROMPT, models[0]) is None


async def use_models(cache, invoke):
    """Call models that return a different answer on each call, except for cached answers."""
    answers = ["First.", "Second.", *(["Never."] * 20 if IS_LONG else [])]
    model = FakeListLLM(responses=answers)
    told = [await invoke(model, each) for each in (PROMPT, PARAPHRASE, OTHER_PROMPT, PROMPT)]
    assert told == ["First.", "First.", "Second.", "First."], told
    chat_model = FakeListChatModel(responses=answers)
    told = [(await invoke(chat_model, PROMPT)).content for _ in range(2)]
    assert told == ["First.", "First."], told
    await cache.aclear()


def in_turn(method):
    async def call(*arguments):
        return method(*arguments)

    return call


async def main():
    cache = LangCacheSemanticCache(server_url=URL, cache_id=CACHE_ID, api_key=KEY, ttl=60)
    await use(cache, in_turn(cache.lookup), in_turn(cache.update), in_turn(cache.clear))
    await use(cache, cache.alookup, cache.aupdate, cache.aclear)
    set_llm_cache(cache)
    await use_models(cache, in_turn(lambda model, prompt: model.invoke(prompt)))
    await use_models(cache, lambda model, prompt: model.ainvoke(prompt))


asyncio.run(main())
print("works")
