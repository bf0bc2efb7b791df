"""The flow of a call, as a generator that does no I/O.

`perform` builds the request, decides on retries and parses the response. To send, sleep or await,
it *yields* a command, which a sync or an async driver (see `drivers`) carries out. Sync and async
calls therefore share every decision.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

import httpx
from pydantic import ValidationError

from langcache._monotonic import monotonic
from langcache._runtime import headers as request_headers
from langcache._runtime import telemetry
from langcache._runtime.arguments import to_body
from langcache._runtime.body import is_encoded, read_plain
from langcache._runtime.errors import (
    APIError,
    LangCacheError,
    NoResponseError,
    ResponseValidationError,
    body_text,
    network_error,
    status_line,
)
from langcache._runtime.requests import build_request
from langcache._runtime.retry import backoff_delay, is_refused, is_transient, retry_after
from langcache.hooks import HookContext
from langcache.httpclient import PlainResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from langcache._runtime.log import CallLog
    from langcache._runtime.operation import Operation
    from langcache._runtime.requests import Requests
    from langcache._runtime.url import Target
    from langcache.hooks import Hooks
    from langcache.httpclient import AsyncHttpClient, HttpClient
    from langcache.utils.retries import RetryConfig

T = TypeVar("T")
H = TypeVar("H")

_REDIRECTS = 300  # the first status that is not a success


@dataclass(slots=True, eq=False, repr=False)
class Send:
    """Send a request and read the whole response.

    Attributes:
        request: The request.
        deadline: The `monotonic()` by which the response must be complete, or None.
        max_bytes: The largest response body to accept.
    """

    request: httpx.Request
    deadline: float | None
    max_bytes: int


@dataclass(slots=True, eq=False, repr=False)
class Exchange:
    """Send a request with the client's method `exchange`.

    Attributes:
        method: The HTTP method.
        url: The URL.
        headers: The request headers.
        content: The request body, if there is one.
        deadline: As in `Send`.
        max_bytes: As in `Send`.
    """

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None
    deadline: float | None
    max_bytes: int


@dataclass(slots=True, eq=False, repr=False)
class Sleep:
    """Sleep.

    Attributes:
        seconds: The time to sleep.
    """

    seconds: float


@dataclass(slots=True, eq=False, repr=False)
class Await:
    """Await an awaitable that a callable of the user returned.

    Attributes:
        awaitable: The awaitable.
        source: The name of the callable, for the error message of the sync driver.
        deadline: As in `Send`.
    """

    awaitable: Awaitable[Any]
    source: str
    deadline: float | None


Command: TypeAlias = Send | Exchange | Sleep | Await


@dataclass(slots=True, eq=False, repr=False)
class Call(Generic[T]):
    """The checked arguments and settings of a call.

    Attributes:
        operation: The operation.
        server_url: The base URL.
        target: The URL of the operation.
        body_arguments: The values of the body's members.
        authorization: The `Authorization` header, a callable that returns the API key, or None.
        extra_headers: The caller's headers, with lower-case names.
        retry: The retry policy, or None for a single attempt.
        default_retry: The default policy, which does not retry a refused connection.
        timeout: The time budget for the whole call in seconds, or None for no limit.
        max_response_bytes: The largest response body to accept.
        hooks: The client's hooks.
        log: The client's log.
        requests: Builds the client's requests.
    """

    operation: Operation[T]
    server_url: str
    target: Target
    body_arguments: tuple[object, ...]
    authorization: str | Callable[[], str | Awaitable[str | None] | None] | None
    extra_headers: Mapping[str, str] | None
    retry: RetryConfig | None
    default_retry: RetryConfig
    timeout: float | None
    max_response_bytes: int
    hooks: Hooks
    log: CallLog
    requests: Requests


def perform(
    call: Call[T], client: HttpClient | AsyncHttpClient, *, may_exchange: bool = False
) -> Generator[Command, Any, tuple[T, httpx.Response | PlainResponse, int]]:
    """Carry out a call.

    Args:
        call: The call.
        client: The HTTP client that sends the request. Only `build_request` is used here.
        may_exchange: Whether the client has a method `exchange`, and the caller can do without a
            response of httpx.

    Yields:
        A command. The driver sends back the response of a `Send` or an `Exchange` and the value of
        an `Await`, and throws in network errors as `httpx.RequestError`.

    Returns:
        The result, the response that contained it, and the number of attempts.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has an invalid value.
        LangCacheError: The service responded with an error. This is the last one after all retries.
        NoResponseError: No complete response arrived. This is the last failure after all retries.
    """
    operation = call.operation
    content = None if operation.body is None else to_body(operation.body, call.body_arguments)
    span = telemetry.start_span(operation, call.target.url)
    started = monotonic()
    deadline = None if call.timeout is None else started + call.timeout
    attempt = 0
    response: httpx.Response | PlainResponse | None = None
    failure: Exception | None = None
    try:
        while True:
            attempt += 1
            headers = yield from _headers(call, content, deadline)
            if span is not None:
                span.inject(headers)
            if call.extra_headers:
                headers.update(call.extra_headers)
            usual = span is None and not call.extra_headers
            request = partial(_request, call, client, content, headers, deadline, usual=usual)
            response = error = None
            if may_exchange and not _needs_request(call):
                response, error = yield from _exchange(call, content, headers, deadline, request)
            if response is None and error is None:
                response, error = yield from _attempt(call, request(), attempt, deadline)
            if response is not None and 200 <= response.status_code < _REDIRECTS:
                return _parse(operation, response, request), response, attempt
            response = cast("httpx.Response | None", response)
            delay = _delay_before_retry(call, response, error, attempt)
            if delay is None or not _may_wait(call, started, deadline, delay):
                raise _failure(operation, response, error) from error
            yield Sleep(delay)
    except Exception as error:
        failure = error
        if isinstance(error, (LangCacheError, NoResponseError)):
            error.attempts = attempt
        raise
    finally:
        if span is not None:
            span.end(response, failure, attempt)


def _headers(
    call: Call[Any], content: bytes | None, deadline: float | None
) -> Generator[Command, Any, dict[str, str]]:
    headers = dict(request_headers.BASE if content is None else request_headers.WITH_BODY)
    authorization = call.authorization
    if callable(authorization):
        # It is called on each attempt, so that a rotated key is used immediately.
        key: object = authorization()
        if inspect.isawaitable(key):
            key = yield Await(key, "api_key", deadline)
        authorization = None if key is None else request_headers.bearer(key)
    if authorization is not None:
        headers["authorization"] = authorization
    return headers


def _request(
    call: Call[Any],
    client: HttpClient | AsyncHttpClient,
    content: bytes | None,
    headers: dict[str, str],
    deadline: float | None,
    *,
    usual: bool,
) -> httpx.Request:
    """Build the request. The headers are `usual` if those of the next call may be the same."""
    method, url = call.operation.method, call.target.url
    # The timeout of each operation of the HTTP client. Without a deadline, its own applies.
    timeout = None if deadline is None else max(0.001, deadline - monotonic())
    if usual:
        return call.requests.build(client, method, url, call.server_url, content, headers, timeout)
    return build_request(client, method, url, content, headers, timeout)


def _needs_request(call: Call[Any]) -> bool:
    """Return whether a hook or the log needs the request and the response of httpx."""
    return _has_hooks(call.hooks) or call.log.enabled


def _has_hooks(hooks: Hooks) -> bool:
    return bool(hooks.before_request_hooks or hooks.after_success_hooks or hooks.after_error_hooks)


def _exchange(
    call: Call[Any],
    content: bytes | None,
    headers: dict[str, str],
    deadline: float | None,
    request: Callable[[], httpx.Request],
) -> Generator[
    Command, Any, tuple[PlainResponse | httpx.Response | None, httpx.RequestError | None]
]:
    """Send once without httpx. Both results are None if the client cannot.

    A response that is not simply parsed becomes a response of httpx, with its request.
    """
    max_bytes = call.max_response_bytes
    try:
        plain: PlainResponse | None = yield Exchange(
            call.operation.method, call.target.text, headers, content, deadline, max_bytes
        )
        if plain is None or (
            200 <= plain.status_code < _REDIRECTS
            and len(plain.content) <= max_bytes
            and not is_encoded(plain)
        ):
            return plain, None
        return read_plain(plain, request(), deadline, max_bytes), None
    except httpx.RequestError as error:
        if getattr(error, "_request", None) is None:
            error.request = request()
        return None, error


def _attempt(
    call: Call[Any], request: httpx.Request, attempt: int, deadline: float | None
) -> Generator[Command, Any, tuple[httpx.Response | None, httpx.RequestError | None]]:
    """Send once, run the hooks and write the log line. One of the two results is None."""
    hooks = call.hooks
    context = None
    if _has_hooks(hooks):
        context = HookContext(call.operation.id, call.server_url, attempt)
        for hook in hooks.before_request_hooks:
            request = (yield from _run_hook(hook(context, request), hook, deadline)) or request
    started = monotonic()
    response: httpx.Response | None = None
    error: httpx.RequestError | None = None
    try:
        response = yield Send(request, deadline, call.max_response_bytes)
    except httpx.RequestError as caught:
        error = caught
    if call.log.enabled:
        call.log.attempt(request, cast("Any", error or response), attempt, monotonic() - started)
    if context is None:
        return response, error
    if response is not None and response.is_success:
        for hook in hooks.after_success_hooks:
            replaced = yield from _run_hook(hook(context, response), hook, deadline)
            if replaced is not None:
                response = replaced
    else:
        for hook in hooks.after_error_hooks:
            replaced = yield from _run_hook(hook(context, response, error), hook, deadline)
            if replaced is not None:
                response, error = replaced, None
    return response, error


def _run_hook(
    result: H | Awaitable[H | None] | None, hook: object, deadline: float | None
) -> Generator[Command, Any, H | None]:
    if inspect.isawaitable(result):
        name = getattr(hook, "__qualname__", type(hook).__qualname__)
        return (yield Await(result, f"hook {name}", deadline))
    return result


def _delay_before_retry(
    call: Call[Any],
    response: httpx.Response | None,
    error: httpx.RequestError | None,
    failures: int,
) -> float | None:
    """Return the wait before the next attempt in seconds, or None for no further attempt."""
    retry = call.retry
    if retry is None or retry.strategy == "none":
        return None
    if response is None:
        if not retry.retry_connection_errors or (error is not None and not is_transient(error)):
            return None
        # A server that is not up will not be up in a moment. Whoever passes a policy is patient.
        if retry is call.default_retry and is_refused(error):
            return None
        return backoff_delay(retry.backoff, failures)
    if not retry.retries_status(response.status_code):
        return None
    return retry_after(response.headers) or backoff_delay(retry.backoff, failures)


def _may_wait(call: Call[Any], started: float, deadline: float | None, delay: float) -> bool:
    """Return whether the next attempt would start in time."""
    retry = cast("RetryConfig", call.retry)
    limit = started + retry.backoff.max_elapsed_time / 1000
    if deadline is not None:
        limit = min(limit, deadline)
    return monotonic() + delay < limit


def _failure(
    operation: Operation[Any], response: httpx.Response | None, error: httpx.RequestError | None
) -> Exception:
    """Return the error to raise for the last attempt."""
    if response is None:
        return network_error(cast("httpx.RequestError", error))
    cls = operation.errors.get(response.status_code)
    if cls is not None:
        return cls.from_response(response)
    return APIError(body_text(response) or status_line(response), response)


def _parse(
    operation: Operation[T],
    response: httpx.Response | PlainResponse,
    request: Callable[[], httpx.Request],
) -> T:
    if operation.result is None:
        return cast("T", None)
    model: Any = operation.result()
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        if isinstance(response, PlainResponse):
            response = read_plain(response, request(), None, len(response.content))
        raise ResponseValidationError(
            body_text(response) or f"{status_line(response)} without a body", response, error
        ) from error
