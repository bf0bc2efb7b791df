"""The HTTP clients that `LangCache` can use.

`HttpClient` and `AsyncHttpClient` are the protocols for your own client; `httpx.Client` and
`httpx.AsyncClient` implement them. `DefaultHttpClient` and `DefaultAsyncHttpClient` are the
defaults. Create one yourself to add a proxy or a certificate authority and keep the other settings.
`DefaultAioHttpClient` uses aiohttp, which is several times faster under concurrency (extra
`aiohttp`).
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

# If the limit of idle connections is below the number of threads, httpcore sometimes closes a
# connection that another thread is about to use.
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=30)
# Tasks of one event loop do not have this problem. Here, the cost of a call in httpcore grows with
# the square of the number of idle connections: 5 ms of CPU with 64 of them.
_ASYNC_LIMITS = httpx.Limits(
    max_connections=1000, max_keepalive_connections=20, keepalive_expiry=30
)


@runtime_checkable
class HttpClient(Protocol):
    """The protocol of a sync HTTP client: three methods of `httpx.Client`."""

    def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Send a request. Read the whole response unless `stream` is true."""
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
        """Build a request with the client's headers and settings."""
        ...

    def close(self) -> None:
        """Close the connections. `LangCache` never calls this on a client that you pass."""
        ...


@runtime_checkable
class AsyncHttpClient(Protocol):
    """The protocol of an async HTTP client: three methods of `httpx.AsyncClient`."""

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Send a request. Read the whole response unless `stream` is true."""
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
        """Build a request with the client's headers and settings."""
        ...

    async def aclose(self) -> None:
        """Close the connections. `LangCache` never calls this on a client that you pass."""
        ...


@functools.lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    # Loading the certificate authorities takes about 20 ms and several MB, so it is done once.
    return httpx.create_ssl_context()


class DefaultHttpClient(httpx.Client):
    """An `httpx.Client` with the defaults of this package. Arguments override them.

    All clients of a process share one TLS context. There are up to 1000 connections, closed after
    30 idle seconds. The deadline of a call limits each read. You must close the client yourself.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**_with_defaults(options, _LIMITS))
        install(self)


class DefaultAsyncHttpClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` with the defaults of this package. Arguments override them.

    The defaults are those of `DefaultHttpClient`, except that at most 20 idle connections are kept.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**_with_defaults(options, _ASYNC_LIMITS))


def _with_defaults(options: dict[str, Any], limits: httpx.Limits) -> dict[str, Any]:
    if "verify" not in options:
        options["verify"] = _ssl_context()
    options.setdefault("limits", limits)
    return options


class DefaultAioHttpClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that uses aiohttp. Needs the extra `aiohttp`.

    Args:
        options: The arguments of `httpx.AsyncClient`. `verify`, `cert`, `limits` and `trust_env`
            are passed to the transport.

    Raises:
        ImportError: The extra is not installed.
    """

    def __init__(self, **options: Any) -> None:
        try:
            from httpx_aiohttp import AiohttpTransport
        except ImportError as error:
            raise ImportError(
                "DefaultAioHttpClient needs the extra `aiohttp`: pip install httpx-aiohttp"
            ) from error
        options = _with_defaults(options, _LIMITS)
        transport_options = {
            name: options.pop(name)
            for name in ("verify", "cert", "limits", "trust_env")
            if name in options
        }
        super().__init__(transport=AiohttpTransport(**transport_options), **options)
