"""Similar questions are checked before their answers are returned."""

import asyncio

import pytest

import langcache.integrations.litellm as integration
from langcache.engine.verify import Verdict
from langcache.integrations.litellm import LangCacheSemanticCache

ENABLE, DISABLE = "How do I enable dark mode?", "How do I disable dark mode?"
TURN_ON = "How do I turn on dark mode?"


class Recording:
    """Accepts what ends in the same word; notes what it is asked."""

    model_id = "last word"

    def __init__(self):
        self.asked = []

    def verify(self, prompt, candidates):
        self.asked.append((prompt, *candidates))
        return [Verdict(prompt.split()[-1] == each.split()[-1]) for each in candidates]

    async def averify(self, prompt, candidates):
        return self.verify(prompt, candidates)


class Failing(Recording):
    def verify(self, prompt, candidates):
        raise RuntimeError(prompt)


@pytest.fixture(params=["sync", "async"])
def look_up(request, loop):
    def look_up(cache, text):
        arguments = {"messages": [{"role": "user", "content": text}], "metadata": {}}
        if request.param == "sync":
            found = cache.get_cache("key", **arguments)
        else:
            found = loop.run_until_complete(cache.async_get_cache("key", **arguments))
        return found and found["text"]

    return look_up


def store(cache, text):
    messages = [{"role": "user", "content": text}]
    cache.set_cache("key", {"text": text}, messages=messages)


def test_an_opposite_question_is_rejected_by_default(enable, look_up):
    cache = enable(similarity_threshold=0.8)
    store(cache, ENABLE)
    assert look_up(cache, DISABLE) is None
    assert look_up(cache, "Where do penguins live?") is None
    assert look_up(cache, TURN_ON) == ENABLE
    assert look_up(cache, ENABLE) == ENABLE
    counts = cache.statistics
    assert (counts.rejected, counts.misses) == (1, 1)
    assert (counts.semantic_hits, counts.exact_hits) == (1, 1)


def test_an_opposite_question_is_served_without_a_verifier(enable, look_up):
    cache = enable(similarity_threshold=0.8, verifier=None)
    store(cache, ENABLE)
    assert look_up(cache, DISABLE) == ENABLE
    assert (cache.statistics.semantic_hits, cache.statistics.rejected) == (1, 0)


def test_a_rejected_question_does_not_hide_a_right_one_behind_it(enable, look_up):
    cache = enable(similarity_threshold=0.7, verifier=Recording())
    for text in ("enable dark mode on", "please enable the dark mode of it off"):
        store(cache, text)
    assert look_up(cache, "enable dark mode off") == "please enable the dark mode of it off"


def test_the_verifier_is_asked_about_similar_questions_only(enable, look_up):
    verifier = Recording()
    cache = enable(similarity_threshold=0.8, verifier=verifier)
    store(cache, ENABLE)
    look_up(cache, ENABLE)
    look_up(cache, "Where do penguins live?")
    assert all(len(asked) == 1 for asked in verifier.asked)
    look_up(cache, DISABLE)
    assert verifier.asked[-1] == (DISABLE, ENABLE)


def test_a_verifier_that_fails_turns_everything_down(enable, look_up):
    cache = enable(similarity_threshold=0.8, verifier=Failing())
    store(cache, ENABLE)
    assert look_up(cache, TURN_ON) is None
    assert look_up(cache, ENABLE) == ENABLE
    assert cache.statistics.rejected == 1


def test_update_keeps_the_verifier(enable, look_up):
    verifier = Recording()
    enable(verifier=verifier)
    cache = integration.update(similarity_threshold=0.8)
    store(cache, ENABLE)
    look_up(cache, DISABLE)
    assert verifier.asked
    cache = integration.update(verifier="rules")
    assert look_up(cache, DISABLE) is None
    cache = integration.update(verifier=None)
    assert look_up(cache, DISABLE) == ENABLE


def test_a_bad_verifier_is_refused():
    with pytest.raises(ValueError, match='verifier: must be "rules", "model", "auto" or None, got'):
        LangCacheSemanticCache(verifier="maybe")
    with pytest.raises(TypeError, match="verifier: must have the methods verify and averify"):
        LangCacheSemanticCache(verifier=asyncio)


def test_the_default_threshold_follows_the_verifier(enable):
    assert enable().similarity_threshold == 0.88
    assert enable(verifier="rules").similarity_threshold == 0.9
    assert enable(verifier=None).similarity_threshold == 0.9
    assert enable(similarity_threshold=0.95).similarity_threshold == 0.95
