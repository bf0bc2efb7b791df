"""A cache that is slow, down or busy hardly delays a completion, and never fails it."""

import asyncio
import os
import threading
import time

import litellm
import openai
import pytest

import langcache.integrations.litellm as integration
from langcache import LangCache
from langcache.engine import InMemoryStorage

QUESTION = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"


class Hanging(InMemoryStorage):
    """Slow in every operation."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def get(self, namespace, entry_id):
        time.sleep(self.seconds)
        return super().get(namespace, entry_id)

    def store(self, entry):
        time.sleep(self.seconds)
        super().store(entry)


class Broken(InMemoryStorage):
    """Fails with a message that quotes its arguments."""

    def get(self, namespace, entry_id):
        raise ConnectionError(f"cannot look for {entry_id}")

    def store(self, entry):
        raise ConnectionError(f"cannot store {entry.prompt}")


def timed(function, *arguments, **keywords):
    started = time.perf_counter()
    result = function(*arguments, **keywords)
    return result, time.perf_counter() - started


@pytest.fixture
def warm(ask):
    """The first call imports half of LiteLLM."""
    ask(QUESTION, "warm")


def test_a_slow_storage_holds_up_no_completion_for_long(warm, ask, minilm, caplog):
    cache = integration.enable(
        storage=Hanging(3), embedding_model=minilm, budget_seconds=0.1, single_flight_seconds=0
    )
    for answer in ("first", "second"):
        reply, seconds = timed(ask, QUESTION, answer)
        assert reply == (answer, 0.0, False)
        assert seconds < 2.5  # a lookup and a store are not waited for
    assert cache.statistics.timeouts >= 2
    warnings = [each for each in caplog.records if each.name.startswith("langcache")]
    assert len(warnings) == 1
    assert "took longer than 0.1 s" in warnings[0].getMessage()


def test_the_default_budget_is_a_quarter_of_a_second(warm, ask, minilm):
    integration.enable(storage=Hanging(3), embedding_model=minilm)
    reply, seconds = timed(ask, QUESTION, "first", cache={"no-store": True})
    assert reply.text == "first"
    assert 0.25 <= seconds < 2.5


def test_what_was_stored_late_is_stored(warm, ask, minilm):
    cache = integration.enable(storage=Hanging(0.2), embedding_model=minilm, budget_seconds=0.1)
    ask(QUESTION, "first")
    deadline = time.monotonic() + 10
    while cache.statistics.stores < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_storage_that_fails_fails_no_completion(ask, minilm, caplog):
    cache = integration.enable(storage=Broken(), embedding_model=minilm)
    for answer in ("first", "second"):
        assert ask(QUESTION, answer) == (answer, 0.0, False)
    assert cache.statistics.failures == 4
    warnings = [each for each in caplog.records if each.name.startswith("langcache")]
    assert len(warnings) == 1
    assert "ConnectionError" in caplog.text
    assert QUESTION not in caplog.text


def test_a_service_that_is_down_fails_no_completion(warm, ask):
    with LangCache(server_url="http://127.0.0.1:9", cache_id="none", api_key="secret") as client:
        cache = integration.enable(storage=client)
        reply, seconds = timed(ask, QUESTION, "first")
    assert reply == ("first", 0.0, False)
    assert seconds < 5
    assert cache.statistics.failures + cache.statistics.timeouts >= 2


def test_a_storage_that_hangs_for_good_is_not_waited_for_any_more(minilm):
    gate = threading.Event()

    class Stuck(InMemoryStorage):
        def get(self, namespace, entry_id):
            gate.wait()

    cache = integration.LangCacheSemanticCache(
        storage=Stuck(), embedding_model=minilm, budget_seconds=0.002
    )
    messages = [{"role": "user", "content": QUESTION}]
    for _ in range(256):
        cache.get_cache("key", messages=messages)
    # Some may be interrupted by other processes, but not all.
    assert min(timed(cache.get_cache, "key", messages=messages)[1] for _ in range(50)) < 0.002
    gate.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_can_use_the_cache(minilm):
    cache = integration.LangCacheSemanticCache(embedding_model=minilm, budget_seconds=5.0)
    messages = [{"role": "user", "content": QUESTION}]
    cache.set_cache("key", {"response": "first"}, messages=messages)
    child = os.fork()
    if not child:
        found = cache.get_cache("key", messages=messages)
        os._exit(0 if found == {"response": "first"} else 1)
    assert os.waitpid(child, 0)[1] == 0


async def many(count, **arguments):
    return await asyncio.gather(
        *(
            litellm.acompletion(
                model="own/any", messages=[{"role": "user", "content": QUESTION}], **arguments
            )
            for _ in range(count)
        ),
        return_exceptions=True,
    )


def in_threads(count, **arguments):
    results = [None] * count

    def complete(position):
        try:
            results[position] = litellm.completion(
                model="own/any", messages=[{"role": "user", "content": QUESTION}], **arguments
            )
        except openai.APIError as error:
            results[position] = error

    threads = [threading.Thread(target=complete, args=(position,)) for position in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture(params=["threads", "tasks"])
def concurrently(request, loop):
    def concurrently(count, **arguments):
        if request.param == "threads":
            return in_threads(count, **arguments)
        return loop.run_until_complete(many(count, **arguments))

    return concurrently


def texts(responses):
    return [response.choices[0].message.content for response in responses]


def test_identical_concurrent_misses_ask_the_model_once(enable, concurrently, model):
    cache = enable()
    model.seconds = 1.0  # so that all have asked before it answers
    assert texts(concurrently(50)) == ["answer 1"] * 50
    assert len(model.calls) == 1
    assert cache.statistics.shared_answers == 49


def test_different_concurrent_misses_do_not_wait_for_each_other(cache, loop, model):
    model.seconds = 1.5

    async def ask(question):
        messages = [{"role": "user", "content": question}]
        return await litellm.acompletion(model="own/any", messages=messages)

    async def ask_both():
        return await asyncio.gather(ask("What is a cat?"), ask("Who wrote Hamlet?"))

    _, seconds = timed(loop.run_until_complete, ask_both())
    assert len(model.calls) == 2
    assert seconds < 2.8


def test_when_the_model_fails_the_next_in_line_asks_it(enable, concurrently, model):
    enable()
    model.seconds, model.failures = 0.1, 1
    results, seconds = timed(concurrently, 5)
    failed = [each for each in results if isinstance(each, Exception)]
    assert len(failed) == 1
    assert texts([each for each in results if each not in failed]) == ["answer 2"] * 4
    assert seconds < 5  # not the ten seconds of a full wait


def test_a_call_that_is_cancelled_lets_the_others_go_on(enable, loop, model):
    enable()
    model.seconds = 0.3

    async def cancel_the_first():
        messages = [{"role": "user", "content": QUESTION}]
        first = asyncio.create_task(litellm.acompletion(model="own/any", messages=messages))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(litellm.acompletion(model="own/any", messages=messages))
        await asyncio.sleep(0.05)
        first.cancel()
        return await asyncio.wait_for(second, 3)

    response = loop.run_until_complete(cancel_the_first())
    assert response.choices[0].message.content == "answer 1"


def test_a_wait_for_another_answer_ends_in_time(enable, concurrently, model):
    enable(single_flight_seconds=0.1)
    model.seconds = 1.5
    _, seconds = timed(concurrently, 2)
    assert len(model.calls) == 2
    assert seconds < 2.8


def test_single_flight_can_be_switched_off(enable, concurrently, model):
    enable(single_flight_seconds=0)
    model.seconds = 0.5
    concurrently(3)
    assert len(model.calls) == 3


def test_streams_and_calls_that_store_nothing_do_not_make_others_wait(enable, concurrently, model):
    enable()
    model.seconds = 0.5
    concurrently(2, cache={"no-store": True})
    assert len(model.calls) == 2


def test_a_synchronous_call_in_an_event_loop_does_not_wait_for_its_tasks(enable, loop, model):
    enable()
    model.seconds = 0.2
    messages = [{"role": "user", "content": QUESTION}]

    async def both():
        task = asyncio.create_task(litellm.acompletion(model="own/any", messages=messages))
        await asyncio.sleep(0.1)
        litellm.completion(model="own/any", messages=messages)
        return await task

    _, seconds = timed(loop.run_until_complete, both())
    assert seconds < 3
