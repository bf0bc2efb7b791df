"""How often each key may ask: a token bucket for each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache_mockserver.domain.registry import RateLimit

_ROUNDING = 1e-9  # of a request; who waits as long as told must not be refused for it


class RateLimits:
    """Counts the requests of keys.

    A key may send as many requests at once as its limit says; what it has used comes back evenly
    over the limit's time. Made for one thread, that of the event loop.

    Args:
        monotonic: Gives the time in seconds since some moment.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left: dict[str, tuple[float, float]] = {}  # requests left at a time, by key

    def take(self, key_id: str, limit: RateLimit) -> float:
        """Count a request of a key, if its limit leaves room for it.

        Returns:
            0 if it does, else in how many seconds it will. A request that is refused doesn't count.
        """
        now = self._monotonic()
        rate = limit.requests / limit.per_seconds
        left, then = self._left.get(key_id, (limit.requests, now))
        left = min(limit.requests, left + (now - then) * rate)
        if left < 1 - _ROUNDING:
            return (1 - left) / rate
        self._left[key_id] = left - 1, now
        return 0.0
