"""URLs: what a base URL may be, and how ids become a part of a path."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

import httpx


@lru_cache(maxsize=64)
def base_url(value: str) -> str:
    """Check the base URL of a service; gives it back without a trailing slash.

    Raises:
        ValueError: It is not an http or https URL with a host, or has more than a path.
    """
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"server_url: is not a URL ({error})") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(
            "server_url: must be a URL such as https://host or http://host:8080, has scheme "
            f"{url.scheme!r} and host {url.host!r}"
        )
    if url.userinfo or url.query or url.fragment:
        raise ValueError("server_url: must have no user, password, query or fragment")
    return str(url).rstrip("/")


def path_segment(name: str, value: object) -> str:
    """Percent-encode an id so that it is one segment of a path, whatever it contains.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty, ``.`` or ``..`` (which would name another resource), or has a
            surrogate code point.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}: must be a str, is {type(value).__name__}")
    if value in ("", ".", ".."):
        raise ValueError(f"{name}: must not be empty, '.' or '..', is {value!r}")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name}: must be valid Unicode, has a surrogate at position {error.start} of "
            f"{len(value)}"
        ) from None


@lru_cache(maxsize=256)
def operation_url(base: str, path: tuple[str, ...], segments: tuple[str, ...]) -> httpx.URL:
    """The URL of an operation: its literal pieces around the encoded segments.

    Parsing a URL costs as much as a good part of a call, hence the memory.
    """
    pieces = [base, path[0]]
    for segment, piece in zip(segments, path[1:], strict=True):
        pieces += (segment, piece)
    return httpx.URL("".join(pieces))
