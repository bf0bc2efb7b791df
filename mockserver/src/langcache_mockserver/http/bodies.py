"""The JSON bodies of requests, read and checked by the schemas of the server's documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache_mockserver.http.validation import parse_body, read_body
from langcache_mockserver.planes.service import in_worker, service_of

if TYPE_CHECKING:
    from starlette.requests import Request

_INLINE_BODY_BYTES = 16 << 10  # parsing as much takes less time than handing it to a thread


async def body_of(request: Request, schema: str) -> dict[str, Any]:
    """Return the members of a request's body.

    Args:
        request: The request.
        schema: The name of the body's schema, such as `SetRequest`.

    Raises:
        ProblemError: 400, 413 or 415, where it isn't what `read_body` and `parse_body` ask for.
    """
    service = service_of(request)
    body = await read_body(request, service.settings.max_body_bytes)
    if len(body) <= _INLINE_BODY_BYTES:
        return parse_body(body, schema, service.schemas)
    return await in_worker(request, parse_body, body, schema, service.schemas)
