"""httpx transports to a server in the same process, without a socket."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections import deque
from typing import TYPE_CHECKING

import anyio
import httpx

from langcache_mockserver.http.asgi_extensions import HANG_UP, IN_PROCESS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from starlette.types import Message, Scope

    from langcache_mockserver.background import Background
    from langcache_mockserver.http.asgi_extensions import HangUp


class Transport(httpx.BaseTransport):
    """Sends the requests of an `httpx.Client` to an application in the same process.

    The application runs in its own event loop; do not call it from that thread. The read timeout of
    a request limits the wait for each part of its response, as over a network.

    Args:
        background: The application.
    """

    def __init__(self, background: Background) -> None:
        self._background = background

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            httpx.TransportError: As over a network.
        """
        body = request.read()
        inbox: queue.SimpleQueue[Message | Exception] = queue.SimpleQueue()
        exchange = _Exchange(self._background, request, body, inbox.put)

        def receive() -> Message:
            try:
                message = inbox.get(timeout=_read_timeout(request))
            except queue.Empty:
                raise httpx.ReadTimeout("timed out", request=request) from None
            return _checked(message)

        try:
            start = receive()
        except BaseException:
            exchange.leave()
            raise
        return _response(start, _Stream(receive, exchange))


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends the requests of an `httpx.AsyncClient` to an application in the same process.

    It works in any event loop of asyncio or trio, and in several at once, because the application
    runs in its own loop in another thread. Timeouts work as in `Transport`.

    Args:
        background: The application.
    """

    def __init__(self, background: Background) -> None:
        self._background = background

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            httpx.TransportError: As over a network.
        """
        body = await request.aread()
        inbox = _Inbox()
        exchange = _Exchange(self._background, request, body, inbox.put)

        async def receive() -> Message:
            try:
                with anyio.fail_after(_read_timeout(request)):
                    message = await inbox.get()
            except TimeoutError:
                raise httpx.ReadTimeout("timed out", request=request) from None
            return _checked(message)

        try:
            start = await receive()
        except BaseException:
            exchange.leave()
            raise
        return _response(start, _AsyncStream(receive, exchange))


class _Exchange:
    """One request to the application; it begins at once.

    Args:
        background: The application.
        request: The request.
        body: Its body.
        put: Takes the ASGI messages of the response, or the error if there is none, in the thread
            of the application.
    """

    def __init__(
        self,
        background: Background,
        request: httpx.Request,
        body: bytes,
        put: Callable[[Message | Exception], None],
    ) -> None:
        self._background = background
        self._request = request
        self._body = body
        self._put = put
        self._left = asyncio.Event()
        self._is_over = False
        self._asked = False
        try:
            self._future = background.submit(self._run())
        except RuntimeError:
            raise httpx.ConnectError("the server is not running", request=request) from None
        self._future.add_done_callback(self._end)

    def leave(self) -> None:
        """Tell the application that the client has left; harmless after the end."""
        if not self._is_over:
            self._background.abandon(self._future)
            self._background.call_soon(self._left.set)

    async def _run(self) -> None:
        scope = _scope(self._request, self._hang_up)
        await self._background.app(scope, self._receive, self._send)

    def _end(self, _future: object) -> None:
        self._is_over = True
        # After a complete response nobody reads this.
        self._put(httpx.RemoteProtocolError("the server ended without a complete response"))

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left.is_set():
            return
        if self._request.method == "HEAD" and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        self._put(message)

    def _hang_up(self, *, reset: bool) -> None:
        if reset:
            self._put(httpx.ReadError("Connection reset by peer"))
        else:
            self._put(httpx.RemoteProtocolError("peer closed connection without complete body"))
        self._left.set()


class _Inbox:
    """A queue from any thread to one task, in asyncio or trio."""

    def __init__(self) -> None:
        self._messages: deque[Message | Exception] = deque()
        self._filled = anyio.Event()
        self._soon = _call_soon()

    def put(self, message: Message | Exception) -> None:
        self._messages.append(message)
        # The loop may be closed; trio's error for that is a RuntimeError, too.
        with contextlib.suppress(RuntimeError):
            self._soon(self._wake)

    async def get(self) -> Message | Exception:
        while not self._messages:
            self._filled = anyio.Event()
            await self._filled.wait()
        return self._messages.popleft()

    def _wake(self) -> None:
        self._filled.set()


def _call_soon() -> Callable[[Callable[[], None]], object]:
    """Return a function that schedules calls in the running event loop from any thread."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        from trio.lowlevel import current_trio_token

        return current_trio_token().run_sync_soon


class _Stream(httpx.SyncByteStream):
    def __init__(self, receive: Callable[[], Message], exchange: _Exchange) -> None:
        self._receive = receive
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        more = True
        while more:
            message = self._receive()
            more = message.get("more_body", False)
            yield message.get("body", b"")

    def close(self) -> None:
        self._exchange.leave()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, receive: Callable[[], Awaitable[Message]], exchange: _Exchange) -> None:
        self._receive = receive
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def aclose(self) -> None:
        self._exchange.leave()


def _scope(request: httpx.Request, hang_up: HangUp) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": None,
        "extensions": {IN_PROCESS: {}, HANG_UP: hang_up},
    }


def _read_timeout(request: httpx.Request) -> float | None:
    return request.extensions.get("timeout", {}).get("read")


def _checked(message: Message | Exception) -> Message:
    if isinstance(message, Exception):
        raise message
    return message


def _response(
    start: Message, stream: httpx.SyncByteStream | httpx.AsyncByteStream
) -> httpx.Response:
    return httpx.Response(start["status"], headers=start["headers"], stream=stream)
