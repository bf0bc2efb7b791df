"""A response of any size: the client reads no more of it than it may."""

import gzip
import json
import zlib

import httpx
import pytest

from langcache import LangCache, errors

LIMIT = 1 << 20
MEGABYTES = gzip.compress(bytes(100 << 20), 1)


def body_of(size):
    return json.dumps({"ok": True, "filler": ""}).encode().ljust(size)


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Counts the bytes that are read of it."""

    def __init__(self, content, chunk):
        self.content = content
        self.chunk = chunk
        self.taken = 0

    def __iter__(self):
        for start in range(0, len(self.content), self.chunk):
            part = self.content[start : start + self.chunk]
            self.taken += len(part)
            yield part

    async def __aiter__(self):
        for part in self:
            yield part


def client(stream, status=200, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.MockTransport(lambda request: httpx.Response(status, headers=names, stream=stream))


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """Ask for the health of a cache, and return the result or raise the error."""

    def sync(transport, **options):
        with httpx.Client(transport=transport) as http:
            return LangCache("http://c.test", "k", "c", client=http, **options).health()

    def async_(transport, **options):
        import anyio

        async def main():
            async with httpx.AsyncClient(transport=transport) as http:
                cache = LangCache("http://c.test", "k", "c", async_client=http, **options)
                return await cache.health_async()

        return anyio.run(main)

    return sync if request.param == "sync" else async_


@pytest.mark.parametrize("timeout_ms", [None, 60_000])
@pytest.mark.parametrize("status", [200, 400, 503, 418])
def test_a_larger_body_is_refused_while_it_is_read(ask, timeout_ms, status):
    stream = Stream(bytes(100 * LIMIT), 65_536)
    with pytest.raises(errors.NoResponseError, match="at most 1048576 bytes") as caught:
        ask(client(stream, status), max_response_bytes=LIMIT, timeout_ms=timeout_ms)
    assert stream.taken <= LIMIT + 65_536
    assert caught.value.attempts == 1  # it would be as large again


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", MEGABYTES),
        ("deflate", zlib.compress(bytes(100 << 20), 1)),
        ("GZIP", MEGABYTES),
        (" identity , gzip", MEGABYTES),
    ],
)
def test_a_bomb_is_refused_while_it_is_decoded(ask, encoding, content):
    stream = Stream(content, 1 << 16)
    with pytest.raises(errors.NoResponseError, match="at most 1048576 bytes"):
        ask(client(stream, content_encoding=encoding), max_response_bytes=LIMIT)
    assert stream.taken <= 1 << 16


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip,br", "deflate, gzip"])
def test_encodings_that_cannot_be_bounded_are_refused_unread(ask, encoding):
    stream = Stream(gzip.compress(MEGABYTES), 1 << 16)
    with pytest.raises(errors.NoResponseError, match=r"^Content-Encoding: ") as caught:
        ask(client(stream, content_encoding=encoding))
    assert isinstance(caught.value, httpx.DecodingError)
    assert stream.taken == 0


@pytest.mark.parametrize("size", ["1048577", "9" * 5000])
def test_a_body_that_is_declared_too_large_is_refused_unread(ask, size):
    stream = Stream(bytes(100), 100)
    with pytest.raises(errors.NoResponseError, match="at most 1048576 bytes"):
        ask(client(stream, content_length=size), max_response_bytes=LIMIT)
    assert stream.taken == 0


def test_decoding_does_not_pass_the_deadline(ask, monkeypatch):
    now = [0.0]
    for module in ("body", "call", "drivers"):
        monkeypatch.setattr(f"langcache._runtime.{module}.monotonic", lambda: now[0])

    class Late(Stream):
        def __iter__(self):
            for part in super().__iter__():
                now[0] += 1 if self.taken == len(self.content) else 0
                yield part

    stream = Late(MEGABYTES, len(MEGABYTES))
    with pytest.raises(errors.NoResponseError, match="the deadline of the call has passed"):
        ask(client(stream, content_encoding="gzip"), timeout_ms=900, retry_config=None)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", "unknown"])
@pytest.mark.parametrize("chunk", [1, 700, 1 << 20])
def test_a_body_of_the_largest_size_is_read(ask, encoding, chunk):
    content = body_of(50_000)
    sent = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)(content)
    answer = ask(
        client(Stream(sent, chunk), content_encoding=encoding), max_response_bytes=len(content)
    )
    assert answer.ok


def test_a_body_that_the_http_client_has_read_itself_is_checked_too(ask):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body_of(LIMIT)))
    assert ask(transport, max_response_bytes=LIMIT).ok
    with pytest.raises(errors.NoResponseError, match="at most"):
        ask(transport, max_response_bytes=LIMIT - 1)


def test_only_encodings_that_can_be_bounded_are_asked_for(ask):
    asked = []

    def answer(request):
        asked.append(request.headers["accept-encoding"])
        return httpx.Response(200, content=body_of(100))

    ask(httpx.MockTransport(answer))
    assert asked == ["gzip, deflate"]


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError), (True, TypeError)]
)
def test_an_impossible_limit_is_refused(limit, error):
    with pytest.raises(error, match=r"^max_response_bytes: "):
        LangCache("http://c.test", "k", "c", max_response_bytes=limit)
