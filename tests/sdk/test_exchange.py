"""Calls without the requests and responses of httpx: the results and errors stay the same."""

import asyncio
import gzip
import logging
import pickle
import socket
import threading

import httpx
import pytest

from langcache import DefaultAioHttpClient, LangCache, errors
from langcache.httpclient import AsyncExchangeClient, PlainResponse
from langcache.utils import BackoffStrategy, RetryConfig

pytestmark = pytest.mark.usefixtures("no_spans")

FOUND = b'{"data":[]}'
JSON = "Content-Type: application/json"
LIMIT = 10_000


def chunked(body, *headers):
    head = "\r\n".join(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers])
    reply = head.encode() + b"\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    def script(server, connection):
        while server.read_request(connection):
            connection.sendall(reply)

    return script


def says(data):
    """A script that sends some bytes and closes the connection."""

    def script(server, connection):
        server.read_request(connection)
        connection.sendall(data)

    return script


def silent(server, connection):
    server.read_request(connection)
    server.wait(5)


@pytest.fixture
def outcome():
    """Search with aiohttp, and return the result or the error."""

    def run(url, hook=None, search=None, http=None, **options):
        async def main():
            async with http() if http else DefaultAioHttpClient(timeout=0.3) as client:
                settings = {"retry_config": None, "max_response_bytes": LIMIT, **options}
                cache = LangCache(url, "k", "c", async_client=client, **settings)
                if hook is not None:
                    cache.hooks.before_request(hook)
                try:
                    return await (search or LangCache.search_async)(cache, prompt="p")
                except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
                    return error

        return asyncio.run(main())

    return run


def no_exchange(context, request):
    """A hook, which needs the request of httpx."""


def facts(value):
    """What is to be the same of two outcomes."""
    known = {"type": type(value), "text": str(value), "cause": type(getattr(value, "cause", None))}
    if isinstance(value, Exception):
        known["attempts"] = value.attempts
        again = pickle.loads(pickle.dumps(value))
        known["pickled"] = type(again), str(again)
    if isinstance(value, errors.LangCacheError):
        response = value.raw_response
        known["body"] = value.body, response.content
        known["headers"] = response.headers.multi_items()
        known["status"] = response.status_code, response.reason_phrase, response.http_version
        known["flags"] = response.is_closed, response.is_stream_consumed, response.history
        known["data"] = getattr(value, "data", None)
        request = response.request
    elif isinstance(value, errors.NoResponseError):
        request = value.request
    else:
        return known
    known["request"] = request.method, request.url, request.headers.multi_items(), request.content
    return known


GZIPPED = gzip.compress(FOUND)
BOMB = gzip.compress(bytes(1 << 20))
ANSWERS = {
    "found": (FOUND, "200 OK", [JSON]),
    "found with another status": (FOUND, "299 Fine", []),
    "invalid": (b'{"data": 1}', "200 OK", [JSON]),
    "empty": (b"", "200 OK", []),
    "no charset": (b"\xff\xfe", "200 Sure", ["Content-Type: text/plain; charset=rot13"]),
    "gzip": (GZIPPED, "200 OK", ["Content-Encoding: gzip"]),
    "gzip and invalid": (gzip.compress(b"{}"), "200 OK", ["Content-Encoding: GZIP"]),
    "broken gzip": (b"no gzip", "200 OK", ["Content-Encoding: gzip"]),
    "bomb": (BOMB, "200 OK", ["Content-Encoding: gzip"]),
    "bomb in an error": (BOMB, "400 Bad Request", ["Content-Encoding: gzip"]),
    "brotli": (FOUND, "200 OK", ["Content-Encoding: br"]),
    "gzip twice": (GZIPPED, "200 OK", ["Content-Encoding: gzip, gzip"]),
    "unknown encoding": (FOUND, "200 OK", ["Content-Encoding: mine"]),
    "as large as allowed": (FOUND.ljust(LIMIT), "200 OK", []),
    "declared too large": (FOUND.ljust(LIMIT + 1), "200 OK", []),
    "redirect": (b"", "307 Temporary Redirect", ["Location: /elsewhere"]),
    "refused": (b'{"title":"No"}', "400 Nope", [JSON, "X-Twice: 1", "X-Twice: 2"]),
    "no key": (b"<html>", "401 Unauthorized", ["X-Request-Id: r1"]),
    "unknown": (b"", "404 Not Found", []),
    "busy": (b"{}", "429 Too Many Requests", ["Retry-After: 9"]),
    "failed": (b"", "500 Internal Server Error", []),
    "no phrase": (b"what?", "418 ", []),
}
SCRIPTS = {
    "chunked": chunked(FOUND),
    "chunked and too large": chunked(FOUND.ljust(LIMIT + 1)),
    "chunked, gzip": chunked(GZIPPED, "Content-Encoding: gzip"),
    "no response": says(b""),
    "half a head": says(b"HTTP/1.1 200 OK\r\nContent-"),
    "half a body": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "silent": silent,
}


