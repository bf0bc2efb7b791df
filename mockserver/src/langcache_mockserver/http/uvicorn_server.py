"""Serving an application with uvicorn."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from langcache_mockserver.controls.damage import HANG_UP
from langcache_mockserver.http.body_timeout import BODY_IS_HERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send


class Server(uvicorn.Server):
    """A uvicorn server that says when it accepts connections.

    Args:
        app: The application to serve.
        on_ready: Called once, in the server's thread, when connections are accepted.
        shutdown_seconds: How long requests under way may take to finish on shutdown.
    """

    def __init__(
        self, app: ASGIApp, on_ready: Callable[[], object], *, shutdown_seconds: int = 3
    ) -> None:
        super().__init__(uvicorn_config(without_cancellation(app), shutdown_seconds))
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, and say so."""
        await super().startup(sockets)
        self._on_ready()


def uvicorn_config(
    app: ASGIApp | Callable[[], ASGIApp],
    shutdown_seconds: int,
    *,
    factory: bool = False,
    workers: int = 1,
) -> uvicorn.Config:
    """Return how uvicorn is to serve an application.

    Args:
        app: The application, made by `without_cancellation`; or a function that makes it.
        shutdown_seconds: How long requests under way may take to finish on shutdown.
        factory: Whether it is such a function. Each worker process calls it.
        workers: How many processes there will be.
    """
    return uvicorn.Config(
        app,
        factory=factory,
        access_log=False,
        http=_protocol(),
        interface="asgi3",
        lifespan="on",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=shutdown_seconds,
        workers=workers,
        ws="none",
    )


def _protocol() -> type[asyncio.Protocol] | str:
    """Return what speaks HTTP, for uvicorn."""
    try:
        from langcache_mockserver.http.http_protocol import HttpProtocol
    except ImportError:  # there is no httptools for PyPy
        return "h11"
    return HttpProtocol


def without_cancellation(app: ASGIApp) -> ASGIApp:
    """Fit an application to uvicorn.

    Requests that uvicorn cancels after the grace period end without a traceback, and the
    application can end the connection of a request (`HANG_UP`) and knows whether its body is here
    already (`BODY_IS_HERE`).
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        extensions: dict[str, object] = scope.setdefault("extensions", {})
        extensions[HANG_UP] = partial(_hang_up, send)
        if not _served(receive).more_body:
            extensions[BODY_IS_HERE] = {}
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            pass  # nothing comes after this in the task, so that to swallow it does no harm
        finally:
            # `send` leads back to the scope: kept, it would leave every request to the garbage
            # collector, which takes a twentieth of the time of a request.
            del extensions[HANG_UP]

    return wrapped


def _served(method: Receive | Send) -> Any:
    """Return what serves a request, which uvicorn has no public way to: these are its methods."""
    return cast("Any", method).__self__


def _hang_up(send: Send, *, reset: bool) -> None:
    """End the connection of a request: by a TCP reset, or after what has been sent."""
    transport: asyncio.Transport = _served(send).transport
    if reset:
        no_linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, no_linger
        )
        transport.abort()
    else:
        transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a port that is taken shows before anything is loaded.

    Raises:
        OSError: The address can't be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def url_of(listener: socket.socket, host: str) -> str:
    """Return the base URL of a server that listens on a socket, made for this host."""
    port: int = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
