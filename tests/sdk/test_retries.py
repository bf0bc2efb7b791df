import socket
import time

import anyio
import httpx
import pytest
import respx

from langcache import LangCache, errors
from langcache._runtime.retry import is_refused
from langcache.httpclient import DefaultAioHttpClient
from langcache.utils import BackoffStrategy, RetryConfig

URL = "http://langcache.test/v1/caches/c/flush"
FAST = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 60_000), True)
NONE = RetryConfig("none", BackoffStrategy(1, 1, 1, 60_000), True)


def client(**options):
    return LangCache(server_url="http://langcache.test", cache_id="c", api_key="k", **options)


@pytest.fixture
def busy():
    """A service that responds with 503 three times, then with 204."""
    with respx.mock(assert_all_called=False) as router:
        route = router.post(URL)
        route.side_effect = [httpx.Response(503)] * 3 + [httpx.Response(204)]
        yield route


def test_the_default_is_that_of_the_contract(busy):
    with client() as cache:
        cache.flush()
    assert busy.call_count == 4


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_by_default_these_statuses_are_retried(status):
    with respx.mock, client() as cache:
        route = respx.post(URL)
        route.side_effect = [httpx.Response(status), httpx.Response(204)]
        cache.flush()
    assert route.call_count == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 415, 424, 500, 501])
def test_by_default_these_statuses_are_not_retried(status):
    with respx.mock, client() as cache:
        route = respx.post(URL).respond(status)
        with pytest.raises(errors.LangCacheError):
            cache.flush()
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("of_client", "of_call", "attempts"),
    [
        ({"retry_config": None}, {}, 1),
        ({"retry_config": NONE}, {}, 1),
        ({"retry_config": FAST}, {}, 4),
        ({"retry_config": None}, {"retries": FAST}, 4),
        ({"retry_config": FAST}, {"retries": None}, 1),
        ({"retry_config": FAST}, {"retries": NONE}, 1),
        ({}, {"retries": None}, 1),
    ],
)
def test_the_call_goes_before_the_client(busy, of_client, of_call, attempts):
    with client(**of_client) as cache:
        if attempts == 4:
            cache.flush(**of_call)
        else:
            with pytest.raises(errors.APIError):
                cache.flush(**of_call)
    assert busy.call_count == attempts


def test_statuses_of_the_config_replace_the_default_ones():
    only_418 = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 60_000), True, ["418"])
    with respx.mock, client(retry_config=only_418) as cache:
        route = respx.post(URL)
        route.side_effect = [httpx.Response(418), httpx.Response(503)]
        with pytest.raises(errors.APIError) as caught:
            cache.flush()
    assert (caught.value.status_code, caught.value.attempts) == (503, 2)


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (httpx.ConnectError, True),
        (httpx.ConnectTimeout, True),
        (httpx.ReadError, True),
        (httpx.ReadTimeout, True),
        (httpx.RemoteProtocolError, True),
        (httpx.LocalProtocolError, False),
        (httpx.UnsupportedProtocol, False),
        (httpx.DecodingError, False),
    ],
)
def test_a_broken_connection_is_retried_and_a_broken_request_is_not(error, retried):
    with respx.mock(assert_all_called=False) as router, client(retry_config=FAST) as cache:
        route = router.post(URL)
        route.side_effect = [error("broken"), httpx.Response(204)]
        if retried:
            cache.flush()
        else:
            with pytest.raises(error):
                cache.flush()
    assert route.call_count == (2 if retried else 1)


def test_connection_errors_are_left_alone_when_asked():
    config = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 60_000), False)
    with respx.mock, client(retry_config=config) as cache:
        route = respx.post(URL).mock(side_effect=httpx.ConnectError("down"))
        with pytest.raises(httpx.ConnectError):
            cache.flush()
    assert route.call_count == 1


def test_a_call_ends_within_max_elapsed_time():
    config = RetryConfig("backoff", BackoffStrategy(10, 50, 2, 300), True)
    started = time.monotonic()
    with respx.mock, client(retry_config=config) as cache:
        respx.post(URL).respond(503)
        with pytest.raises(errors.APIError) as caught:
            cache.flush()
    assert caught.value.attempts > 3
    assert time.monotonic() - started < 10


