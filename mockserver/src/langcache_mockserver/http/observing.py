"""What observers are told of a request when it is over: metrics, access log and whoever comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from langcache_mockserver.http.call import Call


@dataclass(slots=True)  # frozen, it would take three times as long to make
class Exchange:
    """A request and its answer.

    Attributes:
        call: What was understood of the request.
        method: The HTTP method, as it came.
        path: The path, percent-encoded as it came, without the query.
        asked_id: The `x-request-id` that the request came with, as it was, or "".
        client: The address that the request came from, or "".
        status: The HTTP status of the answer, or 0 where there is none: the client left before it.
        seconds: How long it took, from the headers of the request to the end of the answer.
        bytes_in: How much of the request's body was read, in bytes.
        bytes_out: The size of the answer's body, in bytes.
    """

    call: Call
    method: str
    path: str
    asked_id: str
    client: str
    status: int = 0
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0


Observer: TypeAlias = Callable[[Exchange], object]
"""Called in the event loop once for each request, when it is over; quick, and raises nothing."""
