"""A pool of connections for async calls, in which a request takes no longer if there are many.

The pool of httpcore walks through all connections for each request, so 64 concurrent calls take
several times the CPU time that they would take one after the other. This one keeps the idle
connections of each origin in a stack. The connections themselves are those of httpcore.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import anyio
import httpcore
from typing_extensions import Self

from langcache._monotonic import monotonic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

_Key: TypeAlias = tuple[bytes, bytes, int]


def install(client: httpx.AsyncClient, limits: httpx.Limits) -> None:
    """Replace the pools of an `httpx.AsyncClient`, which must not use HTTP/2.

    httpx has no public way to choose the pool of a client that also reads the proxy settings of the
    environment. Tests check the private names used here.
    """
    transports = [client._transport, *client._mounts.values()]  # pyright: ignore[reportPrivateUsage] # noqa: SLF001
    for transport in cast("list[Any]", transports):
        pool = getattr(transport, "_pool", None)
        if isinstance(pool, httpcore.AsyncConnectionPool):
            transport._pool = ConnectionPool(pool, limits)  # noqa: SLF001


class ConnectionPool:
    """A pool of HTTP/1.1 connections, with those methods of httpcore's pool that httpx calls.

    Args:
        factory: The pool that creates the connections, with its settings for TLS and proxies.
        limits: The largest number of connections and of idle ones, and for how long they stay idle.
    """

    def __init__(self, factory: httpcore.AsyncConnectionPool, limits: httpx.Limits) -> None:
        self._factory = factory
        self._max_open = limits.max_connections
        self._max_idle = limits.max_keepalive_connections
        self._expiry = limits.keepalive_expiry
        self._open: set[httpcore.AsyncConnectionInterface] = set()
        # For each origin, when a connection became idle, and the connection. The last one is used
        # first, so that those that are not needed expire.
        self._idle: dict[_Key, deque[tuple[float, httpcore.AsyncConnectionInterface]]] = {}
        self._idle_count = 0
        self._waiting: deque[anyio.Event] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        connections = list(self._open)
        self._idle.clear()
        self._idle_count = 0
        for connection in connections:
            await self._close(connection)

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on a connection of its own, until its response is closed."""
        origin = request.url.origin
        if origin.scheme not in (b"http", b"https"):
            return await self._factory.handle_async_request(request)
        patience: float | None = cast("Any", request).extensions.get("timeout", {}).get("pool")
        key = (origin.scheme, origin.host, origin.port)
        while True:
            connection = await self._take(key, origin, patience)
            try:
                response = await connection.handle_async_request(request)
            except httpcore.ConnectionNotAvailable:
                await self._close(connection)
            except BaseException:
                await self.give_back(key, connection)
                raise
            else:
                stream = _Stream(response.stream, self, key, connection)
                return httpcore.Response(
                    response.status,
                    headers=response.headers,
                    content=stream,
                    extensions=cast("Any", response).extensions,
                )

    async def give_back(self, key: _Key, connection: httpcore.AsyncConnectionInterface) -> None:
        """Keep a connection whose response is complete for later, and close any other."""
        now = monotonic()
        if (
            connection in self._open
            and connection.is_idle()
            and not connection.is_closed()
            and (self._max_idle is None or self._idle_count < self._max_idle)
        ):
            self._idle.setdefault(key, deque()).append((now, connection))
            self._idle_count += 1
            self._wake()
        else:
            await self._close(connection)
        if self._expiry is not None:
            while (expired := self._pop_expired(now - self._expiry)) is not None:
                await self._close(expired)

    async def _take(
        self, key: _Key, origin: httpcore.Origin, patience: float | None
    ) -> httpcore.AsyncConnectionInterface:
        while True:
            idle = self._idle.get(key)
            if idle:
                _, connection = self._pop(key, idle, last=True)
                if not connection.has_expired():  # nor been closed by the server
                    return connection
                await self._close(connection)
            elif self._max_open is None or len(self._open) < self._max_open:
                connection = self._factory.create_connection(origin)
                self._open.add(connection)
                return connection
            elif self._idle:  # those of other origins
                other, idle = next(iter(self._idle.items()))
                await self._close(self._pop(other, idle, last=False)[1])
            else:
                await self._wait(patience)

    def _pop(
        self,
        key: _Key,
        idle: deque[tuple[float, httpcore.AsyncConnectionInterface]],
        *,
        last: bool,
    ) -> tuple[float, httpcore.AsyncConnectionInterface]:
        self._idle_count -= 1
        popped = idle.pop() if last else idle.popleft()
        if not idle:
            del self._idle[key]
        return popped

    def _pop_expired(self, before: float) -> httpcore.AsyncConnectionInterface | None:
        for key, idle in self._idle.items():
            if idle[0][0] < before:
                return self._pop(key, idle, last=False)[1]
        return None

    async def _close(self, connection: httpcore.AsyncConnectionInterface) -> None:
        self._open.discard(connection)
        self._wake()
        with anyio.CancelScope(shield=True):
            await connection.aclose()

    async def _wait(self, patience: float | None) -> None:
        """Wait until a connection is given back or closed."""
        event = anyio.Event()
        self._waiting.append(event)
        try:
            with anyio.move_on_after(patience):
                await event.wait()
        except BaseException:
            if event.is_set():
                self._wake()  # the next one instead
            raise
        finally:
            if not event.is_set():
                self._waiting.remove(event)
        if not event.is_set():
            raise httpcore.PoolTimeout("no connection became free in time")

    def _wake(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()


class _Stream:
    """The body of a response, which gives its connection back when it is closed."""

    def __init__(
        self,
        stream: Any,
        pool: ConnectionPool,
        key: _Key,
        connection: httpcore.AsyncConnectionInterface,
    ) -> None:
        self._stream = stream
        self._pool = pool
        self._key = key
        self._connection = connection
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if hasattr(self._stream, "aclose"):
                await self._stream.aclose()
        finally:
            await self._pool.give_back(self._key, self._connection)
