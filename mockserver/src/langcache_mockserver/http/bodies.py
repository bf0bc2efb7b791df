"""The JSON bodies of requests: bounded, read, and checked by the schemas of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from starlette.requests import ClientDisconnect

from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.request import header_values
from langcache_mockserver.http.validation import field_errors, parse_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from langcache_mockserver.http.problems import FieldError
    from langcache_mockserver.http.validation import Schemas

_INLINE_BYTES = 16 << 10  # to parse more takes longer than to hand it to a thread

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """Threads that run blocking functions."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread."""
        ...


class Bodies:
    """Reads the bodies of requests.

    Args:
        schemas: The schemas of the bodies, by name.
        max_bytes: The largest body to accept, in bytes.
        workers: Parse and check large bodies.
    """

    def __init__(self, schemas: Schemas, max_bytes: int, workers: Workers) -> None:
        self._schemas = schemas
        self._max_bytes = max_bytes
        self._workers = workers

    async def read(self, request: Request, schema: str) -> dict[str, Any]:
        """Return the members of a request's body.

        Args:
            request: The request.
            schema: The name of the body's schema, such as `SetRequest`.

        Raises:
            ProblemError: 415, if the headers do not declare uncompressed JSON in UTF-8; 413, if the
                body is too large; 400, as `parse_body` raises it.
        """
        _check_media_type(request)
        body = await read_bytes(request, self._max_bytes)
        if len(body) <= _INLINE_BYTES:
            return parse_body(body, schema, self._schemas)
        return await self.parse(body, schema)

    def check(self, value: object, schema: str) -> list[FieldError]:
        """Return the rules of a schema that a value breaks; `MAX_FIELD_ERRORS` of them at most.

        Args:
            value: A part of a body that has been read.
            schema: The name of the schema, such as `SetRequest`.
        """
        return field_errors(value, self._schemas[schema])

    async def read_bytes(self, request: Request) -> bytes:
        """Return a request's body as it came.

        Raises:
            ProblemError: 413, if the body is too large.
        """
        return await read_bytes(request, self._max_bytes)

    async def parse(self, body: bytes, schema: str) -> dict[str, Any]:
        """Return the members of a body that has been read.

        Raises:
            ProblemError: 400, as `parse_body` raises it.
        """
        if len(body) <= _INLINE_BYTES:
            return parse_body(body, schema, self._schemas)
        return await self._workers.run(parse_body, body, schema, self._schemas)


async def read_bytes(request: Request, max_bytes: int) -> bytes:
    """Read the body of a request.

    Args:
        request: The request.
        max_bytes: The largest body to accept, in bytes. A larger one is refused as soon as its
            declared or received size shows it, without reading the rest.

    Raises:
        ProblemError: 413, if the body is too large.
    """
    for declared in header_values(request.scope, b"content-length"):
        # Twenty digits are enough, and int() refuses some thousands of them.
        if declared.isdigit() and int(declared[:20]) > max_bytes:
            raise _too_large(max_bytes)
    parts: bytearray | None = None
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body: bytes = message.get("body", b"")
        if parts is not None:
            parts += body
        if len(body if parts is None else parts) > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return body if parts is None else bytes(parts)
        if parts is None:
            parts = bytearray(body)


def _too_large(max_bytes: int) -> ProblemError:
    return ProblemError(413, f"the body may have at most {max_bytes} bytes")


def _check_media_type(request: Request) -> None:
    content_types = header_values(request.scope, b"content-type")
    if len(content_types) != 1:
        raise ProblemError(
            415,
            "the Content-Type header must be given once, as application/json, "
            f"got {len(content_types)}",
        )
    if content_types[0] != b"application/json":
        _check_parameters(content_types[0])
    for encoding in header_values(request.scope, b"content-encoding"):
        if encoding.strip().lower() != b"identity":
            raise ProblemError(415, "the body must not be compressed")


def _check_parameters(content_type: bytes) -> None:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    if media_type != b"application/json":
        raise ProblemError(415, "the body must be application/json")
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name == b"charset" and value.strip(b'"') not in {b"utf-8", b"utf8"}:
            raise ProblemError(415, "the body must be in UTF-8")
