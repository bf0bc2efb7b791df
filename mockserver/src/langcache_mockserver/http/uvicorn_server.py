"""uvicorn as the server of the application: all that reaches into uvicorn and httptools is here.

Some of what this module uses is not public, so `pyproject.toml` bounds the versions of both, and
`tests/mockserver/test_uvicorn_server.py` fails when it changes: of the HTTP protocol `app`,
`app_state`, `cycle`, `flow`, `pipeline`, `server_state`, `tasks`, `transport`, `url`, the methods
of `asyncio.Protocol` and of the parser, `on_response_complete`, `send_400_response`,
`timeout_keep_alive`, `timeout_keep_alive_handler`, `timeout_keep_alive_task`, `_start_asgi_task`,
`_unset_keepalive_if_required` and `_unsupported_upgrade_warning`; of a request's cycle, whose
methods `receive` and `send` are, `default_headers`, `disconnected`, `flow`, `keep_alive`,
`message_event`, `more_body`, `on_response`, `response_complete`, `response_started`, `scope`,
`transport` and `waiting_for_100_continue`; of `Multiprocess` `init_processes`, `processes`,
`should_exit`, `sockets` and `terminate_all`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import socket
import struct
import sys
import threading
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any

import uvicorn
from typing_extensions import override
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from langcache_mockserver.http.asgi_extensions import BODY_IS_HERE, HANG_UP, UNDER_WAY
from langcache_mockserver.http.problems import ProblemError, problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

START_FAILED = STARTUP_FAILURE
"""The exit status of a server process that cannot start; the others end then, too."""

MAX_HEAD_BYTES = 64 << 10
"""The largest head of a request: its first line and its headers."""

_MOST_ACCEPTED = 256  # connections, in a turn of the event loop
_START_SECONDS = 60.0  # for each worker process
_LEAST_TAKEN = 64 << 10  # bytes, as many as are kept for a client without any limit
_HEADER_PUNCTUATION = 4  # bytes between the names and values of headers
# Headers that change how a body is sent.
_SPECIAL = frozenset({b"connection", b"transfer-encoding"})
_HEAD = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)+")
_STATUS_LINE = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # what a client waits for before it sends the body


class Server(uvicorn.Server):
    """A uvicorn server that tells when it accepts connections.

    Args:
        app: The application to serve.
        listener: The socket that it accepts connections from.
        on_ready: Called once, in the server's thread, when it accepts connections.
        shutdown_seconds: How long requests under way may take to finish on shutdown.
        head_seconds: How long the head of a request may take to arrive.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        on_ready: Callable[[], object],
        *,
        shutdown_seconds: int = 3,
        head_seconds: float = 30,
    ) -> None:
        super().__init__(_config(_adapted(app), listener, shutdown_seconds, head_seconds))
        self._listener = listener
        self._on_ready = on_ready

    @override
    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until SIGTERM or Ctrl-C, or until `should_exit` is set."""
        super().run(sockets or [self._listener])

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        await super().startup(sockets)
        self._on_ready()


class ServerProcesses(Multiprocess):
    """Several server processes, which run until SIGTERM or Ctrl-C; one that dies is replaced.

    Args:
        make_app: Makes the application, in each process; `SystemExit(START_FAILED)` ends all.
        listener: The socket that all of them accept connections from.
        count: How many processes there are.
        on_ready: Called once, in this process, when all of them accept connections.
        shutdown_seconds: How long requests under way may take to finish on shutdown.
        head_seconds: How long the head of a request may take to arrive.

    Attributes:
        failed: Whether a process could not start; the log says why.
    """

    def __init__(
        self,
        make_app: Callable[[], ASGIApp],
        listener: socket.socket,
        count: int,
        on_ready: Callable[[], object],
        *,
        shutdown_seconds: int,
        head_seconds: float = 30,
    ) -> None:
        app = partial(_make_adapted, make_app)
        config = _config(app, listener, shutdown_seconds, head_seconds, factory=True, workers=count)
        super().__init__(config, [listener])
        self._on_ready = on_ready
        self.failed = False

    @override
    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(_START_SECONDS) for process in self.processes):
            self._on_ready()
        else:
            self.failed = True
            self.should_exit.set()

    @override
    def terminate_all(self) -> None:
        # While any process has the socket open, new connections wait for nobody to accept them.
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a port that is taken shows before anything is loaded.

    Raises:
        OSError: The server cannot listen on the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def url_of(listener: socket.socket, host: str) -> str:
    """Return the base URL of a server that listens on a socket, made for this host."""
    port: int = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(
    app: ASGIApp | Callable[[], ASGIApp],
    listener: socket.socket,
    shutdown_seconds: int,
    head_seconds: float,
    *,
    factory: bool = False,
    workers: int = 1,
) -> uvicorn.Config:
    http: Any = _protocol
    if callable(_protocol):
        http = partial(_protocol, seconds=head_seconds, door=_Door(listener))
    return uvicorn.Config(
        app,
        factory=factory,
        access_log=False,
        http=http,
        interface="asgi3",
        lifespan="on",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=shutdown_seconds,
        workers=workers,
        ws="none",
    )


def _make_adapted(make_app: Callable[[], ASGIApp]) -> ASGIApp:
    threading.Thread(target=_end_with_parent, name="langcache-parent", daemon=True).start()
    return _adapted(make_app())


def _end_with_parent() -> None:
    """Shut this process down when the one that started it is gone, as nobody else would then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _adapted(app: ASGIApp) -> ASGIApp:
    """Fit an application to uvicorn.

    A request that uvicorn cancels after the grace period ends without a traceback. The application
    gets the extensions `HANG_UP` and `BODY_IS_HERE`.
    """

    async def adapted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        extensions: dict[str, object] = scope.setdefault("extensions", {})
        extensions[HANG_UP] = partial(_hang_up, send)
        cycle = _cycle(receive)
        if not cycle.more_body:
            extensions[BODY_IS_HERE] = {}
        try:
            await app(scope, receive, send if _protocol == "h11" else _sender(cycle, send))
        except asyncio.CancelledError:
            # The end of the grace period on shutdown, and of the task, so it may be swallowed.
            if not cycle.response_started:
                await _refusal(_shutting_down())(scope, receive, send)
        finally:
            # `send` leads back to the scope: kept, it would leave every request to the garbage
            # collector, which takes a twentieth of the time of a request.
            del extensions[HANG_UP]

    return adapted


