"""The threads that do the blocking work of a server."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = max(2, min(8, os.cpu_count() or 1))
"""How many threads embed, search and store: one per processor, from 2 to 8.

The event loop itself only does what takes no longer than handing it to a thread, so it stays free
to accept requests.
"""

P = ParamSpec("P")
T = TypeVar("T")


class WorkerThreads:
    """The threads of one server, of which `WORKERS` are at work at once."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in one of the threads."""
        # It belongs to the kind of event loop that it is made in. That must be the one that serves,
        # which may differ from the one that made the server.
        self._limiter = self._limiter or CapacityLimiter(WORKERS)
        return await to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._limiter)
