"""A monotonic clock that tests do not freeze."""

from __future__ import annotations

import time

__all__ = ["monotonic"]


if hasattr(time, "clock_gettime"):

    def monotonic() -> float:
        """Return the time in seconds since some moment.

        It is that of `time.monotonic`, which libraries such as freezegun replace: then nothing that
        waits for a moment, such as the last retry, would ever end.
        """
        return time.clock_gettime(time.CLOCK_MONOTONIC)

else:
    # Such libraries look for functions in modules, not in classes.
    class _Clock:
        monotonic = staticmethod(time.monotonic)

    def monotonic() -> float:
        """Return the time in seconds since some moment."""
        return _Clock.monotonic()