def _sender(cycle: Any, send: Send) -> Send:
    """Return a `send` that writes a whole response at once, in half the time.

    The head of a response that has a length waits for its body. Everything else goes the usual way.

    Args:
        cycle: uvicorn's own object of the request.
        send: Its method.
    """
    kept: Message | None = None

    async def send_whole(message: Message) -> None:
        nonlocal kept
        if kept is None and message["type"] == "http.response.start":
            kept = message
            return
        if kept is not None:
            start, kept = kept, None
            if _writes_whole(cycle, start, message):
                return
            await send(start)
        await send(message)

    return send_whole


def _writes_whole(cycle: Any, start: Message, body: Message) -> bool:
    """Write a response if it is complete and plain; return whether it was written."""
    if body.get("more_body", False) or cycle.response_started or cycle.disconnected:
        return False  # `send` knows what to do
    if cycle.flow.write_paused or not cycle.keep_alive or cycle.scope["method"] == "HEAD":
        return False
    content: bytes = body.get("body", b"")
    headers: list[tuple[bytes, bytes]] = start.get("headers", [])
    by_name = dict(headers)
    line = _STATUS_LINE.get(start["status"])
    if line is None or by_name.get(b"content-length") != b"%d" % len(content):
        return False
    if len(by_name) < len(headers) or not _SPECIAL.isdisjoint(by_name):
        return False
    all_headers = cycle.default_headers + headers
    head = b"%b\r\n" % b"\r\n".join(map(b": ".join, all_headers))
    if head.count(b"\n") > len(all_headers) or _HEAD.fullmatch(head) is None:
        return False
    cycle.transport.write_whole(b"%b%b\r\n%b" % (line, head, content))
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    cycle.on_response()
    return True


def _cycle(method: Receive | Send) -> Any:
    """Return uvicorn's own object of a request, whose methods these are."""
    bound: Any = method
    return bound.__self__


def _hang_up(send: Send, *, reset: bool) -> None:
    """End the connection of a request: by a TCP reset, or after what has been sent."""
    transport: asyncio.Transport = _cycle(send).transport
    if reset:
        no_linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, no_linger
        )
        transport.abort()
    else:
        transport.close()


