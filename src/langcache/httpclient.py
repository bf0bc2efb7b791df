"""The HTTP clients that a LangCache can send through.

:class:`HttpClient` and :class:`AsyncHttpClient` say what is needed of a client of your own; an
``httpx.Client`` or ``httpx.AsyncClient`` has it. :class:`DefaultHttpClient` and
:class:`DefaultAsyncHttpClient` are what is used when none is given: take one to add a proxy or a
certificate authority and keep the rest. :class:`DefaultAioHttpClient` sends through aiohttp, which
is several times faster under concurrency (extra ``aiohttp``).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import httpx

from langcache._deadline import install

if TYPE_CHECKING:
    import ssl

__all__ = [
    "AsyncHttpClient",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpClient",
    "DefaultHttpClient",
    "HttpClient",
]

# With fewer idle connections allowed than there are threads, httpcore now and then closes one that
# another thread is about to use.
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=30)
# Tasks of one event loop do not get in each other's way like that, while each call costs httpcore
# the square of the number of idle connections: 5 ms of CPU with 64 of them.
_ASYNC_LIMITS = httpx.Limits(
    max_connections=1000, max_keepalive_connections=20, keepalive_expiry=30
)


@runtime_checkable
class HttpClient(Protocol):
    """What a sync HTTP client must have: these three methods of ``httpx.Client``."""

    def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Send a request; read the whole response unless ``stream``."""
        ...

    def build_request(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        content: Any = None,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        timeout: Any = httpx.USE_CLIENT_DEFAULT,
        extensions: Any = None,
    ) -> httpx.Request:
        """Make a request with the client's own headers and settings."""
        ...

    def close(self) -> None:
        """Close the connections. A client that you supply is never closed for you."""
        ...


@runtime_checkable
class AsyncHttpClient(Protocol):
    """What an async HTTP client must have: these three methods of ``httpx.AsyncClient``."""

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Send a request; read the whole response unless ``stream``."""
        ...

    def build_request(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        content: Any = None,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        timeout: Any = httpx.USE_CLIENT_DEFAULT,
        extensions: Any = None,
    ) -> httpx.Request:
        """Make a request with the client's own headers and settings."""
        ...

    async def aclose(self) -> None:
        """Close the connections. A client that you supply is never closed for you."""
        ...


@functools.lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    # Loading the certificate authorities takes some 20 ms and megabytes: once for a process.
    return httpx.create_ssl_context()


class DefaultHttpClient(httpx.Client):
    """An ``httpx.Client`` with our defaults, which any argument of it overrides.

    The TLS context is shared by all clients of a process; up to 1000 connections, kept for 30
    seconds when idle; the deadline of a call bounds each read. Close it yourself.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**_with_defaults(options, _LIMITS))
        install(self)


class DefaultAsyncHttpClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` with our defaults, which any argument of it overrides.

    They are those of :class:`DefaultHttpClient`, but of the connections, 20 are kept when idle.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**_with_defaults(options, _ASYNC_LIMITS))


def _with_defaults(options: dict[str, Any], limits: httpx.Limits) -> dict[str, Any]:
    if "verify" not in options:
        options["verify"] = _ssl_context()
    options.setdefault("limits", limits)
    return options


class DefaultAioHttpClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` that sends through aiohttp; needs the extra ``aiohttp``.

    Args:
        options: As of ``httpx.AsyncClient``; ``verify``, ``cert``, ``limits`` and ``trust_env``
            go to the transport.

    Raises:
        ImportError: The extra is not installed.
    """

    def __init__(self, **options: Any) -> None:
        try:
            from httpx_aiohttp import AiohttpTransport
        except ImportError as error:
            raise ImportError(
                'DefaultAioHttpClient needs the extra: pip install "langcache[aiohttp]"'
            ) from error
        options = _with_defaults(options, _LIMITS)
        transport_options = {
            name: options.pop(name)
            for name in ("verify", "cert", "limits", "trust_env")
            if name in options
        }
        super().__init__(transport=AiohttpTransport(**transport_options), **options)
