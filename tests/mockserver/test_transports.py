import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial

import anyio
import httpx
import pytest
import trio
from langcache_mockserver import MockServer, SimilarityTable
from langcache_mockserver.planes.service import service_in

from langcache import LangCache
from langcache.engine import FunctionEmbedder
from langcache.httpclient import AsyncHttpClient, HttpClient


@pytest.fixture(scope="module", params=[False, True], ids=["in process", "listening"])
def server(request):
    with MockServer(embedder=SimilarityTable({}), listen=request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server):
    server.reset()


@pytest.fixture
def cache(server):
    return LangCache(
        server.url, "key", "cache", client=server.client(), async_client=server.async_client()
    )


async def use(cache):
    await cache.set_async(prompt="p", response="r")
    return (await cache.search_async(prompt="p")).data[0].response


def test_the_clients_are_what_the_sdk_asks_for(server):
    assert isinstance(server.client(), HttpClient)
    assert isinstance(server.async_client(), AsyncHttpClient)


def test_blocking_calls(cache):
    cache.set(prompt="p", response="r")
    assert cache.search(prompt="p").data[0].response == "r"
    cache.flush()
    assert cache.search(prompt="p").data == []


def test_async_calls_in_any_loop_one_after_the_other(cache):
    for run in (asyncio.run, trio.run, asyncio.run):
        assert run(use, cache) == "r" if run is trio.run else run(use(cache)) == "r"


def test_async_calls_in_several_loops_at_once(cache, server):
    server.faults.add(latency=0.05)
    runs = [lambda: asyncio.run(use(cache)), lambda: trio.run(use, cache)] * 3
    with ThreadPoolExecutor(6) as pool:
        assert [each.result() for each in [pool.submit(run) for run in runs]] == ["r"] * 6


def test_many_calls_at_once_do_not_wait_for_each_other(cache, server):
    server.faults.add(latency=0.2)

    async def main():
        await asyncio.gather(*(cache.search_async(prompt="p") for _ in range(100)))

    started = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - started < 100 * 0.2 / 3


def test_a_blocking_call_within_an_event_loop_gets_its_answer(cache):
    async def main():
        pending = asyncio.create_task(use(cache))
        await asyncio.sleep(0)
        cache.search(prompt="p")  # while the other answer waits for this loop
        return await pending

    assert asyncio.run(main()) == "r"


