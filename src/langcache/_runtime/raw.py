"""A result together with its HTTP response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from langcache._runtime.pickling import public_response

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RawResponse(Generic[T]):
    """The return value of the methods of `with_raw_response`.

    It is pickled without the headers and the body of the request, which are secret.

    Attributes:
        parsed: The result of the method itself.
        http_response: The HTTP response.
        attempts: The number of times the request was sent.
    """

    parsed: T
    http_response: httpx.Response
    attempts: int

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self.http_response.status_code

    @property
    def headers(self) -> httpx.Headers:
        """The response headers."""
        return self.http_response.headers

    @property
    def request_id(self) -> str | None:
        """The `x-request-id` of the response, for error reports."""
        return self.headers.get("x-request-id")

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.parsed, public_response(self.http_response), self.attempts))