def test_timeout_ms_ends_retries_too():
    with respx.mock, client(retry_config=FAST, timeout_ms=200) as cache:
        respx.post(URL).respond(503)
        started = time.monotonic()
        # The last attempt either got a response or ran out of time.
        with pytest.raises((errors.APIError, errors.NoResponseError)):
            cache.flush()
    assert time.monotonic() - started < 10


def test_a_refused_connection_is_retried_until_the_server_is_up(scripted_server, answer):
    server = scripted_server(answer(b"", "204 No Content"))
    attempts = []
    with LangCache(
        server_url="http://127.0.0.1:9", cache_id="c", api_key="k", retry_config=FAST
    ) as cache:

        @cache.hooks.before_request
        def move(context, request):
            attempts.append(context.attempt)
            if context.attempt == 3:
                request.url = httpx.URL(f"{server.url}/v1/caches/c/flush")

        cache.flush()
    assert attempts == [1, 2, 3]


@pytest.fixture(params=["127.0.0.1", "localhost", "[::1]"])
def down(request):
    """The URL of a port where nothing listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://{request.param}:{closed.getsockname()[1]}"


def attempts_of(call):
    with pytest.raises(httpx.TransportError) as caught:  # aiohttp calls it a timeout
        call()
    return caught.value.attempts


def ask_async(url, backend, make=None, **options):
    async def main():
        http = make and make()
        async with LangCache(url, "k", "c", async_client=http, **options) as cache:
            try:
                await cache.flush_async()
            finally:
                if http:
                    await http.aclose()

    return anyio.run(main, backend=backend)


def test_a_refused_connection_fails_at_once_by_default(down):
    with LangCache(down, "k", "c") as cache:
        assert attempts_of(cache.flush) == 1
    for backend in ("asyncio", "trio"):
        assert attempts_of(lambda backend=backend: ask_async(down, backend)) == 1
    assert attempts_of(lambda: ask_async(down, "asyncio", DefaultAioHttpClient)) == 1


def test_a_refused_connection_is_retried_with_a_policy_of_the_callers_own(down):
    patient = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 50), True)
    with LangCache(down, "k", "c", retry_config=patient) as cache:
        assert attempts_of(cache.flush) > 1
    with LangCache(down, "k", "c") as cache:
        assert attempts_of(lambda: cache.flush(retries=patient)) > 1
    assert attempts_of(lambda: ask_async(down, "asyncio", retry_config=patient)) > 1


@pytest.mark.parametrize(
    "cause",
    [
        ConnectionResetError(),
        BrokenPipeError(),
        TimeoutError(),
        OSError(113, "No route to host"),
        socket.gaierror(-3, "Temporary failure in name resolution"),
        None,
    ],
)
def test_other_failures_to_connect_are_retried_by_default(cause, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with respx.mock, client() as cache:
        error = httpx.ConnectError("broken")
        error.__cause__ = cause
        respx.post(URL).side_effect = [error, httpx.Response(204)]
        cache.flush()


def test_a_cause_that_leads_back_to_itself_ends():
    error = httpx.ConnectError("odd")
    error.__cause__ = error
    assert not is_refused(error)


def test_retries_end_although_the_clock_is_frozen(scripted_server, answer, monkeypatch):
    server = scripted_server(answer(status="503 Service Unavailable"))
    policy = RetryConfig("backoff", BackoffStrategy(1, 5, 1, 100), retry_connection_errors=True)
    for name in ("time", "monotonic", "perf_counter"):  # as freezegun does it
        monkeypatch.setattr(time, name, lambda: 1_000_000.0)
    cache = LangCache(server_url=server.url, cache_id="c", api_key="k", retry_config=policy)
    with cache, pytest.raises(errors.APIError):
        cache.health()
    with cache, pytest.raises(errors.APIError):
        cache.health(retries=None, timeout_ms=5000)


def test_a_call_ends_at_its_deadline_although_the_clock_is_frozen(scripted_server, monkeypatch):
    def trickle(server, connection):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.wait(0.02):
            connection.sendall(b" ")

    server = scripted_server(trickle)
    monkeypatch.setattr(time, "monotonic", lambda: 1_000_000.0)
    cache = LangCache(server_url=server.url, cache_id="c", api_key="k", retry_config=None)
    with cache, pytest.raises(errors.NoResponseError):
        cache.health(timeout_ms=100)
