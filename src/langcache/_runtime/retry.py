"""The decisions of retrying: what, after how long, and until when. Nothing here sleeps."""

from __future__ import annotations

import random
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from langcache.utils.retries import BackoffStrategy

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")

# Failures after which the request may be sent again: all operations are safe to repeat. Not among
# them are those that would fail again in the same way, such as a request that breaks HTTP.
_TRANSIENT = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)


def is_transient(error: httpx.RequestError) -> bool:
    """Whether a network error may go away by itself."""
    return isinstance(error, _TRANSIENT)


def backoff_delay(backoff: BackoffStrategy, failures: int) -> float:
    """The wait after a failure, in seconds.

    Args:
        backoff: The strategy.
        failures: How many attempts failed so far, from 1.
    """
    try:
        bound = min(
            float(backoff.max_interval),
            backoff.initial_interval * float(backoff.exponent) ** (failures - 1),
        )
    except OverflowError:
        bound = float(backoff.max_interval)
    if backoff.jitter_ms is None:
        delay = random.uniform(0, bound)  # noqa: S311 - spreads load, guards nothing
    else:
        delay = bound + random.uniform(0, float(backoff.jitter_ms))  # noqa: S311
    return delay / 1000


def retry_after(headers: httpx.Headers) -> float | None:
    """How long the service asks to wait, in seconds; None when it does not, or not legibly.

    Reads ``retry-after-ms`` (milliseconds) and ``Retry-After`` (seconds, or an HTTP date).
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    value = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
