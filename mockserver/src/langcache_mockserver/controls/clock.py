"""The clock of a server, which tests can stop and set."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_MOMENT = 253_402_300_799
"""The last second of the year 9999, in seconds since the epoch: as far as the clock goes."""


class ClockError(RuntimeError):
    """The clock of the server can't be controlled."""


class Clock:
    """Gives the time of a server: that of the system, until it is told otherwise.

    Entries expire by it. Timeouts, latencies and rate limits don't: they go by monotonic time.
    A clock that is set back doesn't bring back what has expired in the meantime.

    Safe to use from several threads at once. Call it to get the time in seconds since the epoch.

    Args:
        source: What gives the time to begin with, in seconds since the epoch.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._offset = 0.0
        self._frozen_at: float | None = None

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        frozen_at = self._frozen_at
        return self._source() + self._offset if frozen_at is None else frozen_at

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen_at is not None

    def freeze(self, at: float | None = None) -> None:
        """Stop the clock.

        Args:
            at: The time to stand at, in seconds since the epoch; by default the present one.

        Raises:
            ValueError: The time is not from 0 to `LAST_MOMENT`.
        """
        with self._lock:
            self._frozen_at = self() if at is None else _check("at", at)

    def set(self, at: float) -> None:
        """Set the time, in seconds since the epoch. A frozen clock stays frozen.

        Raises:
            ValueError: The time is not from 0 to `LAST_MOMENT`.
        """
        with self._lock:
            self._set(_check("at", at))

    def advance(self, seconds: float) -> None:
        """Let time pass at once. A frozen clock stays frozen.

        Raises:
            ValueError: The seconds are below 0, or lead beyond `LAST_MOMENT`.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds: must be at least 0, got {seconds}")
        with self._lock:
            self._set(_check("seconds", self() + seconds))

    def unfreeze(self) -> None:
        """Let the clock go on from the time it stands at; one that isn't frozen goes on anyway."""
        with self._lock:
            if self._frozen_at is not None:
                self._offset = self._frozen_at - self._source()
                self._frozen_at = None

    def reset(self) -> None:
        """Go back to the time of the system, and with it."""
        with self._lock:
            self._offset, self._frozen_at = 0.0, None

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