@pytest.mark.parametrize("name", [*ANSWERS, *SCRIPTS])
def test_a_result_or_an_error_is_that_of_httpx(scripted_server, answer, outcome, name):
    server = scripted_server(SCRIPTS.get(name) or answer(*ANSWERS[name]))
    exchanged, sent = outcome(server.url), outcome(server.url, no_exchange)
    assert facts(exchanged) == facts(sent)
    assert not isinstance(sent, Exception) or isinstance(
        sent, (errors.LangCacheError, errors.NoResponseError)
    )
    received = {
        (request.split(b"\r\n")[0], request.partition(b"\r\n\r\n")[2])
        for request in server.requests
    }
    assert len(received) == 1


def test_a_refused_connection_is_the_error_of_httpx(outcome):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        exchanged, sent = outcome(url), outcome(url, no_exchange)
    assert facts(exchanged) == facts(sent)
    assert isinstance(exchanged, errors.NoResponseError)


@pytest.fixture
def httpx_sends(monkeypatch):
    """The requests that were sent with httpx."""
    sent = []
    send = httpx.AsyncClient.send

    async def count(self, request, **options):
        sent.append(request)
        return await send(self, request, **options)

    monkeypatch.setattr(httpx.AsyncClient, "send", count)
    return sent


def test_no_request_of_httpx_is_made(scripted_server, answer, outcome, monkeypatch):
    def fail(*args, **options):
        raise AssertionError("a request of httpx was made")

    monkeypatch.setattr(httpx.Request, "__init__", fail)
    server = scripted_server(answer(FOUND))
    assert outcome(server.url).data == []
    assert outcome(server.url, timeout_ms=5000).data == []
    assert outcome(server.url, search=lambda cache, prompt: cache.health_async())


def test_the_headers_on_the_wire_are_those_of_httpx(scripted_server, answer, outcome):
    def headers(request):
        lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        return {line.lower() for line in lines} - {b"connection: keep-alive"}

    server = scripted_server(answer(FOUND))

    def search(cache, prompt):
        return cache.search_async(prompt=prompt, http_headers={"X-Mine": "yes"})

    for hook in (None, no_exchange):
        outcome(server.url, hook, search)
    exchanged, sent = map(headers, server.requests)
    assert exchanged == sent
    assert b"authorization: bearer k" in exchanged


class Sends(DefaultAioHttpClient):
    async def send(self, request, **options):
        return await super().send(request, **options)


class Wraps:
    """A client of one's own that passes on what it does not know."""

    def __init__(self):
        self.inner = DefaultAioHttpClient()

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *args):
        await self.inner.aclose()


def changed(change):
    def make():
        client = DefaultAioHttpClient()
        change(client)
        return client

    return make


@pytest.mark.parametrize(
    "http",
    [
        Sends,
        Wraps,
        lambda: DefaultAioHttpClient(headers={"x-mine": "yes"}),
        lambda: DefaultAioHttpClient(mounts={"https://": None}),
        changed(lambda client: client.headers.update({"x-mine": "yes"})),
        changed(lambda client: client.cookies.set("id", "1")),
        changed(lambda client: setattr(client, "params", {"a": "b"})),
        changed(lambda client: setattr(client, "auth", ("user", "password"))),
        changed(lambda client: setattr(client, "event_hooks", {"request": [_event_hook]})),
    ],
)
def test_a_client_with_settings_of_its_own_sends_with_httpx(
    scripted_server, answer, outcome, httpx_sends, http
):
    server = scripted_server(answer(FOUND))
    assert outcome(server.url, http=http).data == []
    assert len(httpx_sends) == 1


