"""What the headers and the path of a request say."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from langcache_mockserver.http.problems import FieldError, invalid, unauthorized

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

_HEADERS_KEY = "langcache_mockserver.headers"  # of a scope: the last header of each name
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_BEARER = re.compile(rb"bearer +([\x21-\x7e]+)", re.IGNORECASE)


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of a header of a request, as they came.

    Args:
        scope: The request's scope.
        name: The header's name, in lower case.
    """
    by_name: dict[bytes, bytes] | None = scope.get(_HEADERS_KEY)
    if by_name is None:
        by_name = scope[_HEADERS_KEY] = dict(scope["headers"])
    if name not in by_name:
        return []
    if len(by_name) == len(scope["headers"]):  # as in most requests, no header is given twice
        return [by_name[name]]
    return [value for each, value in scope["headers"] if each == name]


def bearer_token(request: Request) -> str:
    """Return the bearer token of a request.

    Raises:
        ProblemError: 401, if the `Authorization` header is missing, given twice, or anything but
            `Bearer <key>` with a key of visible ASCII characters.
    """
    headers = header_values(request.scope, b"authorization")
    if not headers:
        raise unauthorized("the Authorization header is missing")
    if len(headers) > 1:
        raise unauthorized(f"the Authorization header must be given once, got {len(headers)}")
    match = _BEARER.fullmatch(headers[0])
    if match is None:
        raise unauthorized("the Authorization header must be 'Bearer <key>' with a non-empty key")
    return match[1].decode()


def raw_path(scope: Scope) -> str:
    """Return the path of a request, percent-encoded as it came, below the application's root."""
    raw: bytes | None = scope.get("raw_path")  # optional in ASGI; some leave the query in
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    return path.removeprefix(scope.get("root_path", ""))


def path_id(request: Request, parameter: str) -> str:
    """Return the id that a parameter of the path spells.

    Args:
        request: The request.
        parameter: The parameter, by the name it has in the contract, such as `cacheId`.

    Raises:
        ProblemError: 400, if the segment is not percent-encoded UTF-8.
    """
    return decode_id(request.path_params[parameter], parameter)


def decode_id(segment: str, parameter: str) -> str:
    """Return the id that a segment of a path spells.

    Args:
        segment: The segment, percent-encoded as it came.
        parameter: The name of the path parameter, for the error.

    Raises:
        ProblemError: 400, if the segment is not percent-encoded UTF-8.
    """
    if segment.isascii() and "%" not in segment:
        return segment
    try:
        if _BAD_ESCAPE.search(segment):
            raise ValueError
        return unquote_to_bytes(segment.encode("latin-1")).decode()
    except ValueError:  # UnicodeDecodeError is one, too
        message = f"must be percent-encoded UTF-8, got {len(segment)} characters"
        raise invalid(FieldError(parameter, "encoding", message)) from None


def media_type_of(content_type: str) -> str:
    """Return the media type in a `Content-Type` header, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_loopback(host: str) -> bool:
    """Return whether a host name or address leads to this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
