"""get_or_compute: one computation for concurrent misses of the same prompt."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from langcache.engine import InMemoryStorage, SemanticCache

FIELDS = [{"name": "user", "type": "tag"}]


class LetterEmbedder:
    """The first letter is the direction."""

    model_id = "letters"
    dimensions = 26

    def __init__(self):
        self.embedded = 0

    def embed(self, texts):
        self.embedded += len(texts)
        return np.array([np.eye(26)[ord(text[0]) - ord("a")] for text in texts], np.float32)

    async def aembed(self, texts):
        return self.embed(texts)


@pytest.fixture
def cache():
    return SemanticCache(vectorizer=LetterEmbedder(), filterable_fields=FIELDS)


class Gate:
    """A function that waits until the gate is opened, and counts its calls."""

    def __init__(self, outcome="answer"):
        self.calls = []
        self.began = threading.Event()
        self.open = threading.Event()
        self.outcome = outcome

    def __call__(self, prompt):
        self.calls.append(prompt)
        self.began.set()
        assert self.open.wait(10)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def acall(self, prompt):
        self.calls.append(prompt)
        self.began.set()
        while not self.open.is_set():  # noqa: ASYNC110 - a thread opens it
            await asyncio.sleep(0.001)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def auntil(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def waiting(cache):
    """The number of callers of computations in progress, including those that compute."""
    flights = cache._flights
    return sum(
        flight.waiters for flight in (*flights._in_threads.values(), *flights._in_tasks.values())
    )


def never(prompt):
    raise AssertionError("called on a hit")


async def anever(prompt):
    raise AssertionError("called on a hit")


# One caller


def test_a_miss_computes_and_stores_and_a_hit_does_not(cache):
    arguments = {"metadata": {"n": 1}, "filters": {"user": "ann"}, "ttl": 60}
    assert cache.get_or_compute("abc", str.upper, **arguments) == "ABC"
    assert cache.get_or_compute("abc", never, **arguments) == "ABC"
    assert cache.get_or_compute("a paraphrase", never) == "ABC"
    [hit] = cache.check("abc")
    assert (hit["metadata"], hit["user"]) == ({"n": 1}, "ann")


def test_the_twin_does_the_same(cache):
    async def use():
        async def upper(prompt):
            return prompt.upper()

        first = await cache.aget_or_compute("abc", upper, filters={"user": "ann"})
        second = await cache.aget_or_compute("abc", anever, filters={"user": "ann"})
        other = await cache.aget_or_compute("abc", upper, filters={"user": "bob"})
        return first, second, other, cache.statistics.entries

    assert asyncio.run(use()) == ("ABC", "ABC", "ABC", 2)


def test_a_prompt_is_embedded_once(cache):
    cache.get_or_compute("abc", str.upper)
    assert cache.vectorizer.embedded == 1


def test_other_filters_are_not_a_hit(cache):
    cache.get_or_compute("abc", lambda _: "for ann", filters={"user": "ann"})
    assert cache.get_or_compute("abc", lambda _: "for bob", filters={"user": "bob"}) == "for bob"


def test_a_failure_is_not_stored(cache):
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute("abc", lambda _: 1 / 0)
    assert cache.get_or_compute("abc", str.upper) == "ABC"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"prompt": 3}, TypeError),
        ({"metadata": "x"}, ValueError),
        ({"filters": {"team": "x"}}, ValueError),
        ({"ttl": 0}, ValueError),
        ({"distance_threshold": 3}, ValueError),
        ({"fn": lambda _: None}, TypeError),
    ],
)
def test_what_store_and_check_refuse_is_refused(cache, arguments, error):
    with pytest.raises(error):
        cache.get_or_compute(**{"prompt": "abc", "fn": str.upper, **arguments})
    assert cache.statistics.entries == 0


def test_a_computation_that_asks_for_itself_is_an_error_and_no_deadlock(cache):
    with pytest.raises(RuntimeError, match="very thing"):
        cache.get_or_compute("abc", lambda prompt: cache.get_or_compute(prompt, str.upper))

    async def again(prompt):
        return await cache.aget_or_compute(prompt, anever)

    with pytest.raises(RuntimeError, match="very thing"):
        asyncio.run(cache.aget_or_compute("abc", again))
    nested = cache.get_or_compute("abc", lambda _: cache.get_or_compute("bcd", str.upper))
    assert nested == "BCD"


# Several threads


def in_threads(cache, count, fn, prompt="abc", **options):
    pool = ThreadPoolExecutor(count)
    futures = [pool.submit(cache.get_or_compute, prompt, fn, **options) for _ in range(count)]
    pool.shutdown(wait=False)
    return futures


def test_threads_share_a_computation(cache):
    gate = Gate()
    futures = in_threads(cache, 8, gate)
    until(lambda: waiting(cache) == 8)
    gate.open.set()
    assert [future.result(10) for future in futures] == ["answer"] * 8
    assert gate.calls == ["abc"]


def test_many_rounds_call_once_each(cache):
    calls = []

    def slow(prompt):
        calls.append(prompt)
        return prompt

    for letter in "abcdefghijklmnopqrstuvwxyz":
        for future in in_threads(cache, 4, slow, letter):
            assert future.result(10) == letter
    assert calls == list("abcdefghijklmnopqrstuvwxyz")


def test_a_failure_reaches_all_threads_and_is_not_kept(cache):
    gate = Gate(KeyError("no answer"))
    futures = in_threads(cache, 4, gate)
    until(lambda: waiting(cache) == 4)
    gate.open.set()
    for future in futures:
        with pytest.raises(KeyError, match="no answer"):
            future.result(10)
    assert len(gate.calls) == 1
    assert cache.get_or_compute("abc", str.upper) == "ABC"


def test_when_the_computing_thread_is_interrupted_another_takes_over(cache):
    gate = Gate(SystemExit())
    first = in_threads(cache, 1, gate)
    until(gate.began.is_set)
    second = in_threads(cache, 1, str.upper)
    until(lambda: waiting(cache) == 2)
    gate.open.set()
    with pytest.raises(SystemExit):
        first[0].result(10)
    assert second[0].result(10) == "ABC"


@pytest.mark.parametrize(
    "other", [{"prompt": "bcd"}, {"filters": {"user": "bob"}}, {"prompt": "a c"}]
)
def test_unequal_misses_do_not_wait_for_each_other(cache, other):
    gate = Gate()
    first = in_threads(cache, 1, gate, filters={"user": "ann"})
    until(gate.began.is_set)
    second = in_threads(cache, 1, lambda _: "other", **{"filters": {"user": "ann"}, **other})
    assert second[0].result(10) == "other"
    gate.open.set()
    assert first[0].result(10) == "answer"


class LateStorage(InMemoryStorage):
    """Delays the first search after it has found nothing."""

    def __init__(self):
        super().__init__()
        self.searched = threading.Event()
        self.go_on = threading.Event()

    def search_top(self, *args, **kwargs):
        found = super().search_top(*args, **kwargs)
        if not self.searched.is_set():
            self.searched.set()
            assert self.go_on.wait(10)
        return found


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_misses_just_before_another_one_stores_does_not_compute_again(asynchronous):
    storage = LateStorage()
    cache = SemanticCache(vectorizer=LetterEmbedder(), filterable_fields=FIELDS, storage=storage)
    late = (
        (lambda: asyncio.run(cache.aget_or_compute("abc", anever)))
        if asynchronous
        else (lambda: cache.get_or_compute("abc", never))
    )
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(late)
        until(storage.searched.is_set)
        assert cache.get_or_compute("abc", str.upper) == "ABC"
        storage.go_on.set()
        assert future.result(10) == "ABC"


# Several tasks


def test_tasks_share_a_computation(cache):
    async def use():
        gate = Gate()
        tasks = [asyncio.create_task(cache.aget_or_compute("abc", gate.acall)) for _ in range(8)]
        await auntil(lambda: waiting(cache) == 8)
        gate.open.set()
        return await asyncio.gather(*tasks), gate.calls

    assert asyncio.run(use()) == (["answer"] * 8, ["abc"])


def test_a_failure_reaches_all_tasks_and_is_not_kept(cache):
    async def use():
        gate = Gate(KeyError("no answer"))
        tasks = [asyncio.create_task(cache.aget_or_compute("abc", gate.acall)) for _ in range(3)]
        await auntil(lambda: waiting(cache) == 3)
        gate.open.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [KeyError] * 3
        assert len(gate.calls) == 1
        return await cache.aget_or_compute("abc", Gate.acall.__get__(_opened()))

    assert asyncio.run(use()) == "answer"


def _opened():
    gate = Gate()
    gate.open.set()
    return gate


@pytest.mark.parametrize("cancelled", [0, 1])
def test_to_cancel_one_task_does_not_cancel_the_others_whoever_began(cache, cancelled):
    async def use():
        gate = Gate()
        tasks = []
        for number in range(3):
            tasks.append(asyncio.create_task(cache.aget_or_compute("abc", gate.acall)))
            await auntil(lambda: waiting(cache) == number + 1)  # noqa: B023
        tasks[cancelled].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[cancelled]
        gate.open.set()
        others = [task for number, task in enumerate(tasks) if number != cancelled]
        assert await asyncio.gather(*others) == ["answer"] * 2
        assert gate.calls == ["abc"]
        assert await cache.aget_or_compute("abc", anever) == "answer"

    asyncio.run(use())


def test_the_computation_is_cancelled_when_nobody_waits_any_more(cache):
    async def use():
        gate, stopped = Gate(), asyncio.Event()

        async def compute(prompt):
            try:
                return await gate.acall(prompt)
            except asyncio.CancelledError:
                stopped.set()
                raise

        tasks = [asyncio.create_task(cache.aget_or_compute("abc", compute)) for _ in range(2)]
        await auntil(lambda: waiting(cache) == 2 and gate.began.is_set())
        for task in tasks:
            task.cancel()
        await asyncio.wait_for(stopped.wait(), 10)
        assert await cache.aget_or_compute("abc", Gate.acall.__get__(_opened())) == "answer"
        return await cache.astatistics()

    assert asyncio.run(use()).entries == 1


def test_a_timeout_reaches_the_function(cache):
    async def use():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.aget_or_compute("abc", Gate().acall), 0.05)
        await auntil(lambda: not waiting(cache))

    asyncio.run(use())


def test_a_function_that_cancels_itself_cancels_its_caller_and_others_go_on(cache):
    async def use():
        calls = []

        async def compute(prompt):
            calls.append(prompt)
            await auntil(lambda: len(calls) > 1 or waiting(cache) == 2)
            if len(calls) == 1:
                raise asyncio.CancelledError
            return "answer"

        tasks = [asyncio.create_task(cache.aget_or_compute("abc", compute)) for _ in range(2)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second = asyncio.run(use())
    assert isinstance(first, asyncio.CancelledError)
    assert second == "answer"


def test_a_task_that_is_cancelled_at_once_leaves_nothing_behind(cache):
    async def use():
        task = asyncio.create_task(cache.aget_or_compute("abc", Gate().acall))
        await auntil(lambda: waiting(cache) == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await auntil(lambda: not waiting(cache))

    asyncio.run(use())
    assert cache.get_or_compute("abc", str.upper) == "ABC"


# Threads and tasks together


def test_tasks_wait_for_a_thread(cache):
    gate = Gate()
    [thread] = in_threads(cache, 1, gate)
    until(gate.began.is_set)

    async def use():
        tasks = [asyncio.create_task(cache.aget_or_compute("abc", anever)) for _ in range(2)]
        await auntil(lambda: waiting(cache) == 3)
        tasks.pop().cancel()
        await asyncio.sleep(0.01)
        gate.open.set()
        return await tasks[0]

    assert asyncio.run(use()) == "answer"
    assert thread.result(10) == "answer"


def test_tasks_of_other_loops_wait_for_a_task(cache):
    async def use():
        gate = Gate()
        first = asyncio.create_task(cache.aget_or_compute("abc", gate.acall))
        await auntil(gate.began.is_set)
        pool = ThreadPoolExecutor(2)
        loops = [
            pool.submit(lambda: asyncio.run(cache.aget_or_compute("abc", anever))) for _ in range(2)
        ]
        await auntil(lambda: waiting(cache) == 3)
        first.cancel()
        await asyncio.sleep(0.01)
        gate.open.set()
        await auntil(lambda: all(loop.done() for loop in loops))
        pool.shutdown()
        return [loop.result() for loop in loops]

    assert asyncio.run(use()) == ["answer"] * 2


def test_a_thread_does_not_wait_for_a_task_that_may_need_it(cache):
    async def use():
        gate = Gate()
        task = asyncio.create_task(cache.aget_or_compute("abc", gate.acall))
        await auntil(gate.began.is_set)
        # In the loop's own thread, and in more worker threads than it has.
        assert cache.get_or_compute("abc", str.upper) == "ABC"
        workers = [asyncio.to_thread(cache.get_or_compute, "abc", never) for _ in range(100)]
        assert await asyncio.gather(*workers) == ["ABC"] * 100
        gate.open.set()
        return await task

    assert asyncio.run(use()) == "answer"


def test_when_the_loop_that_computes_ends_another_loop_takes_over(cache):
    loops = []
    pool = ThreadPoolExecutor(1)

    async def upper(prompt):
        return prompt.upper()

    async def use():
        gate = Gate()
        task = asyncio.create_task(cache.aget_or_compute("abc", gate.acall))
        await auntil(gate.began.is_set)
        loops.append(pool.submit(lambda: asyncio.run(cache.aget_or_compute("abc", upper))))
        await auntil(lambda: waiting(cache) == 2)
        assert not task.done()

    asyncio.run(use())
    assert loops[0].result(10) == "ABC"
    pool.shutdown()


@pytest.mark.parametrize("seed", range(5))
def test_with_failures_and_cancellations_everybody_gets_an_outcome(cache, seed):
    """Tasks and threads ask for a few prompts; some computations fail, some tasks are cancelled."""
    chances = random.Random(seed)
    running = Counter()

    def outcome(prompt):
        if chances.random() < 0.3:
            raise KeyError(prompt)
        return prompt.upper()

    def begin(kind, prompt):
        running[kind, prompt] += 1
        assert running[kind, prompt] == 1, "two computations for one prompt at once"

    async def acompute(prompt):
        begin("task", prompt)
        try:
            await asyncio.sleep(chances.random() / 500)
            return outcome(prompt)
        finally:
            running["task", prompt] -= 1

    def compute(prompt):
        begin("thread", prompt)
        try:
            time.sleep(chances.random() / 500)
            return outcome(prompt)
        finally:
            running["thread", prompt] -= 1

    async def ask(prompt, threaded):
        await asyncio.sleep(chances.random() / 100)
        if threaded:
            return await asyncio.to_thread(cache.get_or_compute, prompt, compute)
        return await cache.aget_or_compute(prompt, acompute)

    async def use():
        prompts = [chances.choice("abcd") for _ in range(120)]
        tasks = [asyncio.create_task(ask(prompt, chances.random() < 0.2)) for prompt in prompts]
        for task in chances.sample(tasks, 40):
            await asyncio.sleep(chances.random() / 1000)
            task.cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        for prompt, result in zip(prompts, results, strict=True):
            assert isinstance(result, asyncio.CancelledError) or (
                result == prompt.upper() or (type(result), str(result)) == (KeyError, repr(prompt))
            )
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) <= 40
        await auntil(lambda: not waiting(cache))

    asyncio.run(use())
    assert not +running
