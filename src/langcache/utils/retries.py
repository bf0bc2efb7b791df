"""The retry policy: which failed requests are retried, and when."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

__all__ = ["BackoffStrategy", "RetryConfig"]

# Those of the official package, whose policies have no others by default.
_STATUSES = frozenset({429, 500, 502, 503, 504})
_STATUS = re.compile(r"[1-5]([0-9][0-9]|[xX][xX])")


def _require_duration(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: must be a number of milliseconds, got {type(value).__name__}")
    try:
        milliseconds = float(value)
    except OverflowError:
        milliseconds = math.inf
    if not 0 <= milliseconds < math.inf:
        raise ValueError(f"{name}: must be at least 0 and finite, got {milliseconds}")


@dataclass
class BackoffStrategy:
    """Exponential backoff with jitter. All times are in milliseconds.

    The wait before retry n (n = 0, 1, …) is random between 0 and
    `min(max_interval, initial_interval * exponent ** n)` ("full jitter"), so that clients that
    failed at the same time do not retry at the same time.

    Attributes:
        initial_interval: The upper limit of the first wait.
        max_interval: The upper limit of every wait.
        exponent: The factor from one limit to the next. Above 1, the waits grow.
        max_elapsed_time: No retry starts later than this after the start of the call. Waits count.
        jitter_ms: If given, the wait is the limit itself plus a random time of at most `jitter_ms`;
            0 makes waits predictable. Default (None): full jitter.

    Raises:
        TypeError: A value is not a number.
        ValueError: A value is negative or not finite, or `exponent` is 0.
    """

    initial_interval: float
    max_interval: float
    exponent: float
    max_elapsed_time: float
    jitter_ms: float | None = None

    def __post_init__(self) -> None:
        _require_duration("initial_interval", self.initial_interval)
        _require_duration("max_interval", self.max_interval)
        _require_duration("max_elapsed_time", self.max_elapsed_time)
        if self.jitter_ms is not None:
            _require_duration("jitter_ms", self.jitter_ms)
        if isinstance(self.exponent, bool) or not isinstance(self.exponent, Real):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"exponent: must be a number, got {type(self.exponent).__name__}")
        if not 0 < self.exponent < math.inf:
            raise ValueError(f"exponent: must be above 0 and finite, got {self.exponent}")


@dataclass
class RetryConfig:
    """The retry policy of a client or a call.

    Every operation can be retried safely: `set` is an upsert, and deletes are idempotent. (If the
    first response to `delete_by_id` is lost, the retry may get a 404.)

    Attributes:
        strategy: `"backoff"`, or `"none"` for a single attempt.
        backoff: The waits between attempts.
        retry_connection_errors: Whether to retry if no complete response arrived: refused, broken
            or stale connections, and timeouts of one attempt. The default policy does not retry
            refused connections, because a server that is not running seldom starts in time.
        status_codes_override: The statuses to retry, such as `"429"` or `"5XX"`. Default, also for
            an empty list: 429, 500, 502, 503, 504.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: `strategy` or a status is invalid.
    """

    strategy: str
    backoff: BackoffStrategy
    retry_connection_errors: bool
    status_codes_override: Iterable[str | int] | None = None
    _statuses: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.strategy not in ("backoff", "none"):
            raise ValueError(f"strategy: must be 'backoff' or 'none', got {self.strategy!r}")
        if not isinstance(self.backoff, BackoffStrategy):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"backoff: must be a BackoffStrategy, got {type(self.backoff).__name__}"
            )
        if not isinstance(self.retry_connection_errors, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                "retry_connection_errors: must be a bool, got "
                f"{type(self.retry_connection_errors).__name__}"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "status_codes_override":
            # It may be changed later, and an iterator can be read once only.
            statuses = frozenset[int]() if value is None else frozenset(_parse_statuses(value))
            super().__setattr__("_statuses", statuses or _STATUSES)
        super().__setattr__(name, value)

    def retries_status(self, status: int) -> bool:
        """Return whether a response with this status is retried."""
        return status in self._statuses


def _parse_statuses(statuses: Iterable[str | int]) -> Iterable[int]:
    if isinstance(statuses, (str, bytes)) or not isinstance(statuses, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            "status_codes_override: must be a list of statuses such as '429' or '5XX', got "
            f"{type(statuses).__name__}"
        )
    for status in statuses:
        text = str(status)
        if not _STATUS.fullmatch(text):
            raise ValueError(
                "status_codes_override: must contain statuses from 100 to 599 or classes such as "
                f"'5XX', got {text[:20]!r}"
            )
        if text[1:].upper() == "XX":
            first = int(text[0]) * 100
            yield from range(first, first + 100)
        else:
            yield int(text)
