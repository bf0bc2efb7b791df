"""The threads that do the blocking work of a server."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from anyio import (
    CapacityLimiter,
    Event,
    Lock,
    Semaphore,
    WouldBlock,
    move_on_after,
    to_thread,
)

from langcache.engine.embedders._processors import usable_processors
from langcache_mockserver.domain.overload import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = max(2, min(8, usable_processors()))
"""How many threads embed, and how many search and store: one per usable processor, from 2 to 8.

The event loop itself only does what takes no longer than handing it to a thread, so it stays free
to accept requests.
"""

_PROBES = 4  # threads for probes and metrics, which must not wait for requests

P = ParamSpec("P")
T = TypeVar("T")


class WorkerThreads:
    """The threads of one server, of which `WORKERS` are at work at once.

    As many more may do bulk work, which would keep the others waiting: it has turns of its own.

    Args:
        max_wait: How many seconds work may wait for a thread; infinity for no limit.
    """

    def __init__(self, max_wait: float = math.inf) -> None:
        self.max_wait = max_wait
        self._places: _Places | None = None

    async def start(self) -> None:
        """Start the first thread; so no request has to import what that needs."""
        await self.run(int)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in one of the threads.

        Raises:
            OverloadedError: It would wait for a thread for too long, or has.
        """
        return await self._of_this_loop().requests.run(partial(function, *args, **kwargs))

    async def run_batch(self, call: Callable[[], T], *, waited: float) -> T:
        """Call a function for a batch of requests that has waited before.

        Args:
            call: The function.
            waited: How many seconds of the longest wait are over.

        Raises:
            OverloadedError: It would wait for a thread for too long, or has.
        """
        return await self._of_this_loop().requests.run(call, waited=waited)

    async def run_bulk(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that is part of bulk work; nothing but such work waits for it.

        Raises:
            OverloadedError: It would wait for a thread for too long, or has.
        """
        return await self._of_this_loop().bulk.run(partial(function, *args, **kwargs))

    async def run_probe(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function for a probe, in a thread that no request waits for or keeps waiting."""
        return await to_thread.run_sync(
            partial(function, *args, **kwargs),
            abandon_on_cancel=True,
            limiter=self._of_this_loop().probes,
        )

    def _of_this_loop(self) -> _Places:
        # They belong to the kind of event loop that they are made in. That must be the one that
        # serves, which may differ from the one that made the server.
        places = self._places
        if places is None:
            places = self._places = _Places(self.max_wait)
        return places


class _Places:
    """What limits the threads, for one event loop."""

    __slots__ = ("bulk", "probes", "requests")

    def __init__(self, max_wait: float) -> None:
        self.requests = _Threads(max_wait)
        self.bulk = _Threads(max_wait)
        self.probes = CapacityLimiter(_PROBES)


class _Threads:
    """Threads for work of one kind, of which `WORKERS` are at work at once."""

    __slots__ = ("_backlog", "_max_wait", "_threads", "_turns")

    def __init__(self, max_wait: float) -> None:
        self._max_wait = max_wait
        self._backlog = Backlog(max_wait, WORKERS)
        self._turns = Semaphore(WORKERS, fast_acquire=True)
        self._threads = CapacityLimiter(WORKERS)

    async def run(self, function: Callable[[], T], *, waited: float = 0.0) -> T:
        """Call a function in one of the threads, when its turn has come."""
        try:
            self._turns.acquire_nowait()
        except WouldBlock:
            await self._wait(self._max_wait - waited)
        try:
            with self._backlog.doing(1):
                return await to_thread.run_sync(function, limiter=self._threads)
        finally:
            self._turns.release()

    async def _wait(self, most_seconds: float) -> None:
        self._backlog.join()
        try:
            with move_on_after(most_seconds) as scope:
                await self._turns.acquire()
        finally:
            self._backlog.leave()
        if scope.cancelled_caught:
            raise self._backlog.refusal()


class SharedCall:
    """A function that callers at the same time share a call of, in a worker thread.

    A caller gets the result of a call that begins after its own, so that it sees what was there
    when it called.

    Args:
        function: The function. It returns nothing.
        workers: The threads.
    """

    def __init__(self, function: Callable[[], object], workers: WorkerThreads) -> None:
        self._function = function
        self._workers = workers
        self._next: _Call | None = None
        self._turn: Lock | None = None

    async def __call__(self) -> None:
        """Call the function, or wait for the next call of it.

        Raises:
            Exception: What the function raised.
        """
        call = self._next
        while call is not None:
            await call.done.wait()
            if call.error is not None:
                raise call.error
            if call.is_complete:
                return
            call = self._next
        call = self._next = _Call()
        turn = self._turn = self._turn or Lock()
        try:
            async with turn:
                self._next = None
                await self._workers.run(self._function)
                call.is_complete = True
        except Exception as error:
            call.error = error
            raise
        finally:
            if self._next is call:
                self._next = None
            call.done.set()


class _Call:
    """A call; `done` is set when it has ended, or its caller has."""

    __slots__ = ("done", "error", "is_complete")

    def __init__(self) -> None:
        self.done = Event()
        self.error: Exception | None = None
        self.is_complete = False
