"""Checks the base URL and builds the URLs of operations."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

import httpx

_LAST_PORT = 65_535
_LONGEST_LABEL = 63


@lru_cache(maxsize=64)
def base_url(value: str) -> str:
    """Check the base URL of a service and return it without a trailing slash.

    Raises:
        ValueError: The value is not an http or https URL with a host, the host or the port cannot
            exist, or the URL has a user, password, query or fragment.
    """
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"server_url: must be a URL ({error})") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(
            "server_url: must be a URL such as https://host or http://host:8080, got scheme "
            f"{url.scheme!r} and host {url.host!r}"
        )
    if url.userinfo or url.query or url.fragment:
        raise ValueError("server_url: must have no user, password, query or fragment")
    if url.port is not None and not 1 <= url.port <= _LAST_PORT:
        raise ValueError(f"server_url: port must be from 1 to {_LAST_PORT}, got {url.port}")
    # The resolver of names refuses others with an error that does not name the URL.
    labels = url.raw_host.rstrip(b".").split(b".")
    if b":" not in url.raw_host and not all(0 < len(each) <= _LONGEST_LABEL for each in labels):
        raise ValueError(
            f"server_url: each part of the host must have 1 to {_LONGEST_LABEL} characters"
        )
    return str(url).rstrip("/")


def path_segment(name: str, value: object) -> str:
    """Percent-encode an id, so that it is always exactly one segment of a path.

    Raises:
        TypeError: The value is not a string.
        ValueError: The value is empty, `.` or `..` (which would name another resource), or it has a
            surrogate code point.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}: must be a str, got {type(value).__name__}")
    if not value:
        raise ValueError(f"{name}: must not be empty")
    if value in (".", ".."):
        raise ValueError(f"{name}: must not be '.' or '..', got {value!r}")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name}: must be valid Unicode, got a surrogate at position {error.start} of "
            f"{len(value)}"
        ) from None


class Target(NamedTuple):
    """The URL of an operation.

    Attributes:
        url: The URL.
        text: The URL as text.
    """

    url: httpx.URL
    text: str


@lru_cache(maxsize=256)
def target(base: str, path: tuple[str, ...], segments: tuple[str, ...]) -> Target:
    """Return the URL of an operation, built from its literal parts and the encoded segments.

    The result is cached, because parsing a URL takes a significant part of the time of a call.
    """
    pieces = [base, path[0]]
    for segment, piece in zip(segments, path[1:], strict=True):
        pieces += (segment, piece)
    url = httpx.URL("".join(pieces))
    return Target(url, str(url))
