import asyncio
import gc
import ssl
import threading
import weakref

import httpx
import pytest
import trio

from langcache import (
    DefaultAioHttpClient,
    DefaultAsyncHttpClient,
    DefaultHttpClient,
    LangCache,
    errors,
)


def client(url, **options):
    return LangCache(server_url=url, cache_id="c", api_key="k", **options)


@pytest.fixture
def url(scripted_server, answer):
    return scripted_server(answer(b'{"ok": true}')).url


def test_nothing_is_made_before_the_first_call(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("an HTTP client was made")

    monkeypatch.setattr(httpx.Client, "__init__", fail)
    monkeypatch.setattr(httpx.AsyncClient, "__init__", fail)
    with client("https://example.com"):
        pass


def test_all_clients_share_one_tls_context(monkeypatch):
    made = []
    create = ssl.SSLContext.load_verify_locations

    def count(self, *args, **kwargs):
        made.append(self)
        return create(self, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", count)
    caches = [client("https://127.0.0.1:9", retry_config=None) for _ in range(3)]
    for cache in caches:
        with cache, pytest.raises(errors.NoResponseError):
            cache.health()
    assert len(set(made)) <= 1


def test_a_supplied_client_is_used_as_it_is_and_left_open(url):
    seen = []
    with httpx.Client(
        headers={"x-mine": "yes"}, event_hooks={"request": [lambda r: seen.append(r.headers)]}
    ) as http:
        with client(url, client=http) as cache:
            cache.health()
        assert not http.is_closed
        cache.health()
    assert [headers["x-mine"] for headers in seen] == ["yes", "yes"]


def test_a_supplied_async_client_is_left_open(url):
    async def main():
        async with httpx.AsyncClient() as http:
            async with client(url, async_client=http) as cache:
                assert (await cache.health_async()).ok
            assert not http.is_closed
            assert (await cache.health_async()).ok

    asyncio.run(main())


def test_a_client_of_ones_own_may_wrap_another(url):
    class Wrapper:
        def __init__(self, inner):
            self.inner = inner

        def build_request(self, *args, **kwargs):
            return self.inner.build_request(*args, **kwargs)

        def send(self, request, **kwargs):
            request.headers["x-wrapped"] = "1"
            return self.inner.send(request, **kwargs)

        def close(self):
            raise AssertionError("closed a client that is not ours")

    with httpx.Client() as http, client(url, client=Wrapper(http), timeout_ms=5000) as cache:
        assert cache.health().ok


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"client": httpx.AsyncClient()}, "client: .*async_client"),
        ({"async_client": httpx.Client()}, "async_client: .* not async"),
        ({"client": "http"}, r"client: .*send\(\) and build_request\(\)"),
    ],
)
def test_a_client_of_the_wrong_kind_is_a_type_error(options, message):
    with pytest.raises(TypeError, match=message):
        client("http://127.0.0.1:9", **options)


def test_the_defaults_can_be_taken_and_changed(url):
    with DefaultHttpClient(headers={"x-mine": "yes"}, trust_env=False) as http:
        assert client(url, client=http).health().ok

    async def main():
        async with DefaultAsyncHttpClient(timeout=3) as http:
            assert (await client(url, async_client=http).health_async()).ok

    asyncio.run(main())


def test_the_aiohttp_transport_works(url):
    async def main():
        async with DefaultAioHttpClient() as http:
            cache = client(url, async_client=http, timeout_ms=5000)
            assert (await cache.health_async()).ok
            refused = client("http://127.0.0.1:9", async_client=http, retry_config=None)
            with pytest.raises(errors.NoResponseError):
                await refused.health_async()

    asyncio.run(main())


def test_threads_share_a_client(url):
    results = []
    with client(url) as cache:
        threads = [
            threading.Thread(target=lambda: results.append(cache.health().ok)) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [True] * 16


def test_tasks_and_loops_share_a_client(url):
    cache = client(url)

    async def main():
        async with cache:
            return await asyncio.gather(*(cache.health_async() for _ in range(8)))

    def in_a_thread():
        results.extend(asyncio.run(main()))

    results = []
    threads = [threading.Thread(target=in_a_thread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [health.ok for health in results] == [True] * 32


def test_both_kinds_are_closed_by_either(url):
    async def main():
        async with client(url) as cache:
            cache.health()
            await cache.health_async()

    asyncio.run(main())

    loop = asyncio.new_event_loop()
    with client(url) as cache:
        cache.health()
        loop.run_until_complete(cache.health_async())
    loop.close()  # would warn of an open transport, and warnings are errors


def test_a_client_is_collected_without_a_finalizer(url):
    cache = client(url)
    cache.health()
    cache.close()
    gone = weakref.ref(cache)
    assert not hasattr(type(cache), "__del__")
    del cache
    gc.collect()
    assert gone() is None


def test_an_async_method_needs_a_running_loop():
    cache = client("http://127.0.0.1:9")
    with pytest.raises(RuntimeError, match="event loop"):
        cache.health_async().send(None)


def test_cancelling_a_call_leaves_the_client_usable(scripted_server, answer):
    def silent(server, connection):
        server.read_request(connection)
        server.wait(5)

    server = scripted_server(silent, answer(b'{"ok": true}'))

    async def main():
        async with client(server.url) as cache:
            task = asyncio.create_task(cache.health_async())
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await cache.health_async()

    assert asyncio.run(main()).ok


def test_the_base_url_may_have_a_path_and_differ_for_a_call(scripted_server, answer):
    one, other = (scripted_server(answer(b'{"ok": true}')) for _ in range(2))
    with client(f"{one.url}/prefix/") as cache:
        cache.health()
        cache.health(server_url=f"{other.url}/else")
    assert one.requests[0].startswith(b"GET /prefix/v1/caches/c/health ")
    assert other.requests[0].startswith(b"GET /else/v1/caches/c/health ")


def open_connections(server):
    """The number of connections that the server has and the client has not closed."""
    return sum(thread.is_alive() for thread in server._threads)


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_a_loop_that_ends_closes_its_connections(scripted_server, answer, run):
    server = scripted_server(answer(b'{"ok": true}'))
    cache = client(server.url)
    for _ in range(5):
        run(cache.health_async if run is trio.run else cache.health_async())
    assert server.connections == 5
    for thread in server._threads:
        thread.join(5)  # they end with their connection
    assert open_connections(server) == 0
    assert cache._clients._own.by_loop.loops() == []


def test_a_client_that_nobody_closed_is_closed_by_its_loop(scripted_server, answer):
    server = scripted_server(answer(b'{"ok": true}'))

    async def main():
        await client(server.url).health_async()
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    server._threads[0].join(5)
    assert open_connections(server) == 0


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_closed_by_hand_goes_when_the_next_one_comes(url):
    cache = client(url)
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(cache.health_async())
        loop.close()
    assert cache._clients._own.by_loop.loops() == [loop]
    cache.close()
    assert cache._clients._own.by_loop.loops() == []
    del loop
    gc.collect()
