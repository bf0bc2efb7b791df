"""The HTTP clients that `LangCache` can use.

`HttpClient` and `AsyncHttpClient` are the protocols for your own client; `httpx.Client` and
`httpx.AsyncClient` implement them. `DefaultHttpClient` and `DefaultAsyncHttpClient` are the
defaults. Create one yourself to add a proxy or a certificate authority and keep the other settings.
`DefaultAioHttpClient` uses aiohttp, which is several times faster under concurrency (extra
`aiohttp`).
"""

from __future__ import annotations

import functools
import importlib.util
import ipaddress
import os
from pathlib import Path
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
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if folder and not file and not Path(folder).is_dir():
        raise ValueError(f"SSL_CERT_DIR: must be a directory of certificates, got {folder!r}")
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        if not file:
            raise
        raise ValueError(
            f"SSL_CERT_FILE: must be a file of certificates in PEM, got {file!r} ({error})"
        ) from error


_LAST_PORT = 65_535
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def _check_proxies() -> None:
    """Check the variables of the environment from which httpx takes the proxies.

    Raises:
        ImportError: A SOCKS proxy needs a package that is not installed.
        ValueError: A variable has a value that httpx cannot use. The message does not repeat that
            of a proxy, which may contain a password.
    """
    for variable in (*_PROXY_VARIABLES, *map(str.lower, _PROXY_VARIABLES)):
        value = os.environ.get(variable)
        if not value:
            continue
        try:
            url = httpx.Proxy(value if "://" in value else f"http://{value}").url
            valid = bool(url.host) and (url.port is None or 1 <= url.port <= _LAST_PORT)
        except (httpx.InvalidURL, ValueError):
            valid = False
        if not valid:
            raise ValueError(
                f"{variable}: must be the URL of a proxy with http, https, socks5 or socks5h"
            )
        if value.startswith("socks") and importlib.util.find_spec("socksio") is None:
            raise ImportError(
                f"{variable}: a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'"
            )
    for variable in ("NO_PROXY", "no_proxy"):
        for entry in map(str.strip, os.environ.get(variable, "").split(",")):
            try:
                httpx.URL(entry if "://" in entry else f"all://*{entry}")
            except httpx.InvalidURL:  # noqa: PERF203 - there are few
                if not _is_ipv6(entry):
                    raise ValueError(
                        f"{variable}: must be host names and addresses separated by commas, an"
                        f" IPv6 address without brackets, got {entry!r}"
                    ) from None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("/")[0])
    except ValueError:
        return False
    return True


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
    if options.get("trust_env", True) and not {"proxy", "transport"} & options.keys():
        _check_proxies()
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
