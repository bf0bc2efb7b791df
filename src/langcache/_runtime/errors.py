"""The base classes of every error that a call raises.

:mod:`langcache.errors` is the public door; the classes of the statuses there are generated.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Generic, TypeVar

import httpx

from langcache.types import BaseModel

DataT = TypeVar("DataT", bound=BaseModel)


class LangCacheError(Exception):
    """The service answered with an error. Base class of all that have a response.

    Attributes:
        message: The raw body, or the status line where there is no body.
        status_code: The HTTP status.
        headers: The response headers.
        body: The raw body as text; may be empty.
        raw_response: The response itself.
        attempts: How many times the request was sent.
    """

    def __init__(self, message: str, raw_response: httpx.Response, body: str | None = None) -> None:
        super().__init__(message)
        self.message: str = message
        self.raw_response: httpx.Response = raw_response
        self.status_code: int = raw_response.status_code
        self.headers: httpx.Headers = raw_response.headers
        self.body: str = body_text(raw_response) if body is None else body
        self.attempts: int = 1

    @property
    def request_id(self) -> str | None:
        """The ``x-request-id`` of the response, for reports to the service."""
        return self.headers.get("x-request-id")

    def __str__(self) -> str:
        return self.message

    def _arguments(self) -> tuple[Any, ...]:
        return (self.message, self.raw_response, self.body)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self._arguments(), {"attempts": self.attempts})


class APIError(LangCacheError):
    """The service answered with a status that the contract does not name for the operation."""


class ResponseValidationError(LangCacheError):
    """The service answered with success, but the body is not what the contract promises.

    Attributes:
        cause: What the parser said (a ``pydantic.ValidationError``).
    """

    def __init__(
        self,
        message: str,
        raw_response: httpx.Response,
        cause: Exception,
        body: str | None = None,
    ) -> None:
        super().__init__(message, raw_response, body)
        self.cause: Exception = cause

    def _arguments(self) -> tuple[Any, ...]:
        # A pydantic.ValidationError does not pickle; its text does.
        return (self.message, self.raw_response, ValueError(str(self.cause)), self.body)


class ProblemError(LangCacheError, Generic[DataT]):
    """The service answered with a status of the contract: there is a subclass for each.

    Attributes:
        data: The problem, typed. A body that is no such problem (HTML of a proxy, say) gives one
            that is made from the status line, with ``type`` ``about:blank``.
    """

    data_type: ClassVar[type[BaseModel]]

    def __init__(self, data: DataT, raw_response: httpx.Response, body: str | None = None) -> None:
        text = body_text(raw_response) if body is None else body
        super().__init__(text or status_line(raw_response), raw_response, text)
        self.data: DataT = data

    def _arguments(self) -> tuple[Any, ...]:
        return (self.data, self.raw_response, self.body)

    @classmethod
    def from_response(cls, response: httpx.Response) -> ProblemError[Any]:
        """The error for a response, whatever its body."""
        fallback: dict[str, Any] = {
            "title": response.reason_phrase or f"HTTP {response.status_code}",
            "status": response.status_code,
            "type": "about:blank",
        }
        try:
            problem = json.loads(response.content)
            data: Any = cls.data_type.model_validate({**fallback, **problem})
        except (ValueError, TypeError, RecursionError):
            data = cls.data_type.model_validate(fallback)
        return cls(data, response)


def body_text(response: httpx.Response) -> str:
    """The body as text, whatever it is and whatever charset it claims."""
    try:
        return response.text
    except (UnicodeError, LookupError):
        return response.content.decode("utf-8", "replace")


def status_line(response: httpx.Response) -> str:
    """The status and its phrase, such as ``HTTP 503 Service Unavailable``."""
    return f"HTTP {response.status_code} {response.reason_phrase}".rstrip()


class NoResponseError(Exception):
    """No complete response arrived. Base class of all network errors.

    What a call raises is also the ``httpx`` error of the same name
    (:class:`httpx.ConnectError`, :class:`httpx.ReadTimeout` …), so code that catches those works.

    Attributes:
        attempts: How many times the request was sent.
    """

    attempts: int = 1

    def __init__(self, message: str = "No response received", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)


class RequestError(NoResponseError, httpx.RequestError):
    """The request failed in a way that has no class of its own."""


class ConnectTimeoutError(NoResponseError, httpx.ConnectTimeout):
    """No connection within the timeout."""


class ReadTimeoutError(NoResponseError, httpx.ReadTimeout):
    """No complete response within the timeout."""


class WriteTimeoutError(NoResponseError, httpx.WriteTimeout):
    """The request could not be sent within the timeout."""


class PoolTimeoutError(NoResponseError, httpx.PoolTimeout):
    """No connection of the pool became free within the timeout."""


class ConnectError(NoResponseError, httpx.ConnectError):
    """No connection: refused, unreachable, unknown host, or TLS failed."""


class ReadError(NoResponseError, httpx.ReadError):
    """The connection broke while the response was read."""


class WriteError(NoResponseError, httpx.WriteError):
    """The connection broke while the request was sent."""


class CloseError(NoResponseError, httpx.CloseError):
    """The connection broke while it was closed."""


class ProxyError(NoResponseError, httpx.ProxyError):
    """The proxy refused the connection."""


class UnsupportedProtocolError(NoResponseError, httpx.UnsupportedProtocol):
    """The URL's scheme is not one that the HTTP client speaks."""


class LocalProtocolError(NoResponseError, httpx.LocalProtocolError):
    """The request breaks HTTP."""


class RemoteProtocolError(NoResponseError, httpx.RemoteProtocolError):
    """The response breaks HTTP, or the server closed the connection instead of answering."""


class DecodingError(NoResponseError, httpx.DecodingError):
    """The response body does not decode by its ``Content-Encoding``."""


class TooManyRedirectsError(NoResponseError, httpx.TooManyRedirects):
    """The HTTP client followed too many redirects."""


_BY_HTTPX_CLASS: dict[type, type[RequestError]] = {
    base: cls  # pyright: ignore[reportAssignmentType]
    for cls in NoResponseError.__subclasses__()
    for base in cls.__bases__[1:]
}


def network_error(error: httpx.RequestError) -> RequestError:
    """The error of ours that stands for one of httpx; it is both."""
    cls = next(_BY_HTTPX_CLASS[c] for c in type(error).__mro__ if c in _BY_HTTPX_CLASS)
    try:
        request = error.request
    except RuntimeError:
        request = None
    return cls(str(error) or type(error).__name__, request=request)
