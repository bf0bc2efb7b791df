"""Overload: what would have to wait too long is refused at once."""

from __future__ import annotations

import math
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_WEIGHT = 0.2  # of the latest duration in the mean
_MOST_SECONDS = 30  # to ask a client to wait
_MOST_TOGETHER = 64  # pieces of work; more would not take less time for each
_SECONDS_TOGETHER = 0.1


class OverloadedError(Exception):
    """Work that would have to wait too long.

    Attributes:
        retry_after: After how many seconds it may be tried again.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("the server is overloaded")
        self.retry_after = retry_after


class Backlog:
    """The work that waits, and how long new work would wait behind it.

    For one thread only, that of the event loop.

    Args:
        max_wait: How many seconds work may wait; infinity for no limit.
        most_at_work: How much work is done at once.
        monotonic: Returns the time in seconds since some moment.
    """

    def __init__(
        self, max_wait: float, most_at_work: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_wait = max_wait
        self._most_at_work = most_at_work
        self._monotonic = monotonic
        self._waiting = 0
        self._mean = 0.0  # seconds that one piece of work takes
        self._since = -math.inf  # when the counts of this second began
        self._refused = self._done = 0
        self._pressure = 0.0  # how much was refused in the second before, per piece done

    @property
    def most_together(self) -> float:
        """How many pieces of work to do together at most: 1 or more.

        All of them, and those behind them, wait until the last one is done.
        """
        if not self._mean:
            return _MOST_TOGETHER
        return min(_MOST_TOGETHER, max(1.0, _SECONDS_TOGETHER / self._mean))

    def check(self, waiting: int) -> None:
        """Refuse a piece of work that would wait too long behind so many others.

        Raises:
            OverloadedError: It would.
        """
        if waiting * self._mean > self._max_wait * self._most_at_work:
            raise self.refusal()

    def join(self) -> None:
        """Count a piece of work as waiting.

        Raises:
            OverloadedError: It would wait too long. It is not counted.
        """
        self.check(self._waiting)
        self._waiting += 1

    def leave(self, count: int = 1) -> None:
        """Count pieces of work as not waiting any more."""
        self._waiting -= count

    def refusal(self) -> OverloadedError:
        """Count a refusal, and return its error.

        The more are refused, the longer they are asked to wait, at random times. Refusals take
        time, too: their number grows only with the square root of how many would come.
        """
        self._count()
        self._refused += 1
        most = min(_MOST_SECONDS, 1 + math.ceil(self._pressure**2))
        return OverloadedError(random.randint(1, most))  # noqa: S311 - no secret

    @contextmanager
    def doing(self, count: int) -> Generator[None]:
        """Measure pieces of work that are done together."""
        started = self._monotonic()
        try:
            yield
        finally:
            self.did(count, self._monotonic() - started)

    def did(self, count: int, seconds: float) -> None:
        """Note how long pieces of work took that were done together."""
        self._mean += _WEIGHT * (seconds / count - self._mean)
        self._count()
        self._done += count

    def _count(self) -> None:
        now = self._monotonic()
        if now - self._since >= 1:
            self._pressure = self._refused / max(1, self._done)
            self._refused = self._done = 0
            self._since = now