class _Door:
    """Lets in the connections that wait behind one that was accepted.

    uvloop accepts one connection in each turn. A turn may take some milliseconds, and so a thousand
    clients that come together would wait for seconds before anything is known of their requests.

    Args:
        listener: The socket that connections are accepted from.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._is_due = False
        self._opening: set[asyncio.Task[Any]] = set()

    def open(
        self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """Accept what waits in the next turn; each connection gets a protocol of its own."""
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._accept, loop, protocol)

    def _accept(
        self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._is_due = False
        for _ in range(_MOST_ACCEPTED):
            try:
                connection, _address = self._listener.accept()
            except OSError:  # no more of them wait, or the server stops
                return
            connection.setblocking(False)
            task = loop.create_task(_let_in(loop, protocol, connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)


async def _let_in(
    loop: asyncio.AbstractEventLoop,
    protocol: Callable[[], asyncio.Protocol],
    connection: socket.socket,
) -> None:
    try:
        await loop.connect_accepted_socket(protocol, connection)
    except OSError:  # the client has left
        connection.close()


class _OneWriteTransport(asyncio.Transport):
    """Keeps the first write of each response, its head, until the second.

    ASGI allows that: a head that is followed by a body later comes with the first part of it.

    Args:
        transport: The transport to write to.

    Attributes:
        write_whole: Writes a whole response.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self.write_whole = transport.write
        self._head = b""
        self._head_is_sent = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._head_is_sent or data == _CONTINUE:
            self._transport.write(data)
        elif self._head:
            self._head_is_sent = True
            self._transport.write(self._head + data)
        else:
            self._head = bytes(data)

    def end_response(self) -> None:
        """Write what is kept; the next write is the head of another response."""
        if self._head and not self._head_is_sent:
            self._transport.write(self._head)
        self._head = b""
        self._head_is_sent = False

    @override
    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    @override
    def close(self) -> None:
        self.end_response()
        self._transport.close()

    @override
    def abort(self) -> None:
        self._transport.abort()

    @override
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @override
    def pause_reading(self) -> None:
        self._transport.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._transport.resume_reading()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


def _shutting_down() -> ProblemError:
    return ProblemError(503, "the server is shutting down; try again", headers={"Retry-After": "1"})


def _head_too_large() -> ProblemError:
    return ProblemError(431, f"the headers may have at most {MAX_HEAD_BYTES} bytes")


