"""The connections of the default client for async calls."""

import threading

import anyio
import httpx
import pytest

from langcache import DefaultAsyncHttpClient, LangCache
from langcache._connection_pool import ConnectionPool

OK = b'{"ok": true}'


@pytest.fixture(params=["asyncio", "trio"])
def run(request):
    """Run a coroutine function with a client whose limits are given."""

    def run(main, **limits):
        async def with_client():
            async with DefaultAsyncHttpClient(
                timeout=httpx.Timeout(5, pool=0.2), limits=httpx.Limits(**limits)
            ) as http:
                await main(http)

        anyio.run(with_client, backend=request.param)

    return run


def cache(url, http, **options):
    return LangCache(url, "k", "c", async_client=http, retry_config=None, **options)


async def together(count, call):
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(call)


def test_connections_are_used_again(scripted_server, answer, run):
    server = scripted_server(answer(OK))

    async def main(http):
        client = cache(server.url, http)
        for _ in range(3):
            await together(8, client.health_async)
        await client.health_async()

    run(main, max_keepalive_connections=8)
    assert server.connections <= 8
    assert len(server.requests) == 25


def test_there_are_no_more_connections_than_allowed(scripted_server, answer, run):
    one, other = scripted_server(answer(OK)), scripted_server(answer(OK))

    async def main(http):
        await together(20, cache(one.url, http).health_async)
        await together(20, cache(other.url, http).health_async)
        await cache(one.url, http).health_async()

    run(main, max_connections=2)
    assert one.connections <= 3  # those of the other server were closed for it
    assert other.connections <= 2


def silent(arrived):
    def script(server, connection):
        server.read_request(connection)
        arrived.set()
        server.wait(10)

    return script


def test_a_call_that_gets_no_connection_in_time_fails(scripted_server, run):
    arrived = threading.Event()
    server = scripted_server(silent(arrived))

    async def main(http):
        client = cache(server.url, http)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.health_async)
            await anyio.to_thread.run_sync(arrived.wait, 10)
            with pytest.raises(httpx.PoolTimeout):
                await client.health_async()
            tasks.cancel_scope.cancel()

    run(main, max_connections=1)


def test_a_cancelled_call_makes_room_for_one_that_waits(scripted_server, answer, run):
    arrived = threading.Event()
    server = scripted_server(silent(arrived), answer(OK))
    found = []

    async def main(http):
        client = cache(server.url, http, timeout_ms=10_000)

        async def ask():
            found.append(await client.health_async())

        async with anyio.create_task_group() as waiting, anyio.create_task_group() as first:
            first.start_soon(ask)
            await anyio.to_thread.run_sync(arrived.wait, 10)
            with anyio.CancelScope() as gives_up:
                async with anyio.create_task_group() as second:
                    second.start_soon(ask)
                    waiting.start_soon(ask)
                    await anyio.lowlevel.checkpoint()
                    gives_up.cancel()
            first.cancel_scope.cancel()

    run(main, max_connections=1)
    assert [health.ok for health in found] == [True]


@pytest.mark.parametrize(
    "limits", [{"keepalive_expiry": 0}, {"max_keepalive_connections": 0}], ids=str
)
def test_connections_that_may_not_stay_idle_are_closed(scripted_server, answer, run, limits):
    server = scripted_server(answer(OK))

    async def main(http):
        for _ in range(3):
            await cache(server.url, http).health_async()

    run(main, **limits)
    assert server.connections == 3


def test_idle_connections_are_closed_in_time(scripted_server, answer, run, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("langcache._connection_pool.monotonic", lambda: now[0])
    ended = threading.Event()

    def once(server, connection):
        answer(OK)(server, connection)
        ended.set()

    server, other = scripted_server(once), scripted_server(answer(OK))

    async def main(http):
        await cache(server.url, http).health_async()
        now[0] = 31
        await cache(other.url, http).health_async()
        assert await anyio.to_thread.run_sync(ended.wait, 10)

    run(main, keepalive_expiry=30)


def test_a_connection_that_the_server_closed_is_replaced(scripted_server, answer, run):
    closed = threading.Event()

    def once(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(OK), OK))
        connection.close()
        closed.set()

    server = scripted_server(once, answer(OK))

    async def main(http):
        client = cache(server.url, http)
        await client.health_async()
        assert await anyio.to_thread.run_sync(closed.wait, 10)
        await client.health_async()

    run(main)
    assert server.connections == 2


def test_every_transport_has_this_pool(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "internal.test")
    client = DefaultAsyncHttpClient()
    transports = [client._transport, *filter(None, client._mounts.values())]
    assert len(transports) == 2
    for transport in transports:
        assert isinstance(transport._pool, ConnectionPool)


def test_a_proxy_is_asked(scripted_server, answer, run, monkeypatch):
    proxy = scripted_server(answer(OK))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)

    async def main(http):
        for _ in range(2):
            await cache("http://service.test", http).health_async()

    run(main)
    assert proxy.connections == 1
    assert proxy.requests[0].startswith(b"GET http://service.test/v1/caches/c/health ")
