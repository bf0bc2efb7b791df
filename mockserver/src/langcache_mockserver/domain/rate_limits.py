"""Rate limits: a token bucket for each key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache_mockserver.domain.registry import RateLimit

_ROUNDING = 1e-9  # of a request: a client that waits as long as told must not be refused


class RateLimits:
    """Counts the requests of keys.

    A key may send as many requests at once as its limit allows. Used requests come back evenly over
    the limit's time. For one thread only, that of the event loop.

    Args:
        monotonic: Returns the time in seconds since some moment.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left: dict[str, tuple[float, float]] = {}  # requests left at a time, by key

    def take(self, key_id: str, limit: RateLimit) -> float:
        """Count a request of a key if its limit allows it.

        Returns:
            0 if it does, else the seconds until it will. A refused request does not count.
        """
        now = self._monotonic()
        rate = limit.requests / limit.per_seconds
        left, then = self._left.get(key_id, (limit.requests, now))
        left = min(limit.requests, left + (now - then) * rate)
        if left < 1 - _ROUNDING:
            return (1 - left) / rate
        self._left[key_id] = left - 1, now
        return 0.0
