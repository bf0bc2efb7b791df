"""Serving an application in a thread of its own, on a socket or within the process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from langcache_mockserver.http.uvicorn_server import Server, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine

    from langcache_mockserver.http.application import Application

_IN_PROCESS_URL = "http://langcache.invalid"  # leads nowhere without our transports (RFC 6761)
_GRACE_SECONDS = 3  # what requests under way within the process get to finish


class Background:
    """An application that is served in a thread of its own.

    Args:
        app: The application.
        listener: The socket that accepts connections, closed in the end; None for none.
        host: The host that the socket was made for.

    Attributes:
        app: The application.
        url: Its base URL. Without a socket, it is only good for the transports of this process.
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
        self._thread = threading.Thread(target=self._run, name="langcache-mockserver", daemon=True)

    def start(self) -> None:
        """Start to serve; requests can be made when this returns.

        Raises:
            RuntimeError: It didn't start; the log says why.
        """
        self._thread.start()
        self._settled.wait()
        if self._loop is None:
            self._thread.join()
            raise RuntimeError("the server didn't start; the log says why")

    def stop(self) -> None:
        """Stop, after the requests under way."""
        with self._lock:
            calls = self._calls.copy()
        wait(calls, timeout=_GRACE_SECONDS)
        if self._server is not None:
            self._server.should_exit = True
        else:
            self.call_soon(self._stop.set)
        self._thread.join()

    def submit(self, coroutine: Coroutine[Any, Any, None]) -> Future[None]:
        """Run a coroutine in the loop of the application, from any other thread.

        Raises:
            RuntimeError: The application isn't served any more.
        """
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the server isn't running")
        with self._lock:  # so that `stop` knows of every call that has begun
            try:
                call = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            except RuntimeError:
                coroutine.close()
                raise
            self._calls.add(call)
        call.add_done_callback(self.abandon)
        return call

    def abandon(self, call: Future[None]) -> None:
        """Let `stop` not wait for a call, of `submit`, whose result nobody waits for."""
        with self._lock:
            self._calls.discard(call)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the loop of the application, if that is served."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        try:
            if self._listener is None:
                asyncio.run(self._serve())
            else:
                self._server = Server(self.app, on_ready=self._ready)
                self._server.run([self._listener])
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