async def _event_hook(request):
    pass


def test_what_needs_a_request_of_httpx_gets_one(
    scripted_server, answer, outcome, httpx_sends, caplog
):
    url = scripted_server(answer(FOUND)).url
    raw = outcome(
        url, search=lambda cache, prompt: cache.with_raw_response.search_async(prompt="p")
    )
    assert (raw.status_code, raw.parsed.data, len(httpx_sends)) == (200, [], 1)
    with caplog.at_level(logging.DEBUG, "langcache"):
        assert outcome(url).data == []
    assert "POST /v1/caches/c/entries/search -> 200, attempt 1" in caplog.text
    assert len(httpx_sends) == 2


def test_a_closed_client_says_so():
    async def main():
        client = DefaultAioHttpClient()
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await LangCache("http://127.0.0.1:9", "k", "c", async_client=client).flush_async()

    asyncio.run(main())


def test_attempts_follow_the_policy(scripted_server, outcome):
    def busy_twice(server, connection):
        for _ in range(2):
            server.read_request(connection)
            connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")

    server = scripted_server(busy_twice)
    patient = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 60_000), True)
    error = outcome(server.url, retry_config=patient)
    assert isinstance(error, errors.BadRequestErrorResponseContent)
    assert (error.attempts, len(server.requests)) == (3, 3)


def trickle(server, connection):
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not server.wait(0.02):
        connection.sendall(b" ")


def test_a_call_ends_at_its_deadline(scripted_server, outcome):
    error = outcome(scripted_server(trickle).url, timeout_ms=200)
    assert isinstance(error, httpx.ReadTimeout)
    assert str(error) == "the deadline of the call has passed"
    assert error.request.url.path == "/v1/caches/c/entries/search"


def test_a_cancelled_call_leaves_the_client_usable(scripted_server, answer):
    arrived = threading.Event()

    def wait(server, connection):
        server.read_request(connection)
        arrived.set()
        server.wait(5)

    server = scripted_server(wait, answer(FOUND))

    async def main():
        async with DefaultAioHttpClient() as http:
            cache = LangCache(server.url, "k", "c", async_client=http)
            task = asyncio.create_task(cache.search_async(prompt="p"))
            assert await asyncio.to_thread(arrived.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await cache.search_async(prompt="p")

    assert asyncio.run(main()).data == []


class Own(httpx.AsyncClient):
    """A client of one's own with the method."""

    def __init__(self, response):
        super().__init__(transport=httpx.MockTransport(lambda request: httpx.Response(503)))
        self.response = response
        self.asked = []

    async def exchange(self, method, url, headers, content, deadline, max_bytes):
        self.asked.append((method, url, headers["authorization"], content, deadline, max_bytes))
        return self.response


def test_a_client_of_ones_own_may_have_the_method(outcome):
    client = Own(PlainResponse(200, [(b"X-Any", b"1")], FOUND))
    assert isinstance(client, AsyncExchangeClient)
    assert outcome("http://c.test", http=lambda: client).data == []
    url = "http://c.test/v1/caches/c/entries/search"
    assert client.asked == [("POST", url, "Bearer k", b'{"prompt":"p"}', None, LIMIT)]


def test_a_body_that_ones_own_client_did_not_bound_is_refused(outcome):
    client = Own(PlainResponse(200, [], FOUND.ljust(LIMIT + 1)))
    error = outcome("http://c.test", http=lambda: client)
    assert isinstance(error, errors.NoResponseError)
    assert "at most 10000 bytes" in str(error)


def test_a_client_may_leave_a_request_to_httpx(outcome):
    error = outcome("http://c.test", http=lambda: Own(None))
    assert isinstance(error, errors.APIError)
    assert error.status_code == 503
