"""The settings of an HTTP endpoint that speaks OpenAI's API. Imports no HTTP."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

__all__ = ["check_timeout", "openai_endpoint"]

_OPENAI_URL = "https://api.openai.com/v1"
_LONGEST_TIMEOUT = 1e9
_LONGEST_LABEL = 63


def openai_endpoint(api_key: str | None, base_url: str | None) -> tuple[str | None, str]:
    """Return the key and the base URL of an endpoint, without a slash at its end.

    Args:
        api_key: The bearer token. None for the variable OPENAI_API_KEY; without either, there is
            none.
        base_url: The base URL. None for the variable OPENAI_BASE_URL, or else OpenAI's own.

    Raises:
        ValueError: The URL is not one to append a path to, or the key is missing or malformed.
    """
    api_key = api_key or os.environ.get("OPENAI_API_KEY")
    base_url = base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI_URL
    _check_base_url(base_url)
    if not api_key and base_url == _OPENAI_URL:
        raise ValueError("api_key: is required, because OPENAI_API_KEY is not set")
    if api_key and not re.fullmatch(r"[!-~]+", api_key):
        raise ValueError("api_key: must be printable ASCII without spaces")
    return api_key, base_url.rstrip("/")


def _check_base_url(base_url: str) -> None:
    """Check the base URL of an endpoint.

    Raises:
        ValueError: It is not an http or https URL, the host or the port cannot exist, or it has a
            user, query or fragment.
    """
    try:
        address = urlsplit(base_url)
        port = address.port
    except ValueError:
        raise ValueError("base_url: must be a URL with a port from 1 to 65535") from None
    if address.scheme not in ("http", "https") or not address.hostname or port == 0:
        raise ValueError("base_url: must be an http or https URL")
    labels = address.hostname.rstrip(".").split(".")
    if ":" not in address.hostname and not all(0 < len(each) <= _LONGEST_LABEL for each in labels):
        raise ValueError(
            f"base_url: each part of the host must have 1 to {_LONGEST_LABEL} characters"
        )
    if address.username is not None or address.query or address.fragment:
        raise ValueError("base_url: must not have a user, query or fragment")


def check_timeout(timeout: float) -> None:
    """Check a timeout in seconds.

    Raises:
        ValueError: It is not above 0, or longer than the system's functions take.
    """
    if not timeout > 0:
        raise ValueError(f"timeout: must be above 0, got {timeout}")
    if timeout > _LONGEST_TIMEOUT:
        raise ValueError(f"timeout: must be at most {_LONGEST_TIMEOUT:g} seconds, got more")
