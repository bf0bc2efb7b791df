"""The HTTP clients that `LangCache` can use.

`HttpClient` and `AsyncHttpClient` are the protocols for your own client; `httpx.Client` and
`httpx.AsyncClient` implement them. `DefaultHttpClient` and `DefaultAsyncHttpClient` are the
defaults. Create one yourself to add a proxy or a certificate authority and keep the other settings.
`DefaultAioHttpClient` uses aiohttp, which is several times faster under concurrency (extra
`aiohttp`).

An async client may also have the method `exchange` of `AsyncExchangeClient`. It sends a request
without the requests and responses of httpx, which saves half the time of a call.
"""

from __future__ import annotations

import functools
import importlib.util
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import httpx

from langcache._deadline import install
from langcache._monotonic import monotonic

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

__all__ = [
    "AsyncExchangeClient",
    "AsyncHttpClient",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpClient",
    "DefaultHttpClient",
    "HttpClient",
    "PlainResponse",
]

# If the limit of idle connections is below the number of threads, httpcore sometimes closes a
# connection that another thread is about to use.
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=30)


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


@dataclass(slots=True)
class PlainResponse:
    """A response without the objects of httpx.

    Attributes:
        status_code: The HTTP status.
        headers: The names and values of the headers, in the order in which they arrived.
        content: The body as it arrived: still compressed if there is a `Content-Encoding`.
        reason_phrase: The text after the status. May be empty.
    """

    status_code: int
    headers: Sequence[tuple[bytes, bytes]]
    content: bytes
    reason_phrase: str = ""


@runtime_checkable
class AsyncExchangeClient(AsyncHttpClient, Protocol):
    """The protocol of an async HTTP client that can also send a request without httpx's objects.

    `LangCache` calls `exchange` unless something needs a request or response of httpx: a hook, the
    log, or `with_raw_response`. The class of the client must define the method.
    """

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        deadline: float | None,
        max_bytes: int,
    ) -> PlainResponse | None:
        """Send a request and read the whole response, without following redirects.

        Args:
            method: The HTTP method.
            url: The URL.
            headers: The request headers.
            content: The request body, if there is one.
            deadline: The time at which the caller cancels this task, in seconds of the monotonic
                clock. If it is None, the timeouts of the client apply.
            max_bytes: The largest response body to accept.

        Returns:
            The response. None if the request must be sent with `build_request` and `send`.

        Raises:
            httpx.RequestError: There is no complete response, or its body is too large.
        """
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
        super().__init__(**_with_defaults(options))
        install(self)


class DefaultAsyncHttpClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` with the defaults of this package. Arguments override them.

    The defaults are those of `DefaultHttpClient`. Many concurrent calls take a fraction of the CPU
    time that they take with `httpx.AsyncClient`, because the pool of connections is another one.
    With `http2=True`, it is that of httpx.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**_with_defaults(options))
        if not options.get("http2"):
            from langcache import _connection_pool

            _connection_pool.install(self, options["limits"])


def _with_defaults(options: dict[str, Any]) -> dict[str, Any]:
    if options.get("trust_env", True) and not {"proxy", "transport"} & options.keys():
        _check_proxies()
    if "verify" not in options:
        options["verify"] = _ssl_context()
    options.setdefault("limits", _LIMITS)
    return options


class DefaultAioHttpClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that uses aiohttp. Needs the extra `aiohttp`.

    `LangCache` sends requests with `exchange`, which bypasses httpx, so the logger `httpx` has no
    lines for them. If the client has a setting that `exchange` does not know, such as `headers`,
    `cookies`, `auth`, `event_hooks` or `proxy`, they are sent with `send`.

    Args:
        options: The arguments of `httpx.AsyncClient`. `verify`, `cert`, `limits` and `trust_env`
            are passed to the transport.

    Raises:
        ImportError: The extra is not installed.
    """

    def __init__(self, **options: Any) -> None:
        try:
            from langcache import _aiohttp
        except ImportError as error:
            raise ImportError(
                "DefaultAioHttpClient needs the extra `aiohttp`: pip install httpx-aiohttp"
            ) from error
        options = _with_defaults(options)
        transport_options = {
            name: options.pop(name)
            for name in ("verify", "cert", "limits", "trust_env")
            if name in options
        }
        transport = _aiohttp.Transport(**transport_options)
        super().__init__(transport=transport, **options)
        self._exchange = transport.exchange
        self._timeout_of = functools.lru_cache(maxsize=1)(_aiohttp.timeout_of)
        self._needs_httpx = bool(options.keys() - {"timeout"}) or any(
            getattr(type(self), name) is not getattr(httpx.AsyncClient, name)
            for name in ("build_request", "send")
        )
        self._default_headers = self.headers.raw

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        deadline: float | None,
        max_bytes: int,
    ) -> PlainResponse | None:
        """Send a request with aiohttp alone. See `AsyncExchangeClient`."""
        if (
            self._needs_httpx
            or self.is_closed
            or self.auth is not None
            or self.cookies
            or self.params
            or any(self.event_hooks.values())
            or self.headers.raw != self._default_headers
        ):
            return None
        limits = self.timeout
        if deadline is not None:
            limits = httpx.Timeout(max(0.001, deadline - monotonic()))
        timeout = self._timeout_of(limits.connect, limits.read, limits.pool)
        return PlainResponse(
            *await self._exchange(method, url, headers, content, timeout, max_bytes)
        )
