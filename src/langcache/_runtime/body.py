"""The body of a response, read up to a limit.

A hundred kilobytes of gzip decode to a hundred megabytes, so the body is decoded in small
pieces, and the limit is checked after each. Brotli and two encodings at once make gigabytes of one
small piece, so they are not requested, and refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx

from langcache._monotonic import monotonic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langcache.httpclient import PlainResponse

_PIECE = 1 << 10  # bytes of gzip, which decode to at most a megabyte
_DECODED = frozenset({"gzip", "deflate", "br", "zstd"})  # httpx leaves the others as they are
_ACCEPTED = frozenset({"gzip", "deflate"})


def read_body(
    response: httpx.Response, request: httpx.Request, deadline: float | None, max_bytes: int
) -> None:
    """Read the body of a streamed response, which then has it as `content`, and close it.

    Args:
        response: The response.
        request: Its request.
        deadline: The `monotonic()` by which it must be complete, or None.
        max_bytes: The largest body to accept.

    Raises:
        httpx.RequestError: The body is too large, is encoded in a way that is not accepted, or did
            not arrive in time.
    """
    try:
        body = _Body(response, request, deadline, max_bytes)
        if not body.is_read:
            for part in response.iter_bytes():
                body.add(part)
            body.finish()
    finally:
        if not response.is_closed:
            response.close()


async def read_body_async(
    response: httpx.Response, request: httpx.Request, deadline: float | None, max_bytes: int
) -> None:
    """Read the body of a streamed response, as `read_body` does."""
    try:
        body = _Body(response, request, deadline, max_bytes)
        if not body.is_read:
            async for part in response.aiter_bytes():
                body.add(part)
            body.finish()
    finally:
        if not response.is_closed:
            await response.aclose()


def is_encoded(plain: PlainResponse) -> bool:
    """Return whether a plain response has a `Content-Encoding`."""
    for name, _ in plain.headers:  # noqa: SIM110 - any() takes twice as long
        if name.lower() == b"content-encoding":
            return True
    return False


def read_plain(
    plain: PlainResponse, request: httpx.Request, deadline: float | None, max_bytes: int
) -> httpx.Response:
    """Return a plain response as a response of httpx that has been read.

    Raises:
        httpx.RequestError: As `read_body`.
    """
    extensions: dict[str, Any] = {"http_version": b"HTTP/1.1"}
    if plain.reason_phrase:
        extensions["reason_phrase"] = plain.reason_phrase.encode()
    response = httpx.Response(
        plain.status_code,
        headers=plain.headers,
        stream=httpx.ByteStream(plain.content),
        request=request,
        extensions=extensions,
    )
    read_body(response, request, deadline, max_bytes)
    return response


class _Body:
    """The body of one response, as far as it has been read.

    Attributes:
        is_read: Whether the HTTP client has read the body itself, as the mocks of tests do.
    """

    def __init__(
        self,
        response: httpx.Response,
        request: httpx.Request,
        deadline: float | None,
        max_bytes: int,
    ) -> None:
        self._response = response
        self._request = request
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self.is_read = response.is_stream_consumed
        if self.is_read:
            self._check(len(response.content))
            return
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and request.method != "HEAD":
            self._check(int(declared[:20]))  # int() refuses some thousands of digits
        encodings = response.headers.get("content-encoding", "").lower().split(",")
        decoded = [each for each in map(str.strip, encodings) if each in _DECODED]
        if len(decoded) > 1 or not _ACCEPTED.issuperset(decoded):
            raise httpx.DecodingError(
                "Content-Encoding: must be gzip or deflate, once", request=request
            )
        response.stream = _Pieces(response.stream, request, deadline, _PIECE if decoded else None)

    def add(self, part: bytes) -> None:
        """Add what has been decoded."""
        self._size += len(part)
        self._check(self._size)
        self._parts.append(part)

    def finish(self) -> None:
        """Give the body to the response, as its own method `read` does."""
        self._response._content = b"".join(self._parts)  # pyright: ignore[reportPrivateUsage] # noqa: SLF001

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise httpx.RequestError(
                f"the response body must have at most {self._max_bytes} bytes",
                request=self._request,
            )


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The stream of a response in small pieces; it raises ReadTimeout after the deadline.

    The HTTP client limits the wait for a chunk, but not the time that a chunk takes to decode.
    """

    def __init__(
        self, stream: object, request: httpx.Request, deadline: float | None, size: int | None
    ) -> None:
        self._stream = stream
        self._request = request
        self._deadline = deadline
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        for chunk in cast("httpx.SyncByteStream", self._stream):
            yield from self._pieces(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in cast("httpx.AsyncByteStream", self._stream):
            for piece in self._pieces(chunk):
                yield piece

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        size = self._size or len(chunk) or 1
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]
            if self._deadline is not None and monotonic() >= self._deadline:
                raise httpx.ReadTimeout(
                    "the deadline of the call has passed", request=self._request
                )

    def close(self) -> None:
        cast("httpx.SyncByteStream", self._stream).close()

    async def aclose(self) -> None:
        await cast("httpx.AsyncByteStream", self._stream).aclose()
