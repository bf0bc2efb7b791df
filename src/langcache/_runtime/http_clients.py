"""Creates and closes the HTTP clients of a `LangCache`.

Clients are created on first use: one for blocking calls, and one for each event loop, because a
connection belongs to the loop that opened it. It is closed when the loop ends. A forked child
process starts without clients. Nothing here takes a lock, so a fork cannot leave a lock held. If
two threads create the first client at the same time, both use the same one.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import ssl
import sys
from typing import Any

import httpx

from langcache._event_loops import PerLoop, running_asyncio_loop
from langcache.httpclient import (
    AsyncHttpClient,
    DefaultAsyncHttpClient,
    DefaultHttpClient,
    HttpClient,
)


class Clients:
    """The HTTP clients of one LangCache.

    Args:
        client: The user's HTTP client for blocking calls. It is never closed here.
        async_client: The user's HTTP client for async calls. It is never closed here.

    Attributes:
        may_exchange: Whether the user's client for async calls has a method `exchange`.

    Raises:
        TypeError: A client lacks a method, or is async instead of sync, or sync instead of async.
    """

    def __init__(self, client: HttpClient | None, async_client: AsyncHttpClient | None) -> None:
        _require_client("client", client, wants_async=False)
        _require_client("async_client", async_client, wants_async=True)
        self._supplied = client
        self._supplied_async = async_client
        # A wrapper may pass on unknown attributes to its inner client, so only its class is asked.
        self.may_exchange = callable(getattr(type(async_client), "exchange", None))
        self._own = _Own()

    def sync_client(self, url: httpx.URL) -> HttpClient:
        """Return the client for a blocking call to a URL."""
        if self._supplied is not None:
            return self._supplied
        clients = self._current().sync
        return clients.get(url.scheme) or clients.setdefault(
            url.scheme, DefaultHttpClient(**_options(url))
        )

    def async_client(self, url: httpx.URL) -> AsyncHttpClient:
        """Return the client for an async call to a URL in the running event loop."""
        if self._supplied_async is not None:
            return self._supplied_async
        clients = self._current().by_loop.get(_running_loop(), dict[str, DefaultAsyncHttpClient])
        return clients.get(url.scheme) or clients.setdefault(
            url.scheme, DefaultAsyncHttpClient(**_options(url))
        )

    def close(self) -> None:
        """Close the clients created here, sync and async. The next call creates new ones.

        Only its event loop can close an async client. This happens before the method returns if the
        loop is not running, and soon after if it is. The connections of an already closed loop are
        left to the garbage collector.
        """
        self._close(of_running_loops=True)

    async def aclose(self) -> None:
        """Close the clients created here, except those of event loops in other threads.

        Each of those loops must close its own clients, because they may be in use.
        """
        self._close(of_running_loops=False)
        await self._current().by_loop.aclose(_running_loop())

    def _close(self, *, of_running_loops: bool) -> None:
        own = self._current()
        for scheme in list(own.sync):
            own.sync.pop(scheme).close()
        loops = own.by_loop.loops()
        if not loops:
            return
        import asyncio

        here = running_asyncio_loop()
        for loop in loops:
            if not isinstance(loop, asyncio.AbstractEventLoop):
                # Whether a trio run has ended is unknown. It closes its clients when it ends.
                continue
            if loop.is_closed():
                own.by_loop.forget(loop)
            elif loop.is_running():
                if of_running_loops:
                    asyncio.run_coroutine_threadsafe(own.by_loop.aclose(loop), loop)
            elif here is None:
                loop.run_until_complete(own.by_loop.aclose(loop))

    def _current(self) -> _Own:
        own = self._own
        if own.pid != os.getpid():
            # Closing the parent's connections here could end them for the parent too, so they are
            # only dropped.
            own = self._own = _Own()
        return own


class _Own:
    """The clients that one process created.

    Attributes:
        pid: The process id.
        sync: The blocking client for each URL scheme.
        by_loop: The async client for each URL scheme, for each event loop or trio run.
    """

    __slots__ = ("by_loop", "pid", "sync")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.sync: dict[str, DefaultHttpClient] = {}
        self.by_loop: PerLoop[dict[str, DefaultAsyncHttpClient]] = PerLoop(_close_all)


async def _close_all(clients: dict[str, DefaultAsyncHttpClient]) -> None:
    for client in clients.values():
        await client.aclose()


@functools.lru_cache(maxsize=1)
def _no_authorities() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _options(url: httpx.URL) -> dict[str, Any]:
    # A client for plain http needs no certificate authorities, so they are not loaded.
    return {} if url.scheme == "https" else {"verify": _no_authorities()}


def _running_loop() -> Any:
    """Return the running asyncio event loop, or the token of the trio run."""
    loop: Any = running_asyncio_loop()
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