def test_paths_headers_and_bodies_arrive_as_they_are(server):
    with server.client() as http:
        http.headers["authorization"] = "Bearer key"
        body = {"prompt": "ü" * 1000, "response": "€\u2028"}
        path = "/v1/caches/a%2Fb%20c/entries"
        answer = http.post(f"{path}?x=1", json=body, headers={"X-Request-Id": "mine"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (201, "mine")
        found = http.post(f"{path}/search", json={"prompt": body["prompt"]}).json()["data"][0]
        assert (found["prompt"], found["response"]) == (body["prompt"], body["response"])
    (first,) = server.journal.find(operation="set", cache_id="a/b c")
    assert first.path == path


def test_a_body_that_is_streamed_arrives(server):
    with server.client() as http:
        answer = http.post(
            "/v1/caches/c/entries/search",
            content=iter([b'{"prompt":', b'"p"}']),
            headers={"authorization": "Bearer key", "content-type": "application/json"},
        )
    assert answer.json() == {"data": []}


def test_an_answer_to_head_has_no_body(server):
    with server.client() as http:
        answer = http.head("/health")
    assert (answer.status_code, answer.content) == (200, b"")


def test_timeouts_hold(server):
    server.faults.add(latency=30)
    timeout = httpx.Timeout(5, read=0.05)
    with server.client() as http, pytest.raises(httpx.ReadTimeout) as caught:
        http.post("/v1/caches/c/flush", timeout=timeout)
    assert caught.value.request.url.path == "/v1/caches/c/flush"

    async def main():
        async with server.async_client() as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post("/v1/caches/c/flush", timeout=timeout)

    asyncio.run(main())
    trio.run(main)


def test_a_timeout_of_the_sdk_holds(cache, server):
    server.faults.add(latency=30)
    with pytest.raises(Exception, match="timed out"):
        cache.search(prompt="p", timeout_ms=50, retries=None)
    with pytest.raises(Exception, match=r"timed out|deadline"):
        asyncio.run(cache.search_async(prompt="p", timeout_ms=50, retries=None))


def test_a_call_that_is_cancelled_leaves_the_server_well(cache, server):
    async def main():
        server.faults.add(latency=30, times=1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.search_async(prompt="p"), 0.05)
        return await use(cache)

    assert asyncio.run(main()) == "r"


def test_an_answer_that_is_not_read_to_its_end_does_no_harm(server):
    server.faults.add(drip_bytes=1, drip_interval=0.01)
    with server.client() as http:
        for _ in range(3):
            with http.stream("GET", "/v1/caches/c/health") as answer:
                assert answer.status_code == 401
        server.faults.clear()
        assert http.get("/health").json() == {"ok": True}


def test_the_environments_proxies_are_not_asked(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with server.client() as http:
        assert http.get("/health").status_code == 200


def test_a_client_of_a_server_that_has_stopped_cannot_connect():
    server = MockServer(embedder=SimilarityTable({}), listen=False)
    with pytest.raises(RuntimeError, match="is not running"):
        server.client()
    with server:
        http, async_http = server.client(), server.async_client()
        assert http.get("/health").status_code == 200
    with pytest.raises(httpx.ConnectError):
        http.get("/health")

    async def main():
        with pytest.raises(httpx.ConnectError):
            await async_http.get("/health")

    asyncio.run(main())
    http.close()


def test_a_server_that_stops_lets_requests_finish():
    server = MockServer(embedder=SimilarityTable({}), listen=False)
    answers = []
    with server:
        server.faults.add(latency=0.3)
        http = server.client()
        thread = threading.Thread(target=lambda: answers.append(http.post("/v1/caches/c/flush")))
        thread.start()
        while not any(each.struck for each in server.faults):
            time.sleep(0.005)
    thread.join(10)
    assert [each.status_code for each in answers] == [401]


def test_a_server_that_does_not_listen_has_no_address_in_any_network():
    with (
        MockServer(embedder=SimilarityTable({}), listen=False) as server,
        pytest.raises(httpx.ConnectError),
    ):
        httpx.get(f"{server.url}/health", trust_env=False)


def test_servers_of_a_process_share_the_model():
    def embedder_of(_):
        with MockServer(listen=False) as server:
            return service_in(server._running.app).description.embedder

    with ThreadPoolExecutor(4) as pool:
        assert len({id(each) for each in pool.map(embedder_of, range(4))}) == 1


@pytest.mark.parametrize("run", [trio.run, partial(anyio.run, backend="trio")])
def test_the_first_request_may_come_from_trio(run):
    with MockServer(listen=False) as server:
        cache = LangCache(
            server.url, "key", "cache", client=server.client(), async_client=server.async_client()
        )
        assert run(use, cache) == "r"
        assert asyncio.run(use(cache)) == "r"
        cache.flush()


@pytest.mark.parametrize("is_async", [False, True])
def test_no_context_variable_of_a_caller_reaches_the_server(is_async):
    tenant = ContextVar("tenant", default=None)
    seen = []

    def embed(texts):
        seen.append(tenant.get())
        return [[1.0, 0.0]] * len(texts)

    embedder = FunctionEmbedder(embed, model_id="seen", dimensions=2)
    tenant.set("acme")
    with MockServer(listen=False, embedder=embedder) as server:
        cache = LangCache(
            server.url, "key", "cache", client=server.client(), async_client=server.async_client()
        )
        if is_async:
            asyncio.run(use(cache))
        else:
            cache.search(prompt="p")
    assert seen == [None]