def _refusal(problem: ProblemError) -> ASGIApp:
    """Return the application that answers with a problem and closes the connection."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        response = problem_response(problem, scope["path"])
        response.headers["connection"] = "close"
        await response(scope, receive, send)

    return refuse


def _raw_response(problem: ProblemError, path: str) -> bytes:
    """Return a response as bytes that ends the connection."""
    response = problem_response(problem, path)
    response.headers["connection"] = "close"
    head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
    phrase = HTTPStatus(problem.status).phrase.encode()
    start = b"HTTP/1.1 %d %b\r\n" % (problem.status, phrase)
    return start + head + b"\r\n" + bytes(response.body)


_protocol: type[asyncio.Protocol] | str
try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # PyPy has no httptools
    _protocol = "h11"
else:

    class _HttpProtocol(HttpToolsProtocol):
        """uvicorn's protocol, with these differences.

        - Head and body of a response go out in one write instead of two.
        - The application knows the requests under way (`UNDER_WAY`).
        - A request that is not HTTP gets the contract's 400, after the responses to the requests
          before it. Nothing after it is read.
        - The head of a request, the trailers after its body and what surrounds a chunk have at most
          `MAX_HEAD_BYTES` each; more is a 431. Trailers are not headers.
        - The timer of an idle connection goes on when a request comes, and is set anew when it has
          run out: a timer for each request would take a twentieth of its time.
        - A head must arrive in `seconds`, and so must what follows an answer that did not wait for
          the body. In each such time, a client must take `_LEAST_TAKEN` bytes of a large response.

        Args:
            seconds: How long a head may take to arrive.
            door: Accepts further connections.
        """

        def __init__(self, *args: Any, seconds: float, door: _Door, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._seconds = seconds
            self._door = door
            self._timer: asyncio.TimerHandle | None = None
            self._writing_timer: asyncio.TimerHandle | None = None
            self._unsent = 0  # bytes of a response, when that timer was started
            self._idle_since: float | None = None  # when the last response was complete
            self._in_head = False
            self._in_body = False
            self._steps = 0  # of the parser, beyond heads and trailers
            self._idle_bytes = 0  # since the last of these steps
            self._refused = False
            self._last_response = b""  # after those of the requests under way

        @override
        def connection_made(self, transport: asyncio.Transport) -> None:
            self._writer = _OneWriteTransport(transport)
            super().connection_made(self._writer)
            self.app_state[UNDER_WAY] = self.tasks
            self._door.open(self.loop, self._another)
            self._start_timer()

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            if self.timeout_keep_alive_task is not None:
                self.timeout_keep_alive_task.cancel()
                self.timeout_keep_alive_task = None
            self._stop_timer()
            self._stop_writing_timer()
            super().connection_lost(exc)

        @override
        def data_received(self, data: bytes) -> None:
            if self._refused:
                return
            steps = self._steps
            super().data_received(data)
            if self._refused:
                return
            # A header grows in the parser until it is complete, with a copy for each part of it.
            self._idle_bytes = self._idle_bytes + len(data) if steps == self._steps else 0
            if self._idle_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())
            elif self._in_head and self._timer is None:
                self._start_timer()

        @override
        def on_message_begin(self) -> None:
            self._in_head = True
            super().on_message_begin()

        @override
        def on_header(self, name: bytes, value: bytes) -> None:
            if self._in_head:  # else a trailer, which must not pass for a header
                name = name.lower()
                if name == b"expect":
                    super().on_header(name, value)
                else:  # what `super` does with it, in half the time
                    self.headers.append((name, value))

        @override
        def on_headers_complete(self) -> None:
            self._steps += 1
            self._in_head, self._in_body = False, True
            if self._timer is not None:
                self._stop_timer()
            head_bytes = len(self.url) + _HEADER_PUNCTUATION * len(self.headers)
            head_bytes += sum(map(len, chain.from_iterable(self.headers)))
            if head_bytes <= MAX_HEAD_BYTES:
                super().on_headers_complete()
                return
            app = self.app
            self.app = _refusal(_head_too_large())
            super().on_headers_complete()
            self.app = app

        def on_chunk_header(self) -> None:
            self._steps += 1

        @override
        def on_body(self, body: bytes) -> None:
            self._steps += 1
            super().on_body(body)

        @override
        def on_message_complete(self) -> None:
            self._steps += 1
            self._in_body = False
            if self._timer is not None:
                self._stop_timer()
            if self.cycle.response_complete:
                self.cycle.more_body = False
            super().on_message_complete()

        @override
        def on_response_complete(self) -> None:
            self._writer.end_response()
            if self._last_response and not self.pipeline:
                self._writer.write(self._last_response)
                self._writer.close()
            elif self._in_body and not self.pipeline:  # the answer did not wait for the body
                self._start_timer()
            self.server_state.total_requests += 1
            if self.transport.is_closing():
                return
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
                return
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._check_idle_in(self.timeout_keep_alive)

        @override
        def _unset_keepalive_if_required(self) -> None:
            self._idle_since = None

        def _check_idle_in(self, seconds: float) -> None:
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self._check_idle)

        def _check_idle(self) -> None:
            """Close the connection if nothing has come for the time after a response."""
            self.timeout_keep_alive_task = None
            if self._idle_since is None:  # the next response starts the timer
                return
            left = self._idle_since + self.timeout_keep_alive - self.loop.time()
            if left > 0:
                self._check_idle_in(left)
            else:
                self.timeout_keep_alive_handler()

        @override
        def pause_writing(self) -> None:
            super().pause_writing()
            self._start_writing_timer()

        @override
        def resume_writing(self) -> None:
            self._stop_writing_timer()
            super().resume_writing()

        @override
        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._abort_later()

        @override
        def send_400_response(self, msg: str) -> None:
            self._refuse(ProblemError(400, "the request is not HTTP/1.1"))

        @override
        def _unsupported_upgrade_warning(self) -> None:
            # The parser has stopped, and what follows may be the body. It is no other request.
            self._refused = True
            self.cycle.keep_alive = False

        def _refuse(self, problem: ProblemError) -> None:
            """Answer what can't be read, after the requests before it; close the connection."""
            self._refused = True
            self._stop_timer()
            cycle: Any = self.cycle  # None before the first request
            # A request that cannot be parsed may have had a path.
            path = getattr(self, "url", b"").partition(b"?")[0].decode("latin-1")
            response = _raw_response(problem, path)
            if cycle is None or (cycle.response_complete and not cycle.more_body):
                self.transport.write(response)
            elif not cycle.more_body:  # it is not the fault of the requests under way
                self._last_response = response
                return
            elif self.pipeline:
                self.pipeline.popleft()  # the request whose body it is has not begun
                self._last_response = response
                return
            elif not cycle.response_started:
                self.transport.write(response)
            self.transport.close()

        def _another(self) -> _HttpProtocol:
            """Return the protocol of another connection of the same server."""
            return _HttpProtocol(
                self.config,
                self.server_state,
                self.app_state,
                self.loop,
                seconds=self._seconds,
                door=self._door,
            )

        def _start_timer(self) -> None:
            self._timer = self.loop.call_later(self._seconds, self._close)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _close(self) -> None:
            self.transport.close()
            self._abort_later()

        def _abort_later(self) -> None:
            """Give a client that is slow to read some time for the rest."""
            self._stop_timer()
            self._timer = self.loop.call_later(self._seconds, self.transport.abort)

        def _start_writing_timer(self) -> None:
            self._unsent = self._writer.get_write_buffer_size()
            self._writing_timer = self.loop.call_later(self._seconds, self._check_writing)

        def _stop_writing_timer(self) -> None:
            if self._writing_timer is not None:
                self._writing_timer.cancel()
                self._writing_timer = None

        def _check_writing(self) -> None:
            unsent = self._writer.get_write_buffer_size()
            if self._unsent - unsent < _LEAST_TAKEN:
                self.transport.abort()
            else:
                self._start_writing_timer()

    _protocol = _HttpProtocol
