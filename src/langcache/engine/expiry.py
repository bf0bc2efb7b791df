"""When an entry expires, and whether it has.

An entry has expired from the moment `expires_at` on, not only after it. Moments are in seconds
since the epoch. That of an entry that never expires is None, or infinity where moments are kept in
arrays.

SQLite and Redis compare moments themselves, by the same rule: see `_HAS_EXPIRED` in
`storage/sqlite.py` and `has_expired` in `storage/redis/lua/common.lua`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "finite_or_none",
    "has_expired",
    "have_expired",
    "millis_left",
    "moment_of_expiry",
    "seconds_left",
]

_LONGEST = 1e12  # seconds


def has_expired(expires_at: float | None, now: float) -> bool:
    """Return whether an entry has expired."""
    return expires_at is not None and expires_at <= now


def have_expired(expires_at: NDArray[np.floating[Any]], now: float) -> NDArray[np.bool_]:
    """Return for each of some entries whether it has expired."""
    return expires_at <= now


@overload
def moment_of_expiry(now: float, ttl: float) -> float: ...
@overload
def moment_of_expiry(now: float, ttl: float | None) -> float | None: ...
def moment_of_expiry(now: float, ttl: float | None) -> float | None:
    """Return when an entry expires that lives for `ttl` seconds from now; None for no limit."""
    return None if ttl is None else now + ttl


def seconds_left(expires_at: float | None, now: float) -> float | None:
    """Return in how many seconds an entry expires, below 0 if it has; None for never."""
    return None if expires_at is None else expires_at - now


def millis_left(expires_at: float | None, now: float) -> int | None:
    """Return in how many milliseconds an entry expires, at least 1.

    None stands for never, and for any time that is longer than 30,000 years.
    """
    left = seconds_left(expires_at, now)
    return None if left is None or left > _LONGEST else max(1, round(left * 1000))


def finite_or_none(expires_at: float | None) -> float | None:
    """Return a moment, or None in place of infinity."""
    return None if expires_at == math.inf else expires_at
