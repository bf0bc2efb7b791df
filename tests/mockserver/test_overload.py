"""More work than there is time for: what would wait too long is refused, and the rest is done."""

import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from langcache_mockserver import Settings
from langcache_mockserver.domain import overload
from langcache_mockserver.domain.batching import Batcher
from langcache_mockserver.domain.overload import Backlog, OverloadedError
from langcache_mockserver.domain.worker_threads import WORKERS, SharedCall, WorkerThreads

from langcache.engine.embedders import FunctionEmbedder

SOON = 0.05


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def gate():
    """A function that blocks until it may go on."""
    gate = threading.Event()
    yield gate
    gate.set()


def work(backlog, clock, seconds, count=1):
    with backlog.doing(count):
        clock.now += seconds


def test_work_is_refused_by_how_long_it_would_wait_and_not_by_how_much_there_is():
    clock = Clock()
    backlog = Backlog(1.0, 2, clock)
    for _ in range(1000):
        backlog.join()  # nothing is known yet
    backlog.leave(1000)
    for _ in range(100):
        work(backlog, clock, 0.1, count=10)
    for _ in range(201):  # of 0.01 seconds each, two at once
        backlog.join()
    with pytest.raises(OverloadedError):
        backlog.join()
    backlog.leave(2)
    backlog.join()


def test_work_that_finds_nothing_before_it_is_never_refused():
    clock = Clock()
    backlog = Backlog(1.0, 1, clock)
    work(backlog, clock, 3600.0)
    backlog.join()


def test_the_more_are_refused_the_longer_they_are_asked_to_wait(monkeypatch):
    monkeypatch.setattr(overload.random, "randint", lambda _low, high: high)
    clock = Clock()
    backlog = Backlog(1.0, 1, clock)
    asked = []
    for refused in (0, 8, 80, 8_000_000, 0, 0):
        clock.now += 1
        asked.append(backlog.refusal().retry_after)
        for _ in range(min(refused, 1000) - 1):
            backlog.refusal()
        work(backlog, clock, 0.0)
    assert asked[0] == 1
    assert asked == sorted(asked[:5]) + asked[5:]
    assert asked[4] == 30
    assert asked[5] == 2


@pytest.mark.anyio
async def test_threads_refuse_what_has_waited_too_long_and_serve_probes_meanwhile(gate):
    workers = WorkerThreads(SOON)
    refused = []

    async def call():
        try:
            await workers.run(gate.wait, 10)
        except OverloadedError as error:
            refused.append(error.retry_after)
            if len(refused) == 3:
                assert await workers.run_probe(int) == 0
                gate.set()

    async with anyio.create_task_group() as group:
        for _ in range(WORKERS + 3):
            group.start_soon(call)
    assert len(refused) == 3
    assert min(refused) >= 1
    assert await workers.run(int) == 0


@pytest.mark.anyio
async def test_requests_do_not_wait_for_bulk_work(gate):
    workers = WorkerThreads(SOON)
    refused = []

    async def do_bulk_work():
        try:
            await workers.run_bulk(gate.wait, 10)
        except OverloadedError:
            refused.append("bulk work")
            assert await workers.run(int) == 0
            gate.set()

    async with anyio.create_task_group() as group:
        for _ in range(WORKERS + 1):
            group.start_soon(do_bulk_work)
    assert refused == ["bulk work"]


@pytest.mark.anyio
async def test_a_probe_that_is_given_up_takes_no_thread_from_requests(gate):
    workers = WorkerThreads(SOON)
    for _ in range(10):
        with anyio.move_on_after(0.01):
            await workers.run_probe(gate.wait, 10)
    assert await workers.run(int) == 0


