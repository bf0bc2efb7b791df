"""Serving the application: in this thread for the command line, in one of its own for tests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import uvicorn

from langcache_mockserver.app import create_app
from langcache_mockserver.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import ASGIApp, Receive, Scope, Send
    from typing_extensions import Self

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend

_GRACE_SECONDS = 3  # what requests under way get to finish on shutdown


class Server(uvicorn.Server):
    """A uvicorn server that says when it accepts connections.

    Args:
        app: The application to serve.
        on_ready: Called once, in the server's thread, when connections are accepted.
    """

    def __init__(self, app: ASGIApp, on_ready: Callable[[], object]) -> None:
        config = uvicorn.Config(
            _without_cancellation(app),
            access_log=False,
            interface="asgi3",
            lifespan="on",
            log_config=None,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            workers=1,
            ws="none",
        )
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, and say so."""
        await super().startup(sockets)
        self._on_ready()


def _without_cancellation(app: ASGIApp) -> ASGIApp:
    """Let requests that uvicorn cancels after the grace period end without a traceback."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        # Nothing comes after this in the task, so that swallowing its cancellation does no harm.
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return wrapped


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


class MockServer:
    """A LangCache server in a thread of this process, for tests and examples.

    ```python
    with MockServer() as server:
        client = LangCache(server.url, api_key="any", cache_id="any")
    ```

    The server accepts connections when the `with` block begins, and has let go of its port when
    the block ends. Every block starts with empty caches, unless it is given a storage.

    Args:
        host: The name or address to listen on.
        port: The TCP port to listen on; 0 takes any free one.
        default_threshold: The least similarity, `(1 + cosine) / 2`, of a semantic match where a
            search names none.
        max_body_bytes: The largest request body accepted, in bytes.
        embedder: Turns prompts into vectors; by default MiniLM.
        storage: Keeps the entries; by default memory. It must live by the same clock, and stays
            open when the server stops.
        clock: Gives the time in seconds since the epoch, for the TTL of entries.

    Raises:
        SettingsError: An option breaks its rule.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        default_threshold: float = 0.9,
        max_body_bytes: int = 1 << 20,
        embedder: Embedder | None = None,
        storage: StorageBackend | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = Settings(
            host=host,
            port=port,
            default_threshold=default_threshold,
            max_body_bytes=max_body_bytes,
        )
        self._embedder = embedder
        self._storage = storage
        self._clock = clock
        self._running: tuple[Server, threading.Thread, str] | None = None

    @property
    def url(self) -> str:
        """The base URL of the server.

        Raises:
            RuntimeError: The server isn't running.
        """
        if self._running is None:
            raise RuntimeError("the server isn't running: use it in a with statement")
        return self._running[2]

    def __enter__(self) -> Self:
        """Start the server; it accepts connections when this returns.

        Raises:
            OSError: The address can't be listened on.
            RuntimeError: The server is running already, or didn't start; the log says why.
        """
        if self._running is not None:
            raise RuntimeError("the server is running already")
        app = create_app(
            self._settings, embedder=self._embedder, storage=self._storage, clock=self._clock
        )
        settled = threading.Event()
        server = Server(app, on_ready=settled.set)
        listener = listen(self._settings.host, self._settings.port)

        def run() -> None:
            try:
                server.run([listener])
            finally:
                listener.close()
                settled.set()

        thread = threading.Thread(target=run, name="langcache-mockserver", daemon=True)
        url = url_of(listener, self._settings.host)
        thread.start()
        settled.wait()
        if not server.started:
            thread.join()
            raise RuntimeError("the server didn't start; the log says why")
        self._running = server, thread, url
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server, after the requests under way."""
        if self._running is not None:
            server, thread, _ = self._running
            self._running = None
            server.should_exit = True
            thread.join()
