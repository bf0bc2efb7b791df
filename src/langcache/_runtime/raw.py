"""A result together with the response that it came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RawResponse(Generic[T]):
    """What the methods of ``with_raw_response`` give back.

    Attributes:
        parsed: What the method itself gives back.
        http_response: The response.
        attempts: How many times the request was sent.
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
        """The ``x-request-id`` of the response, for reports to the service."""
        return self.headers.get("x-request-id")
