"""The clock of a server, which tests can freeze and set."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_MOMENT = 253_402_300_799
"""The latest time of the clock: the last second of the year 9999, in seconds since the epoch."""


class ClockError(RuntimeError):
    """The clock of the server cannot be controlled."""


class Clock:
    """The time of a server: that of the system until you set or freeze it.

    Entries expire by it. Timeouts, latencies and rate limits use monotonic time. Setting the clock
    back does not bring back what has expired in the meantime.

    Thread-safe. Call it to get the time in seconds since the epoch.

    Args:
        source: Returns the system's time in seconds since the epoch.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._offset = 0.0
        self._frozen_at: float | None = None
        self._before_going_back: Callable[[], object] | None = None

    def before_going_back(self, function: Callable[[], object]) -> None:
        """Set what is called before the clock shows an earlier time.

        It must not change the clock.
        """
        self._before_going_back = function

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        frozen_at = self._frozen_at
        return self._source() + self._offset if frozen_at is None else frozen_at

    @property
    def frozen(self) -> bool:
        """Whether it is frozen."""
        return self._frozen_at is not None

    def freeze(self, at: float | None = None) -> None:
        """Freeze the clock.

        Args:
            at: The time to show, in seconds since the epoch; by default the current time.

        Raises:
            ValueError: The time is not from 0 to `LAST_MOMENT`.
        """
        with self._lock:
            moment = self() if at is None else _check("at", at)
            self._prepare(moment)
            self._frozen_at = moment

    def set(self, at: float) -> None:
        """Set the time, in seconds since the epoch. A frozen clock stays frozen.

        Raises:
            ValueError: The time is not from 0 to `LAST_MOMENT`.
        """
        with self._lock:
            moment = _check("at", at)
            self._prepare(moment)
            self._set(moment)

    def advance(self, seconds: float) -> None:
        """Move the clock forward. A frozen clock stays frozen.

        Raises:
            ValueError: The seconds are below 0, or the new time is after `LAST_MOMENT`.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds: must be at least 0, got {seconds}")
        with self._lock:
            self._set(_check("seconds", self() + seconds))

    def unfreeze(self) -> None:
        """Let a frozen clock go on from the time that it shows."""
        with self._lock:
            if self._frozen_at is not None:
                self._offset = self._frozen_at - self._source()
                self._frozen_at = None

    def reset(self) -> None:
        """Show the time of the system again."""
        with self._lock:
            self._prepare(self._source())
            self._offset, self._frozen_at = 0.0, None

    def _prepare(self, moment: float) -> None:
        """Let everything happen that belongs to the present, if a moment is earlier."""
        if moment < self() and self._before_going_back:
            self._before_going_back()

    def _set(self, at: float) -> None:
        if self._frozen_at is None:
            self._offset = at - self._source()
        else:
            self._frozen_at = at


def _check(name: str, moment: float) -> float:
    if not 0 <= moment <= LAST_MOMENT:
        rule = f"must be a time from 0 to {LAST_MOMENT} in seconds since the epoch"
        raise ValueError(f"{name}: {rule}, got {moment}")
    return float(moment)
