"""The headers of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from langcache._version import __version__

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")

BASE = {"accept": "application/json", "user-agent": f"langcache-python/{__version__}"}
WITH_BODY = {**BASE, "content-type": "application/json"}


def custom_headers(headers: object) -> dict[str, str]:
    """Check the headers that a caller adds; names come back in lower case.

    Raises:
        TypeError: It is not a mapping of str to str.
        ValueError: A name or value is not what HTTP allows: a token, and printable ASCII.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"http_headers: must be a mapping, is {type(headers).__name__}")
    checked: dict[str, str] = {}
    for name, value in cast("Mapping[Any, Any]", headers).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(
                "http_headers: names and values must be str, one is "
                f"{type(name).__name__}: {type(value).__name__}"
            )
        if not _NAME.fullmatch(name):
            raise ValueError(f"http_headers: {name[:40]!a} is not a header name")
        if not _VALUE.fullmatch(value):
            raise ValueError(
                f"http_headers[{name!r}]: must be printable ASCII without blanks around it, has "
                f"{len(value)} characters"
            )
        checked[name.lower()] = value
    return checked


def bearer(key: object) -> str:
    """The ``Authorization`` header for an API key.

    Raises:
        TypeError: The key is not a string.
        ValueError: It is empty or not printable ASCII without blanks. The message does not show it.
    """
    if not isinstance(key, str):
        raise TypeError(f"api_key: must be a str, is {type(key).__name__}")
    if not key or not _VALUE.fullmatch(key) or " " in key or "\t" in key:
        raise ValueError(
            "api_key: must be printable ASCII without blanks and not empty, has "
            f"{len(key)} characters"
        )
    return f"Bearer {key}"
