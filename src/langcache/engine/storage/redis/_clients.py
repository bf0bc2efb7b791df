"""Clients of redis-py, created from a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis import asyncio as redis_asyncio
from redis import cluster as redis_cluster
from redis.asyncio import cluster as redis_asyncio_cluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = ("redis", "rediss", "unix")
_GROUPS = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_MOST_CONNECTIONS = 64
_IDLE_SECONDS = 30
_LAST_PORT = 65_535

# Arguments go through as they are given, so there are no types to check here.
_redis, _asyncio = cast("Any", redis), cast("Any", redis_asyncio)
_Sentinel, _AsyncSentinel = cast("Any", Sentinel), cast("Any", AsyncSentinel)


class _Client(redis.Redis):
    """A client that sends a command as the caller has packed it, if so.

    A search has more than 20 arguments, which redis-py packs one by one. Should a version of it not
    call the method below, the client packs as any other. The caller passes the arguments as well,
    for programs that trace what is executed.
    """

    def _send_command_parse_response(
        self, conn: Any, command_name: Any, *args: Any, packed: bytes | None = None, **options: Any
    ) -> Any:
        if packed is None:
            return super()._send_command_parse_response(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                conn, command_name, *args, **options
            )
        conn.send_packed_command([packed])
        return cast("Any", self).parse_response(conn, command_name, **options)


class _AsyncClient(redis_asyncio.Redis):
    """The asynchronous twin of `_Client`."""

    async def _send_command_parse_response(
        self, conn: Any, command_name: Any, *args: Any, packed: bytes | None = None, **options: Any
    ) -> Any:
        if packed is None:
            return await super()._send_command_parse_response(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                conn, command_name, *args, **options
            )
        await conn.send_packed_command([packed])
        return await cast("Any", self).parse_response(conn, command_name, **options)


TAKE_PACKED: tuple[Any, ...] = (_Client, _AsyncClient)
"""The clients whose `execute_command` has an option `packed`."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The parts of a URL of several servers."""

    hosts: list[tuple[str, int]]
    service: str
    kwargs: dict[str, Any]


def check_url(url: object) -> str:
    """Return a URL after checking that clients can be created from it.

    Raises:
        TypeError: It is not a str.
        ValueError: It is no such URL. The message does not repeat it: it may contain a password.
    """
    if not isinstance(url, str):
        raise TypeError(f"url: must be a str, got {type(url).__name__}")
    try:
        scheme = urlsplit(url).scheme
        if scheme in _GROUPS:
            hosts = [host for host, _ in _group(url).hosts]
        elif scheme in _PLAIN:
            hosts = [_redis.ConnectionPool.from_url(url).connection_kwargs.get("host", "")]
        else:
            raise ValueError
        for host in hosts:
            host.encode("idna")  # as the socket does; raises a ValueError if a part is too long
    except ValueError:
        schemes = ", ".join(f"{scheme}://" for scheme in (*_PLAIN, *_GROUPS))
        raise ValueError(
            f"url: must begin with one of {schemes} and be well-formed, got {len(url)} characters"
        ) from None
    return url


def make_client(url: str, connection_kwargs: Mapping[str, Any], timeout: float) -> Any:
    """Return a synchronous client. Its pool and every wait of it are bounded."""
    kwargs = {**_kwargs(timeout), "retry": Retry(NoBackoff(), 0), **connection_kwargs}
    scheme = urlsplit(url).scheme
    if scheme in _PLAIN:
        return _Client.from_pool(
            _redis.BlockingConnectionPool.from_url(url, **{"timeout": timeout, **kwargs})
        )
    group = _group(url)
    kwargs = {**kwargs, **group.kwargs}
    if group.service:
        sentinel = _Sentinel(group.hosts, sentinel_kwargs=_sentinel_kwargs(kwargs), **kwargs)
        return sentinel.master_for(group.service, redis_class=_Client)
    nodes = [redis_cluster.ClusterNode(host, port) for host, port in group.hosts]
    return _redis.RedisCluster(startup_nodes=nodes, **kwargs)


def make_async_client(url: str, connection_kwargs: Mapping[str, Any], timeout: float) -> Any:
    """Return an asynchronous client. Its pool and every wait of it are bounded."""
    kwargs = {**_kwargs(timeout), "retry": AsyncRetry(NoBackoff(), 0), **connection_kwargs}
    scheme = urlsplit(url).scheme
    if scheme in _PLAIN:
        return _AsyncClient.from_pool(
            _asyncio.BlockingConnectionPool.from_url(url, **{"timeout": timeout, **kwargs})
        )
    group = _group(url)
    kwargs = {**kwargs, **group.kwargs}
    if group.service:
        sentinel = _AsyncSentinel(group.hosts, sentinel_kwargs=_sentinel_kwargs(kwargs), **kwargs)
        return sentinel.master_for(group.service, redis_class=_AsyncClient)
    nodes = [redis_asyncio_cluster.ClusterNode(host, port) for host, port in group.hosts]
    return _asyncio.RedisCluster(startup_nodes=nodes, **kwargs)


def close(client: Any) -> None:
    """Close a synchronous client that was created here."""
    for each in (client, *_sentinels(client)):
        each.close()


async def aclose(client: Any) -> None:
    """Close an asynchronous client that was created here."""
    for each in (client, *_sentinels(client)):
        await each.aclose()


def _sentinels(client: Any) -> list[Any]:
    """Return the clients of the sentinels that a client asks for its master."""
    pool = getattr(client, "connection_pool", None)
    return getattr(getattr(pool, "sentinel_manager", None), "sentinels", [])


def _kwargs(timeout: float) -> dict[str, Any]:
    # The client itself must not retry: it would wait several times as long.
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": _IDLE_SECONDS,
        "max_connections": _MOST_CONNECTIONS,
    }


def _sentinel_kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for connections to the sentinels, which have passwords of their own."""
    names = ("socket_timeout", "socket_connect_timeout", "retry", "ssl")
    return {name: kwargs[name] for name in names if name in kwargs}


def _group(url: str) -> _Group:
    """Read redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE?db=0, or redis+cluster://.

    Raises:
        ValueError: It is not such a URL.
    """
    parts = urlsplit(url)
    credentials, _, places = parts.netloc.rpartition("@")
    is_sentinel = parts.scheme.endswith("+sentinel")
    hosts: list[tuple[str, int]] = []
    for place in places.split(","):
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "")
        if not host:
            raise ValueError
        number = int(port or (26379 if is_sentinel else 6379))
        if not 1 <= number <= _LAST_PORT:
            raise ValueError
        hosts.append((host.strip("[]"), number))
    service = unquote(parts.path.strip("/"))
    options = parse_qs(parts.query)
    if bool(service) != is_sentinel or options.keys() - ({"db"} if is_sentinel else set()):
        raise ValueError
    kwargs: dict[str, Any] = {}
    user, _, password = credentials.partition(":")
    if user:
        kwargs["username"] = unquote(user)
    if password:
        kwargs["password"] = unquote(password)
    if parts.scheme.startswith("rediss"):
        kwargs["ssl"] = True
    if "db" in options:
        kwargs["db"] = int(options["db"][0])
    return _Group(hosts, service, kwargs)
