"""The base classes of the exceptions that a call raises.

The public module is `langcache.errors`. Its class for each status is generated.
"""

from __future__ import annotations

import codecs
import json
from typing import Any, ClassVar, Generic, TypeVar

import httpx

from langcache._runtime.pickling import public_request, public_response
from langcache.types import BaseModel

DataT = TypeVar("DataT", bound=BaseModel)

# Codecs that decode bytes to text, but are notations. Some take quadratic time or warn.
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})


class LangCacheError(Exception):
    """The service responded with an error. Base class of all exceptions that have a response.

    It is pickled without the headers and the body of the request, which are secret.

    Attributes:
        message: The raw body, or the status line if the body is empty.
        status_code: The HTTP status.
        headers: The response headers.
        body: The raw body as text. May be empty.
        raw_response: The response.
        attempts: The number of times the request was sent.
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
        """The `x-request-id` of the response, for error reports."""
        return self.headers.get("x-request-id")

    def __str__(self) -> str:
        return self.message

    def _arguments(self) -> tuple[Any, ...]:
        return (self.message, public_response(self.raw_response), self.body)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self._arguments(), {"attempts": self.attempts})


class APIError(LangCacheError):
    """The service responded with a status that is neither 2xx nor in the contract."""


class ResponseValidationError(LangCacheError):
    """The service responded with a 2xx status, but the body does not conform to the contract.

    Attributes:
        cause: The error of the parser, a `pydantic.ValidationError`.
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
        response = public_response(self.raw_response)
        return (self.message, response, ValueError(str(self.cause)), self.body)


class ProblemError(LangCacheError, Generic[DataT]):
    """The service responded with an error status of the contract. Each status has a subclass.

    Attributes:
        data: The parsed problem. If the body is not a problem object, such as a proxy's HTML page,
            `data` is made from the status line, with the `type` `about:blank`.
    """

    data_type: ClassVar[type[BaseModel]]

    def __init__(self, data: DataT, raw_response: httpx.Response, body: str | None = None) -> None:
        text = body_text(raw_response) if body is None else body
        super().__init__(text or status_line(raw_response), raw_response, text)
        self.data: DataT = data

    def _arguments(self) -> tuple[Any, ...]:
        return (self.data, public_response(self.raw_response), self.body)

    @classmethod
    def from_response(cls, response: httpx.Response) -> ProblemError[Any]:
        """Return the error for a response with any body."""
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
    """Return the body as text, even if its charset is unknown, wrong or none at all.

    `response.text` raises a TypeError for a charset such as `rot13`, and decompresses for `zip`.
    """
    content = response.content
    try:
        # `decode` refuses codecs that are not charsets, such as these two.
        encoding = codecs.lookup(response.charset_encoding or "utf-8").name
        if encoding not in _NOT_CHARSETS:
            return content.decode(encoding, "replace")
    except (UnicodeError, LookupError, ValueError):  # the name may have a NUL
        pass
    return content.decode("utf-8", "replace")


def status_line(response: httpx.Response) -> str:
    """Return the status and its phrase, such as `HTTP 503 Service Unavailable`."""
    return f"HTTP {response.status_code} {response.reason_phrase}".rstrip()


class NoResponseError(Exception):
    """No complete response arrived. Base class of all network errors.

    The exception that a call raises is also the `httpx` error for the same failure, such as
    `httpx.ConnectError` or `httpx.ReadTimeout`, so code that catches `httpx` errors works.

    Attributes:
        message: What failed.
        attempts: The number of times the request was sent.
    """

    attempts: int = 1

    def __init__(self, message: str = "No response received", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.message: str = message

    def __reduce__(self) -> tuple[Any, ...]:
        state: dict[str, Any] = {"attempts": self.attempts}
        request: httpx.Request | None = getattr(self, "_request", None)
        if request is not None:
            state["request"] = public_request(request)
        return (type(self), self.args, state)


class RequestError(NoResponseError, httpx.RequestError):
    """The request failed for a reason without its own class."""


class ConnectTimeoutError(NoResponseError, httpx.ConnectTimeout):
    """No connection was made within the timeout."""


class ReadTimeoutError(NoResponseError, httpx.ReadTimeout):
    """No complete response arrived within the timeout."""


class WriteTimeoutError(NoResponseError, httpx.WriteTimeout):
    """The request could not be sent within the timeout."""


class PoolTimeoutError(NoResponseError, httpx.PoolTimeout):
    """No connection in the pool became free within the timeout."""


class ConnectError(NoResponseError, httpx.ConnectError):
    """The connection was refused, the host is unreachable or unknown, or TLS failed."""


class ReadError(NoResponseError, httpx.ReadError):
    """The connection broke while reading the response."""


class WriteError(NoResponseError, httpx.WriteError):
    """The connection broke while sending the request."""


class CloseError(NoResponseError, httpx.CloseError):
    """The connection broke while closing."""


class ProxyError(NoResponseError, httpx.ProxyError):
    """The proxy refused the connection."""


class UnsupportedProtocolError(NoResponseError, httpx.UnsupportedProtocol):
    """The HTTP client does not support the scheme of the URL."""


class LocalProtocolError(NoResponseError, httpx.LocalProtocolError):
    """The request violates HTTP."""


class RemoteProtocolError(NoResponseError, httpx.RemoteProtocolError):
    """The response violates HTTP, or the server closed the connection without a response."""


class DecodingError(NoResponseError, httpx.DecodingError):
    """The response body cannot be decoded with its `Content-Encoding`."""


class TooManyRedirectsError(NoResponseError, httpx.TooManyRedirects):
    """The HTTP client followed too many redirects."""


_BY_HTTPX_CLASS: dict[type, type[RequestError]] = {
    base: cls  # pyright: ignore[reportAssignmentType]
    for cls in NoResponseError.__subclasses__()
    for base in cls.__bases__[1:]
}


def network_error(error: httpx.RequestError) -> RequestError:
    """Return the `NoResponseError` for an `httpx` error. It is also that `httpx` error."""
    cls = next(_BY_HTTPX_CLASS[c] for c in type(error).__mro__ if c in _BY_HTTPX_CLASS)
    try:
        request = error.request
    except RuntimeError:
        request = None
    message = str(error) or type(error).__name__
    if request is not None and isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        message = f"{message} ({request.url.scheme}://{request.url.netloc.decode()})"
    return cls(message, request=request)