@pytest.mark.anyio
async def test_items_of_a_batch_that_waits_too_long_are_refused_and_not_tried_alone(gate):
    calls = []

    begun = anyio.Event()

    def wait(items):
        calls.append(list(items))
        anyio.from_thread.run_sync(begun.set)
        gate.wait(10)
        return items

    batcher = Batcher(wait, WorkerThreads(SOON), 1)
    results = []

    async def submit(item):
        try:
            results.append(await batcher.submit("k", item))
        except OverloadedError:
            results.append("refused")
        if results.count("refused") == 4:
            gate.set()

    async with anyio.create_task_group() as group:
        group.start_soon(submit, 0)
        await begun.wait()
        for item in range(1, 5):
            group.start_soon(submit, item)
    assert sorted(map(str, results)) == ["0", *["refused"] * 4]
    assert calls == [[0]]
    assert await batcher.submit("k", 5) == 5


@pytest.mark.anyio
async def test_nothing_is_refused_without_a_limit(gate):
    workers = WorkerThreads()
    batcher = Batcher(lambda items: gate.wait(0.01) or items, workers, 1)
    results = []

    async def submit(item):
        results.append(await batcher.submit("k", item))

    async with anyio.create_task_group() as group:
        for item in range(300):
            group.start_soon(submit, item)
    assert sorted(results) == list(range(300))


@pytest.mark.anyio
async def test_callers_at_the_same_time_share_a_call_that_begins_after_theirs(gate):
    calls = []

    begun = anyio.Event()

    def function():
        calls.append("begun")
        anyio.from_thread.run_sync(begun.set)
        gate.wait(10)

    shared = SharedCall(function, WorkerThreads())
    async with anyio.create_task_group() as group:
        group.start_soon(shared)
        await begun.wait()
        for _ in range(20):
            group.start_soon(shared)
        await anyio.sleep(0.01)
        gate.set()
    assert len(calls) == 2
    await shared()
    assert len(calls) == 3


@pytest.mark.anyio
async def test_a_shared_call_that_fails_fails_for_all_and_one_that_is_left_is_made_by_another():
    failing = True
    calls = []

    def function():
        calls.append(failing)
        if failing:
            raise ValueError("no")

    shared = SharedCall(function, WorkerThreads())
    errors = []

    async def call():
        try:
            await shared()
        except ValueError as error:
            errors.append(str(error))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)
    assert errors == ["no"] * 5
    failing = False
    calls.clear()
    leaving = anyio.CancelScope()

    async def leave():
        with leaving:
            await shared()

    async def cancel():
        leaving.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        group.start_soon(call)
        group.start_soon(cancel)
    assert calls
    assert len(errors) == 5


def slow_embedder(gate, begun):
    def embed(texts):
        if any("new" in text for text in texts):
            begun.release()
            gate.wait(20)
        return [[1.0, float(len(text))] for text in texts]

    return FunctionEmbedder(embed, model_id="slow", dimensions=2)


def test_a_server_refuses_what_would_wait_and_answers_what_need_not(serve, gate, check_problem):
    settings = Settings(max_wait_seconds=0.2, default_threshold=0.0)
    begun = threading.Semaphore(0)
    with serve(settings, embedder=slow_embedder(gate, begun)) as client:
        path = "/v1/caches/a/entries"
        assert client.post(path, json={"prompt": "known", "response": "r"}).status_code == 201

        def search(number):
            return client.post(f"{path}/search", json={"prompt": f"new {number}"}, timeout=30)

        with ThreadPoolExecutor(WORKERS + 20) as pool:
            first = []
            for number in range(WORKERS):  # one by one, as those that come together are one batch
                first.append(pool.submit(search, number))
                assert begun.acquire(timeout=20)
            first += [pool.submit(search, WORKERS + number) for number in range(20)]
            refused = next(each for each in iter(lambda: done(first), None) if each)
            check_problem(refused, 429)
            assert int(refused.headers["retry-after"]) >= 1
            found = client.post(f"{path}/search", json={"prompt": "known"})
            assert [each["response"] for each in found.json()["data"]] == ["r"]
            assert client.get("/health").status_code == 200
            assert client.get("/metrics").status_code == 200
            gate.set()
            statuses = {each.result().status_code for each in first}
        assert statuses == {200, 429}
        assert search(1000).status_code == 200


def done(futures):
    return next((each.result() for each in futures if each.done()), False)


def test_the_settings_say_how_long_is_too_long():
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"^max_wait_seconds: must be at least 0"):
            Settings(max_wait_seconds=wrong)
