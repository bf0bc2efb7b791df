"""uvicorn as the server of the application: all that reaches into uvicorn and httptools is here.

Some of what this module uses is not public, so `pyproject.toml` bounds the versions of both, and
`tests/mockserver/test_uvicorn_server.py` fails when it changes: of the HTTP protocol `app_state`,
`tasks`, `transport`, `url`, `connection_made`, `on_response_complete` and `send_400_response`; of
a request's cycle, whose methods `receive` and `send` are, `more_body` and `transport`; of
`Multiprocess` `init_processes`, `processes` and `should_exit`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from typing_extensions import override
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from langcache_mockserver.http.extensions import BODY_IS_HERE, HANG_UP, UNDER_WAY
from langcache_mockserver.http.problems import ProblemError, problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

START_FAILED = STARTUP_FAILURE
"""The exit status of a server process that cannot start; the others end then, too."""

_START_SECONDS = 60.0  # for each worker process
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # what a client waits for before it sends the body


class Server(uvicorn.Server):
    """A uvicorn server that tells when it accepts connections.

    Args:
        app: The application to serve.
        on_ready: Called once, in the server's thread, when it accepts connections.
        shutdown_seconds: How long requests under way may take to finish on shutdown.
    """

    def __init__(
        self, app: ASGIApp, on_ready: Callable[[], object], *, shutdown_seconds: int = 3
    ) -> None:
        super().__init__(_config(_adapted(app), shutdown_seconds))
        self._on_ready = on_ready

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
    ) -> None:
        app = partial(_make_adapted, make_app)
        super().__init__(_config(app, shutdown_seconds, factory=True, workers=count), [listener])
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
    shutdown_seconds: int,
    *,
    factory: bool = False,
    workers: int = 1,
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=factory,
        access_log=False,
        http=_protocol,
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
    return _adapted(make_app())


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
        if not _cycle(receive).more_body:
            extensions[BODY_IS_HERE] = {}
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            pass  # this is the end of the task, so it may be swallowed
        finally:
            # `send` leads back to the scope: kept, it would leave every request to the garbage
            # collector, which takes a twentieth of the time of a request.
            del extensions[HANG_UP]

    return adapted


def _cycle(method: Receive | Send) -> Any:
    """Return uvicorn's own object of a request, whose methods these are."""
    return cast("Any", method).__self__


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


class _OneWriteTransport(asyncio.Transport):
    """Keeps the first write of each response, its head, until the second.

    ASGI allows that: a head that is followed by a body later comes with the first part of it.

    Args:
        transport: The transport to write to.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
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


_protocol: type[asyncio.Protocol] | str
try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # PyPy has no httptools
    _protocol = "h11"
else:

    class _HttpProtocol(HttpToolsProtocol):
        """uvicorn's protocol, with three differences.

        - Head and body of a response go out in one write instead of two.
        - A request that is not HTTP gets the contract's 400, like every other bad request.
        - The application knows the requests under way (`UNDER_WAY`).
        """

        @override
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(_OneWriteTransport(transport))
            self.app_state[UNDER_WAY] = self.tasks

        @override
        def on_response_complete(self) -> None:
            cast("_OneWriteTransport", self.transport).end_response()
            super().on_response_complete()

        @override
        def send_400_response(self, msg: str) -> None:
            problem = ProblemError(
                400, "the request is not HTTP/1.1", headers={"Connection": "close"}
            )
            # A request that cannot be parsed may have had a path.
            path = getattr(self, "url", b"").partition(b"?")[0].decode("latin-1")
            response = problem_response(problem, path)
            head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
            status_line = b"HTTP/1.1 400 Bad Request\r\n"
            self.transport.write(status_line + head + b"\r\n" + bytes(response.body))
            self.transport.close()

    _protocol = _HttpProtocol
