"""Batches: items at the same time are done in one call, and none depends on the others."""

import threading

import anyio
import pytest
from langcache_mockserver.domain.batching import Batcher
from langcache_mockserver.domain.worker_threads import WorkerThreads

pytestmark = pytest.mark.anyio
IN_BOTH = pytest.mark.parametrize("in_loop", [True, False])


class Doubling:
    """Work that doubles numbers, fails on a negative one, and keeps what it was called with."""

    def __init__(self):
        self.calls = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, items):
        self.calls.append(list(items))
        self.may_go_on.wait(10)
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [2 * item for item in items]


@pytest.fixture
def work():
    made = Doubling()
    yield made
    made.may_go_on.set()


async def submit_all(batcher, items, *, key="k", **options):
    """Submit items at the same time; return the result of each, or its error."""
    results = {}

    async def submit(place, item):
        try:
            results[place] = await batcher.submit(key, item, **options)
        except ValueError as error:
            results[place] = str(error)

    async with anyio.create_task_group() as group:
        for place, item in enumerate(items):
            group.start_soon(submit, place, item)
    return [results[place] for place in range(len(items))]


@IN_BOTH
async def test_items_at_the_same_time_are_one_call(work, in_loop):
    batcher = Batcher(work, WorkerThreads(), 1)
    assert await submit_all(batcher, range(10), in_loop=in_loop) == [2 * n for n in range(10)]
    assert [sorted(call) for call in work.calls] == [list(range(10))]


@IN_BOTH
async def test_an_item_that_is_alone_is_done_without_waiting_for_others(work, in_loop):
    batcher = Batcher(work, WorkerThreads(), 1)
    assert await batcher.submit("k", 1, in_loop=in_loop, alone=True) == 2
    assert work.calls == [[1]]


async def test_in_the_loop_a_lone_item_does_not_even_yield(work):
    submitting = Batcher(work, WorkerThreads(), 1).submit("k", 1, in_loop=True, alone=True)
    with pytest.raises(StopIteration) as stopped:
        submitting.send(None)
    assert stopped.value.value == 2


@IN_BOTH
async def test_the_items_of_one_key_wait_for_no_other_key(work, in_loop):
    batcher = Batcher(work, WorkerThreads(), 1)
    results = []

    async def submit(key, item):
        results.append(await batcher.submit(key, item, in_loop=in_loop))

    async with anyio.create_task_group() as group:
        for item in range(6):
            group.start_soon(submit, f"key {item % 2}", item)
    assert sorted(results) == [0, 2, 4, 6, 8, 10]
    assert sorted(sorted(call) for call in work.calls) == [[0, 2, 4], [1, 3, 5]]


@IN_BOTH
async def test_one_that_fails_fails_alone(work, in_loop):
    batcher = Batcher(work, WorkerThreads(), 1)
    results = await submit_all(batcher, [1, -1, 2], in_loop=in_loop)
    assert results == [2, "negative", 4]


@IN_BOTH
async def test_one_that_fails_without_others_is_tried_once(work, in_loop):
    batcher = Batcher(work, WorkerThreads(), 1)
    assert await submit_all(batcher, [-1], in_loop=in_loop) == ["negative"]
    assert work.calls == [[-1]]


async def test_items_that_come_while_a_batch_is_at_work_are_the_next(work):
    batcher = Batcher(work, WorkerThreads(), 1)
    work.may_go_on.clear()
    results = []

    async def submit(item):
        results.append(await batcher.submit("k", item))

    async with anyio.create_task_group() as group:
        group.start_soon(submit, 0)
        while not work.calls:
            await anyio.lowlevel.checkpoint()
        for item in range(1, 5):
            group.start_soon(submit, item)
            await anyio.lowlevel.checkpoint()
        work.may_go_on.set()
    assert sorted(results) == [0, 2, 4, 6, 8]
    assert [sorted(call) for call in work.calls] == [[0], [1, 2, 3, 4]]


async def test_as_many_batches_are_at_work_as_are_allowed(work):
    batcher = Batcher(work, WorkerThreads(), 2)
    work.may_go_on.clear()
    async with anyio.create_task_group() as group:
        for item in range(2):
            group.start_soon(batcher.submit, "k", item)
            while len(work.calls) <= item:
                await anyio.lowlevel.checkpoint()
        work.may_go_on.set()
    assert work.calls == [[0], [1]]


@IN_BOTH
async def test_a_caller_who_leaves_takes_nobody_along(work, in_loop):
    batcher = Batcher(work, WorkerThreads(), 1)
    results = {}

    async def submit(item):
        results[item] = await batcher.submit("k", item, in_loop=in_loop)

    async with anyio.create_task_group() as group:
        for leaving in range(5):
            with anyio.CancelScope() as scope:
                group.start_soon(submit, leaving)
                await anyio.lowlevel.checkpoint()
                async with anyio.create_task_group() as leavers:
                    for _ in range(3):
                        leavers.start_soon(submit, 100)
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
    assert {item: results[item] for item in range(5)} == {item: 2 * item for item in range(5)}


async def test_nothing_is_kept_of_what_is_done(work):
    batcher = Batcher(work, WorkerThreads(), 1)
    for key in range(3):
        await submit_all(batcher, [1, -1], key=f"{key}")
    assert batcher._queues == {}
