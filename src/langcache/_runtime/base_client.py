"""The base class of the generated client: its settings, and the four ways to make a call."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, cast

from typing_extensions import Self

from langcache._runtime.arguments import integer, number
from langcache._runtime.call import Call, perform
from langcache._runtime.drivers import drive, drive_async
from langcache._runtime.headers import bearer, custom_headers
from langcache._runtime.http_clients import Clients
from langcache._runtime.log import CallLog
from langcache._runtime.raw import RawResponse
from langcache._runtime.requests import Requests
from langcache._runtime.url import base_url, path_segment, target
from langcache.hooks import Hooks
from langcache.types import UNSET, OptionalNullable, Unset
from langcache.utils import Logger, RetryConfig

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

    from langcache._runtime.operation import Operation
    from langcache.httpclient import AsyncHttpClient, HttpClient

T = TypeVar("T")

_LONGEST_TIMEOUT = 1e12  # the system's functions take no more

ApiKey: TypeAlias = str | Callable[[], str | Awaitable[str | None] | None]
"""An API key, or a sync or async callable that returns it and is called on each attempt."""


class BaseClient:
    """The settings and the connections of a client.

    Args:
        server_url: The base URL of the service. Default: the environment variable
            `LANGCACHE_SERVER_URL`, read when the client is created.
        api_key: The API key, or a callable that returns it. Default: the environment variable
            `LANGCACHE_API_KEY`, read on each call. Without a key, no Authorization header is sent.
        cache_id: The id of the cache. Default: the environment variable `LANGCACHE_CACHE_ID`, read
            on each call.
        client: Your own HTTP client for blocking calls.
        async_client: Your own HTTP client for async calls.
        retry_config: The retry policy. None disables retries. Default: the policy of the contract.
        timeout_ms: Time budget for each whole call, retries included, in milliseconds. Default: no
            limit other than the timeouts of the HTTP client (5 seconds to connect and for each
            read).
        debug_logger: The logger. Default: the logger `langcache`.
        debug_bodies: Whether to also log headers (with secrets masked) and bodies. Default: whether
            `LANGCACHE_DEBUG` is `bodies`.
        max_response_bytes: The largest response body to accept, in bytes, after decompression. A
            larger one raises `RequestError`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has an invalid value.
    """

    _default_retry_config: ClassVar[RetryConfig]
    _server_url_variable: ClassVar[str]
    _api_key_variable: ClassVar[str]
    _cache_id_variable: ClassVar[str]

    def __init__(
        self,
        server_url: str | None = None,
        api_key: ApiKey | None = None,
        cache_id: str | None = None,
        client: HttpClient | None = None,
        async_client: AsyncHttpClient | None = None,
        retry_config: OptionalNullable[RetryConfig] = UNSET,
        timeout_ms: int | None = None,
        debug_logger: Logger | None = None,
        *,
        debug_bodies: bool | None = None,
        max_response_bytes: int = 64 << 20,
    ) -> None:
        self._server_url = _check_server_url(self._default_server_url(server_url))
        self._authorization = api_key if api_key is None or callable(api_key) else bearer(api_key)
        self._segment = None if cache_id is None else path_segment("cache_id", cache_id)
        _check_retry("retry_config", retry_config)
        if debug_logger is not None and not callable(getattr(debug_logger, "debug", None)):
            raise TypeError(
                f"debug_logger: must have a method debug(), got {type(debug_logger).__name__}"
            )
        self._cache_id = cache_id
        self._clients = Clients(client, async_client)
        self._requests = Requests()
        self._retry_config = retry_config
        self._timeout = _check_timeout(timeout_ms)
        self._max_response_bytes = integer("max_response_bytes", max_response_bytes)
        if self._max_response_bytes < 1:
            raise ValueError(f"max_response_bytes: must be at least 1, got {max_response_bytes}")
        self._log = CallLog(debug_logger, debug_bodies)
        self.hooks: Hooks = Hooks()

    def _default_server_url(self, server_url: str | None) -> str:
        if server_url is None:
            server_url = os.environ.get(self._server_url_variable) or None
        if server_url is None:
            raise TypeError(
                f"server_url: is required, or the environment variable {self._server_url_variable}"
            )
        return server_url

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(server_url={self._server_url!r}, cache_id={self._cache_id!r})"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def close(self) -> None:
        """Close all connections, including those of async calls. The client can be used again.

        HTTP clients that you passed stay open. An event loop closes its own async connections:
        before this method returns if the loop is not running, and soon after if it is. In async
        code, use `aclose` instead.
        """
        self._clients.close()

    async def aclose(self) -> None:
        """Close all connections, including those of blocking calls. The client can be used again.

        Event loops running in other threads keep their connections; each must close its own.
        """
        await self._clients.aclose()

    def _call(self, operation: Operation[T], *arguments: Any) -> T:
        call = self._prepare(operation, *arguments)
        client = self._clients.sync_client(call.target.url)
        return drive(perform(call, client), client)[0]

    async def _call_async(self, operation: Operation[T], *arguments: Any) -> T:
        call = self._prepare(operation, *arguments)
        client = self._clients.async_client(call.target.url)
        steps = perform(call, client, may_exchange=self._clients.may_exchange)
        return (await drive_async(steps, client))[0]

    def _call_raw(self, operation: Operation[T], *arguments: Any) -> RawResponse[T]:
        call = self._prepare(operation, *arguments)
        client = self._clients.sync_client(call.target.url)
        parsed, response, attempts = drive(perform(call, client), client)
        return RawResponse(parsed, cast("httpx.Response", response), attempts)

    async def _call_raw_async(self, operation: Operation[T], *arguments: Any) -> RawResponse[T]:
        call = self._prepare(operation, *arguments)
        client = self._clients.async_client(call.target.url)
        parsed, response, attempts = await drive_async(perform(call, client), client)
        return RawResponse(parsed, cast("httpx.Response", response), attempts)

    def _prepare(
        self,
        operation: Operation[T],
        path_arguments: tuple[object, ...],
        body_arguments: tuple[object, ...],
        retries: OptionalNullable[RetryConfig],
        server_url: str | None,
        timeout_ms: int | None,
        http_headers: Mapping[str, str] | None,
    ) -> Call[T]:
        """Check the arguments of a call. Those of the body are checked when the body is built."""
        server = self._server_url if server_url is None else _check_server_url(server_url)
        retry = retries
        if isinstance(retry, Unset):
            retry = self._retry_config
            if isinstance(retry, Unset):
                retry = self._default_retry_config
        else:
            _check_retry("retries", retry)
        cache_id = self._cache_id or os.environ.get(self._cache_id_variable)
        if not cache_id:
            raise ValueError(
                f"cache_id: is required; pass it to {type(self).__name__}() or set "
                f"{self._cache_id_variable}"
            )
        segment = path_segment("cache_id", cache_id) if self._segment is None else self._segment
        segments = (segment, *map(path_segment, operation.path_parameters[1:], path_arguments))
        return Call(
            operation=operation,
            server_url=server,
            target=target(server, operation.path, segments),
            body_arguments=body_arguments,
            authorization=self._authorization or self._authorization_of_environment(),
            extra_headers=None if http_headers is None else custom_headers(http_headers),
            retry=retry,
            default_retry=self._default_retry_config,
            timeout=self._timeout if timeout_ms is None else _check_timeout(timeout_ms),
            max_response_bytes=self._max_response_bytes,
            hooks=self.hooks,
            log=self._log,
            requests=self._requests,
        )

    def _authorization_of_environment(self) -> str | None:
        key = os.environ.get(self._api_key_variable)
        return bearer(key) if key else None


def _check_server_url(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"server_url: must be a str, got {type(value).__name__}")
    return base_url(value)


def _check_timeout(timeout_ms: object) -> float | None:
    if timeout_ms is None:
        return None
    milliseconds = number("timeout_ms", timeout_ms)
    if milliseconds <= 0:
        raise ValueError(f"timeout_ms: must be above 0, got {milliseconds:g}")
    if milliseconds > _LONGEST_TIMEOUT:
        raise ValueError(
            f"timeout_ms: must be at most {_LONGEST_TIMEOUT:g}, or None for no limit, got"
            f" {milliseconds:g}"
        )
    return milliseconds / 1000


def _check_retry(name: str, retry: object) -> None:
    if retry is not None and not isinstance(retry, (RetryConfig, Unset)):
        raise TypeError(f"{name}: must be a RetryConfig or None, got {type(retry).__name__}")
