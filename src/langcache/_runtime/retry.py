"""Decides which failures are retried and computes the waits. Nothing here sleeps."""

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

# Failures that can be retried, because all operations are safe to repeat. Failures that would
# happen again, such as a request that violates HTTP, are not included.
_TRANSIENT = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)

_MOST_CAUSES = 10


def is_transient(error: httpx.RequestError) -> bool:
    """Return whether a network error may be temporary."""
    return isinstance(error, _TRANSIENT)


def is_refused(error: BaseException | None) -> bool:
    """Return whether a network error says that nothing listens at the address.

    With several addresses, such as those of `localhost`, each of them has to refuse.
    """
    for _ in range(_MOST_CAUSES):
        if error is None or isinstance(error, ConnectionRefusedError):
            break
        several: tuple[BaseException, ...] = getattr(error, "exceptions", ())
        if several:
            return all(map(is_refused, several))
        error = error.__cause__ or error.__context__
    return isinstance(error, ConnectionRefusedError)


def backoff_delay(backoff: BackoffStrategy, failures: int) -> float:
    """Return the wait after a failure, in seconds.

    Args:
        backoff: The backoff strategy.
        failures: The number of failed attempts so far, at least 1.
    """
    try:
        bound = min(
            float(backoff.max_interval),
            backoff.initial_interval * float(backoff.exponent) ** (failures - 1),
        )
    except OverflowError:
        bound = float(backoff.max_interval)
    if backoff.jitter_ms is None:
        delay = random.uniform(0, bound)  # noqa: S311 - not used for security
    else:
        delay = bound + random.uniform(0, float(backoff.jitter_ms))  # noqa: S311
    return delay / 1000


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the wait that the service asks for, in seconds, or None if there is no valid one.

    Reads `retry-after-ms` (milliseconds) and `Retry-After` (seconds, or an HTTP date).
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
