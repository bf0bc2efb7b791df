"""Searches that arrive at the same time: they are done together, and each gets its own answer."""

import asyncio
import re
from contextlib import closing

import anyio
import httpx
import numpy as np
import pytest
from langcache_mockserver import MockServer, Settings, SimilarityTable, create_app

from langcache.engine import InMemoryStorage, SQLiteStorage

PATIENT = Settings(max_wait_seconds=0)  # a busy machine is slow, but refuses nothing
TABLE = SimilarityTable({(f"What is {number}?", f"Say {number}!"): 0.95 for number in range(10)})


class InWorkers(InMemoryStorage):
    """A storage that the event loop must not wait for."""

    def is_quick(self, scope):
        return False


@pytest.fixture(params=["loop", "worker", "sqlite"])
def storage(request, tmp_path):
    """A storage in which searches are done in the event loop or in a thread."""
    makers = {
        "loop": InMemoryStorage,
        "worker": InWorkers,
        "sqlite": lambda: SQLiteStorage(tmp_path / "entries"),
    }
    with closing(makers[request.param]()) as made:
        yield made


def client_of(app):
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://app",
        headers={"authorization": "Bearer k"},
    )


async def fill(client, *caches):
    for cache in caches:
        for number in range(10):
            body = {"prompt": f"What is {number}?", "response": f"{cache} {number}"}
            if number % 2:
                body["attributes"] = {"odd": "yes"}
            answer = await client.post(f"/v1/caches/{cache}/entries", json=body)
            assert answer.status_code == 201


def storage_searches(metrics):
    name = 'langcache_storage_duration_seconds_count{operation="search"}'
    found = re.search(rf"^{re.escape(name)} (\d+)$", metrics, re.MULTILINE)
    return int(found[1]) if found else 0


async def search(client, cache, prompt, **fields):
    return await client.post(
        f"/v1/caches/{cache}/entries/search", json={"prompt": prompt, **fields}
    )


async def ask(client, cache, number, **fields):
    answer = await search(client, cache, f"Say {number}!", **fields)
    assert answer.status_code == 200
    return [(entry["response"], round(entry["similarity"], 3)) for entry in answer.json()["data"]]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_each_of_many_searches_gets_its_own_answer(anyio_backend, storage):
    async with client_of(create_app(PATIENT, storage=storage, embedder=TABLE)) as client:
        await fill(client, "a", "b")
        for number in range(10):
            await search(client, "a", f"Say {number}!")  # so that all vectors are known
        before = storage_searches((await client.get("/metrics")).text)
        found = await asyncio.gather(
            *[ask(client, "a", number) for number in range(10)],
            *[ask(client, "b", number, similarityThreshold=0.94) for number in range(10)],
            *[ask(client, "a", number, similarityThreshold=0.96) for number in range(10)],
            *[ask(client, "a", number, attributes={"odd": "yes"}) for number in range(10)],
            *[ask(client, "empty", number) for number in range(10)],
        )
        metrics = (await client.get("/metrics")).text
    assert found == [
        *[[(f"a {number}", 0.95)] for number in range(10)],
        *[[(f"b {number}", 0.95)] for number in range(10)],
        *[[] for _ in range(10)],
        *[[(f"a {number}", 0.95)] if number % 2 else [] for number in range(10)],
        *[[] for _ in range(10)],
    ]
    uses = storage_searches(metrics) - before
    assert uses < 50
    for cache, outcome, count in (("a", "hit", 25), ("a", "near_miss", 10), ("b", "hit", 10)):
        assert f'langcache_lookups_total{{cache="{cache}",outcome="{outcome}"}} {count}' in metrics


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_searches_over_many_connections_get_their_own_answers(anyio_backend):
    found = {}

    async def ask_again_and_again(client, connection):
        found[connection] = [await ask(client, "a", number) for number in range(10)]

    with MockServer(embedder=TABLE) as server:
        headers = {"authorization": "Bearer k"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
            await fill(client, "a")
            async with anyio.create_task_group() as group:
                for connection in range(16):
                    group.start_soon(ask_again_and_again, client, connection)
    assert found == {
        connection: [[(f"a {number}", 0.95)] for number in range(10)] for connection in range(16)
    }


class Broken:
    """An embedder that has no vector of length 1 for one text."""

    model_id = "broken"
    dimensions = TABLE.dimensions

    def embed(self, texts):
        return np.stack(
            [TABLE.embed([text])[0] * np.float32(2 if text == "Say 3!" else 1) for text in texts]
        )


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_search_that_fails_fails_alone(anyio_backend, storage):
    async with client_of(create_app(PATIENT, storage=storage, embedder=Broken())) as client:
        await fill(client, "a")
        for _ in range(2):  # at first the vectors aren't known
            answers = await asyncio.gather(
                *[search(client, "a", f"Say {number}!") for number in range(10)]
            )
            statuses = [answer.status_code for answer in answers]
            assert statuses == [500 if number == 3 else 200 for number in range(10)]
    responses = [answer.json()["data"][0]["response"] for answer in answers if answer.is_success]
    assert responses == [f"a {number}" for number in range(10) if number != 3]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_caller_who_leaves_takes_nobody_along(anyio_backend, storage):
    async with client_of(create_app(PATIENT, storage=storage, embedder=TABLE)) as client:
        await fill(client, "a")
        for number in range(10):
            await search(client, "a", f"Say {number}!")
        tasks = [asyncio.create_task(ask(client, "a", number)) for number in range(10)]
        for turns in range(30):
            await asyncio.sleep(0)
            if turns % 3 == 0:
                tasks[turns // 3].cancel()
            others = [asyncio.create_task(ask(client, "a", 5)) for _ in range(3)]
            tasks += others
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert set(map(type, found)) <= {list, asyncio.CancelledError}
    assert [each for each in found[10:] if isinstance(each, list)] == [[("a 5", 0.95)]] * 90
