"""The request headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from langcache._version import __version__

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")

BASE = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",  # see `body`
    "user-agent": f"langcache-python/{__version__}",
}
WITH_BODY = {**BASE, "content-type": "application/json"}


def custom_headers(headers: object) -> dict[str, str]:
    """Check the caller's headers and return them with lower-case names.

    Raises:
        TypeError: `headers` is not a mapping of str to str.
        ValueError: A name is not an HTTP token, or a value is not printable ASCII.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"http_headers: must be a mapping, got {type(headers).__name__}")
    checked: dict[str, str] = {}
    for name, value in cast("Mapping[Any, Any]", headers).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(
                "http_headers: names and values must be str, got "
                f"{type(name).__name__}: {type(value).__name__}"
            )
        if not _NAME.fullmatch(name):
            raise ValueError(f"http_headers: names must be HTTP tokens, got {name[:40]!a}")
        if not _VALUE.fullmatch(value):
            raise ValueError(
                f"http_headers[{name!r}]: must be printable ASCII without surrounding spaces, got "
                f"{len(value)} characters"
            )
        checked[name.lower()] = value
    return checked


def bearer(key: object) -> str:
    """Return the `Authorization` header for an API key.

    Raises:
        TypeError: The key is not a string.
        ValueError: The key is empty, or is not printable ASCII without spaces. The message does not
            show the key.
    """
    if not isinstance(key, str):
        raise TypeError(f"api_key: must be a str, got {type(key).__name__}")
    if not key:
        raise ValueError("api_key: must not be empty")
    if not _VALUE.fullmatch(key) or " " in key or "\t" in key:
        raise ValueError(
            f"api_key: must be printable ASCII without spaces, got {len(key)} characters"
        )
    return f"Bearer {key}"
