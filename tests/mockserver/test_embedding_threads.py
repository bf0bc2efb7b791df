"""The threads that embed prompts: together if many wait, and none depends on the others."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import numpy as np
import pytest
from langcache_mockserver.domain import embedding_threads
from langcache_mockserver.domain.embedding_threads import EmbeddingThreads
from langcache_mockserver.domain.overload import OverloadedError

pytestmark = pytest.mark.anyio


class Lengths:
    """Embeds a text as its length, fails on some, and keeps what it was called with."""

    def __init__(self):
        self.calls = []
        self.threads = set()
        self.at_work = threading.Semaphore(0)
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, texts):
        self.calls.append(list(texts))
        self.threads.add(threading.get_ident())
        self.at_work.release()
        self.may_go_on.wait(10)
        if "bad" in texts:
            raise ValueError("bad")
        return np.array([[len(text)] for text in texts], np.float32)


@pytest.fixture
def lengths():
    made = Lengths()
    yield made
    made.may_go_on.set()


async def embed_all(threads, texts):
    """Embed texts at the same time; return the vector of each, or its error."""
    results = {}

    async def embed(place, text):
        try:
            results[place] = float((await threads.embed(text))[0])
        except (ValueError, OverloadedError) as error:
            results[place] = type(error)

    async with anyio.create_task_group() as group:
        for place, text in enumerate(texts):
            group.start_soon(embed, place, text)
    return [results[place] for place in range(len(texts))]


async def until_at_work(lengths):
    await anyio.to_thread.run_sync(lengths.at_work.acquire)


async def until(condition):
    def wait():
        while not condition():
            time.sleep(0.001)

    await anyio.to_thread.run_sync(wait)


async def test_everybody_gets_the_vector_of_their_prompt(lengths):
    threads = EmbeddingThreads(lengths, 2)
    texts = ["a" * number for number in range(100)]
    assert await embed_all(threads, texts) == list(range(100))
    assert sorted(text for call in lengths.calls for text in call) == texts
    assert await embed_all(threads, ["abc"]) == [3]


async def test_those_that_wait_are_embedded_together_and_divided_among_the_threads(lengths):
    threads = EmbeddingThreads(lengths, 2)
    lengths.may_go_on.clear()
    async with anyio.create_task_group() as group:
        for text in ("a", "b"):
            group.start_soon(embed_all, threads, [text])
            await until_at_work(lengths)
        assert lengths.calls == [["a"], ["b"]]
        group.start_soon(embed_all, threads, [f"c{number}" for number in range(40)])
        await anyio.sleep(0.01)
        lengths.may_go_on.set()
    together = [len(call) for call in lengths.calls[2:]]
    assert sum(together) == 40
    assert together[0] == 10
    assert len(lengths.threads) == 2


async def test_equal_ones_that_wait_are_one_call(lengths):
    threads = EmbeddingThreads(lengths, 1)
    lengths.may_go_on.clear()
    found = []

    async def embed(texts):
        found.extend(await embed_all(threads, texts))

    async with anyio.create_task_group() as group:
        group.start_soon(embed, ["a"])
        await until_at_work(lengths)
        group.start_soon(embed, ["bb", "ccc"] * 20)
        await anyio.sleep(0.01)
        lengths.may_go_on.set()
    assert [sorted(call) for call in lengths.calls] == [["a"], ["bb"] * 20 + ["ccc"] * 20]
    assert sorted(found) == [1] + [2] * 20 + [3] * 20


async def test_one_prompt_at_a_time_needs_one_thread(lengths):
    threads = EmbeddingThreads(lengths, 2)
    for _ in range(20):
        await embed_all(threads, ["a"])
        await until(lambda: threads._idle)
    assert len(lengths.threads) == 1


async def test_one_that_fails_fails_alone(lengths):
    threads = EmbeddingThreads(lengths, 1)
    lengths.may_go_on.clear()
    found = []

    async def embed():
        found.extend(await embed_all(threads, ["aa", "bad", "bbb"]))

    async with anyio.create_task_group() as group:
        group.start_soon(embed_all, threads, ["a"])
        await until_at_work(lengths)
        group.start_soon(embed)
        await anyio.sleep(0.01)
        lengths.may_go_on.set()
    assert found == [2, ValueError, 3]
    lengths.calls.clear()
    assert await embed_all(threads, ["bad"]) == [ValueError]
    assert lengths.calls == [["bad"]]  # not tried twice


async def test_what_waits_too_long_is_refused_and_not_embedded(lengths):
    threads = EmbeddingThreads(lengths, 1, 0.02)
    lengths.may_go_on.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(embed_all, threads, ["at work"])
        await until_at_work(lengths)
        assert await embed_all(threads, ["a", "b"]) == [OverloadedError] * 2
        lengths.may_go_on.set()
    assert lengths.calls == [["at work"]]
    assert await embed_all(threads, ["abc"]) == [3]


async def test_what_would_wait_too_long_is_refused_at_once(lengths):
    threads = EmbeddingThreads(lengths, 1, 1.0)
    threads._backlog.did(1, 100.0)  # from now on, each is expected to take 20 s
    lengths.may_go_on.clear()
    async with anyio.create_task_group() as group:
        for text in ("at work", "waiting"):
            group.start_soon(embed_all, threads, [text])
            await anyio.sleep(0.01)
        with anyio.fail_after(0.5):
            assert await embed_all(threads, ["a"]) == [OverloadedError]
        lengths.may_go_on.set()


async def test_work_that_has_begun_is_awaited_however_long_it_takes(lengths):
    threads = EmbeddingThreads(lengths, 1, 0.01)
    lengths.may_go_on.clear()
    threading.Timer(0.05, lengths.may_go_on.set).start()
    assert await embed_all(threads, ["abc"]) == [3]


async def test_nobody_waits_for_one_who_has_left(lengths):
    threads = EmbeddingThreads(lengths, 1)
    lengths.may_go_on.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(embed_all, threads, ["at work"])
        await until_at_work(lengths)
        with anyio.move_on_after(0.01):
            await threads.embed("left")
        group.start_soon(embed_all, threads, ["stays"])
        await anyio.sleep(0.01)
        lengths.may_go_on.set()
    assert lengths.calls == [["at work"], ["stays"]]


async def test_idle_threads_end_and_others_begin(lengths, monkeypatch):
    monkeypatch.setattr(embedding_threads, "_IDLE_SECONDS", 0.01)
    threads = EmbeddingThreads(lengths, 2)
    for _ in range(3):
        assert await embed_all(threads, ["a", "bb"]) == [1, 2]
        await until(lambda: not threads._threads)


async def test_without_a_thread_the_error_is_told_and_nothing_is_left_waiting(lengths, monkeypatch):
    threads = EmbeddingThreads(lengths, 1)
    with monkeypatch.context() as patched:

        def start(thread):
            raise RuntimeError("can't start new thread")

        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start"):
            await threads.embed("a")
    assert await embed_all(threads, ["bb"]) == [2]
    assert lengths.calls == [["bb"]]


def test_several_event_loops_may_ask(lengths):
    threads = EmbeddingThreads(lengths, 2)
    for text in ("a", "bb", "ccc"):
        assert asyncio.run(embed_all(threads, [text] * 20)) == [len(text)] * 20
