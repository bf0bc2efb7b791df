"""The life of the HTTP clients behind a LangCache.

Clients of our own are made on first use: one for blocking calls, and one for each event loop,
because a connection belongs to the loop that opened it. A child process starts afresh. Nothing here
takes a lock, so a fork at any moment leaves nothing locked; two threads that race for the first
client agree on one.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import ssl
import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import httpx

from langcache.httpclient import (
    AsyncHttpClient,
    DefaultAsyncHttpClient,
    DefaultHttpClient,
    HttpClient,
)

if TYPE_CHECKING:
    import asyncio


class Clients:
    """The HTTP clients of one LangCache.

    Args:
        client: A sync client of the user's, which is used as it is and never closed.
        async_client: Likewise for async calls.

    Raises:
        TypeError: A client lacks a method, or is async where it must not be, or the reverse.
    """

    def __init__(self, client: HttpClient | None, async_client: AsyncHttpClient | None) -> None:
        _require_client("client", client, wants_async=False)
        _require_client("async_client", async_client, wants_async=True)
        self._supplied = client
        self._supplied_async = async_client
        self._own = _Own()

    def sync_client(self, url: httpx.URL) -> HttpClient:
        """The client for a blocking call to a URL."""
        if self._supplied is not None:
            return self._supplied
        clients = self._current().sync
        return clients.get(url.scheme) or clients.setdefault(
            url.scheme, DefaultHttpClient(**_options(url))
        )

    def async_client(self, url: httpx.URL) -> AsyncHttpClient:
        """The client for an async call to a URL, in the running event loop."""
        if self._supplied_async is not None:
            return self._supplied_async
        loop = _running_loop()
        loops = self._current().by_loop
        clients = loops.get(loop)
        if clients is None:
            clients = loops.setdefault(loop, {})
        return clients.get(url.scheme) or clients.setdefault(
            url.scheme, DefaultAsyncHttpClient(**_options(url))
        )

    def close(self) -> None:
        """Close our own clients, sync and async. The next call makes new ones.

        An async client can only be closed by its event loop: that is done before this returns
        when the loop stands still, and soon after when it runs. The connections of a loop that is
        closed already are left to the garbage collector.
        """
        self._close(of_running_loops=True)

    async def aclose(self) -> None:
        """Close our own clients, sync and async, but not those of loops in other threads.

        Each of those loops has to close its own, or lose them in the middle of a call.
        """
        clients = self._current().by_loop.pop(_running_loop(), {})
        self._close(of_running_loops=False)
        for client in clients.values():
            await client.aclose()

    def _close(self, *, of_running_loops: bool) -> None:
        own = self._current()
        for scheme in list(own.sync):
            own.sync.pop(scheme).close()
        if not own.by_loop:
            return
        import asyncio

        here = _running_asyncio_loop()
        for loop in list(own.by_loop):
            # Of a trio run nothing tells whether it is over; its clients can't be closed from here.
            runs = not isinstance(loop, asyncio.AbstractEventLoop) or loop.is_running()
            if runs and not of_running_loops:
                continue
            for client in own.by_loop.pop(loop, {}).values():
                if not isinstance(loop, asyncio.AbstractEventLoop) or loop.is_closed():
                    continue
                if runs:
                    asyncio.run_coroutine_threadsafe(client.aclose(), loop)
                elif here is None:
                    loop.run_until_complete(client.aclose())

    def _current(self) -> _Own:
        own = self._own
        if own.pid != os.getpid():
            # The parent's connections are the parent's: closing them here could say goodbye on
            # its behalf, so they are only forgotten.
            own = self._own = _Own()
        return own


class _Own:
    """The clients that one process made.

    Attributes:
        pid: The process.
        sync: The blocking client for each URL scheme.
        by_loop: For each event loop (or trio run), the async client for each URL scheme.
    """

    __slots__ = ("by_loop", "pid", "sync")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.sync: dict[str, DefaultHttpClient] = {}
        self.by_loop: WeakKeyDictionary[Any, dict[str, DefaultAsyncHttpClient]] = (
            WeakKeyDictionary()
        )


@functools.lru_cache(maxsize=1)
def _no_authorities() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _options(url: httpx.URL) -> dict[str, Any]:
    # A client for plain http needs no certificate authorities, and is spared loading them.
    return {} if url.scheme == "https" else {"verify": _no_authorities()}


def _running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    # Importing asyncio takes some 8 ms, which a program of blocking calls alone is spared.
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _running_loop() -> Any:
    """What stands for the running event loop: the loop of asyncio, or the token of a trio run."""
    loop: Any = _running_asyncio_loop()
    if loop is None and "trio" in sys.modules:
        import trio

        with contextlib.suppress(RuntimeError):
            loop = trio.lowlevel.current_trio_token()
    if loop is None:
        raise RuntimeError("an async method needs a running event loop of asyncio or trio")
    return loop


def _require_client(name: str, client: object, *, wants_async: bool) -> None:
    if client is None:
        return
    methods = ("send", "build_request")
    missing = [method for method in methods if not callable(getattr(client, method, None))]
    protocol = "AsyncHttpClient" if wants_async else "HttpClient"
    if missing:
        raise TypeError(
            f"{name}: must be an {protocol} such as "
            f"httpx.{'AsyncClient' if wants_async else 'Client'}; {type(client).__name__} lacks "
            + " and ".join(f"{method}()" for method in missing)
        )
    if not wants_async and inspect.iscoroutinefunction(getattr(client, "send", None)):
        raise TypeError(f"{name}: {type(client).__name__} is async; pass it as async_client")
    if wants_async and isinstance(client, httpx.Client):
        raise TypeError(f"{name}: {type(client).__name__} is not async; pass it as client")
