"""An application served in a background thread, on a socket or within the process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future, wait
from contextvars import Context
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from langcache_mockserver.http.uvicorn_server import Server, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine

    from langcache_mockserver.http.application import Application

P = ParamSpec("P")
T = TypeVar("T")

_IN_PROCESS_URL = "http://langcache.invalid"  # a name that never resolves (RFC 6761)
_GRACE_SECONDS = 3  # for in-process requests under way when it stops


class Background:
    """An application served in a background thread.

    Args:
        app: The application.
        listener: The socket that accepts connections, closed at the end; None for none.
        host: The host that the socket was made for.

    Attributes:
        app: The application.
        url: Its base URL. Without a socket, only the in-process transports can use it.
    """

    def __init__(self, app: Application, listener: socket.socket | None, host: str) -> None:
        self.app = app
        self.url = _IN_PROCESS_URL if listener is None else url_of(listener, host)
        self._listener = listener
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._settled = threading.Event()
        self._calls: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=_without_context,
            args=(self._run,),
            name="langcache-mockserver",
            daemon=True,
        )

    def start(self) -> None:
        """Start to serve; requests are possible when this returns.

        Raises:
            RuntimeError: The server did not start; the log has the reason.
        """
        self._thread.start()
        self._settled.wait()
        if self._loop is None:
            self._thread.join()
            raise RuntimeError("the server did not start; the log has the reason")

    def stop(self) -> None:
        """Stop after the requests under way."""
        with self._lock:
            calls = self._calls.copy()
        wait(calls, timeout=_GRACE_SECONDS)
        if self._server is not None:
            self._server.should_exit = True
        else:
            self.call_soon(self._stop.set)
        self._thread.join()

    def submit(self, coroutine: Coroutine[Any, Any, None]) -> Future[None]:
        """Run a coroutine in the application's event loop, from another thread.

        Raises:
            RuntimeError: The application is not served any more.
        """
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the server is not running")
        with self._lock:  # so that `stop` knows every call that has begun
            try:
                call = _without_context(asyncio.run_coroutine_threadsafe, coroutine, self._loop)
            except RuntimeError:
                coroutine.close()
                raise
            self._calls.add(call)
        call.add_done_callback(self.abandon)
        return call

    def abandon(self, call: Future[None]) -> None:
        """Tell `stop` not to wait for a call of `submit`."""
        with self._lock:
            self._calls.discard(call)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the application's event loop, if it is served."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                _without_context(self._loop.call_soon_threadsafe, function)

    def _run(self) -> None:
        try:
            if self._listener is None:
                asyncio.run(self._serve())
            else:
                self._server = Server(self.app, self._listener, on_ready=self._ready)
                self._server.run()
        finally:
            if self._listener is not None:
                self._listener.close()
            self._settled.set()

    async def _serve(self) -> None:
        async with self.app.router.lifespan_context(self.app):
            self._ready()
            await self._stop.wait()

    def _ready(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._settled.set()


def _without_context(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function with no context variable set.

    An event loop runs what it is given in the context of the caller. There, sniffio and anyio keep
    the name of the caller's async library, which need not be the one that serves.
    """
    return Context().run(function, *args, **kwargs)
