"""Rate limits: a token bucket for each key."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langcache_mockserver.domain.registry import RateLimit

_ROUNDING = 1e-9  # of a request: a client that waits as long as told must not be refused
_PATIENCE = 0.05  # a process that was killed may have kept the lock


class _Bucket(NamedTuple):
    """The requests left at a time."""

    left: float
    then: float


class RateLimits:
    """Counts the requests of keys.

    A key may send as many requests at once as its limit allows. Used requests come back evenly over
    the limit's time. For one thread only, that of the event loop.

    Args:
        monotonic: Returns the time in seconds since some moment.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key_id: str, limit: RateLimit) -> float:
        """Count a request of a key if its limit allows it.

        Returns:
            0 if it does, else the seconds until it will. A refused request does not count.
        """
        now = self._monotonic()
        wait, bucket = _taken(self._buckets.get(key_id), limit, now)
        self._buckets[key_id] = bucket
        return wait


class SharedRateLimits(RateLimits):
    """Counts the requests of keys in all worker processes together.

    It is made in the process that starts the workers and passed to each of them at its start. They
    share the clock of the machine.

    Args:
        key_ids: The ids of the keys that have a limit.
        monotonic: Returns the time in seconds since some moment before now.
    """

    def __init__(
        self, key_ids: Iterable[str], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(monotonic)
        self._places = {key_id: 2 * number for number, key_id in enumerate(key_ids)}
        # Two numbers for each key, with a lock for all. No bucket has the time 0.
        spawn = multiprocessing.get_context("spawn")
        size = max(1, 2 * len(self._places))
        # A lock that any process can give back: the one that took it may have been killed.
        self._shared = spawn.Array("d", size, lock=spawn.Lock())

    @override
    def take(self, key_id: str, limit: RateLimit) -> float:
        place = self._places.get(key_id)
        if place is None:
            return super().take(key_id, limit)
        lock = self._shared.get_lock()
        lock.acquire(timeout=_PATIENCE)
        try:
            # The numbers themselves: access through the array would wait for the lock for ever.
            numbers = self._shared.get_obj()
            left, then = numbers[place], numbers[place + 1]
            known = _Bucket(left, then) if then else None
            wait, bucket = _taken(known, limit, self._monotonic())
            numbers[place], numbers[place + 1] = bucket
        finally:
            # After a timeout, too, so that the next request need not wait.
            with suppress(ValueError):  # the other process was only slow, and has given it back
                lock.release()
        return wait


def _taken(bucket: _Bucket | None, limit: RateLimit, now: float) -> tuple[float, _Bucket]:
    """Return how long to wait, 0 if the request may go on, and the bucket after it."""
    rate = limit.requests / limit.per_seconds
    left, then = bucket or _Bucket(limit.requests, now)
    left = min(limit.requests, left + (now - then) * rate)
    if left < 1 - _ROUNDING:
        return (1 - left) / rate, bucket or _Bucket(left, now)
    return 0.0, _Bucket(left - 1, now)
