"""Single flight: concurrent calls for the same key share one computation."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from langcache.engine._locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

_T = TypeVar("_T")


class _Abandoned(Exception):  # noqa: N818 - never leaves this module
    """The computation was cancelled, or its thread interrupted; another caller may try."""


class _Flight(Generic[_T]):
    """A computation in progress.

    Attributes:
        future: Its result. It cannot be cancelled.
        waiters: The number of callers waiting; guarded by the lock of the `SingleFlight`.
        loop: The event loop that runs it, or None if a thread does.
        task: The task that runs it in that loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.future: Future[_T] = Future()
        self.future.set_running_or_notify_cancel()
        self.waiters = 1
        self.loop = loop
        self.task: asyncio.Task[_T] | None = None


_computing: ContextVar[tuple[_Flight[Any], ...]] = ContextVar("_computing", default=())


class SingleFlight(Generic[_T]):
    """Shares computations by key among threads, and among asyncio tasks of any event loop.

    Tasks also wait for a computation of a thread; threads do not wait for one of a task.

    All callers get the result or exception of the computation that runs for their key. Nothing is
    kept afterwards.
    """

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._in_threads: dict[Hashable, _Flight[_T]] = {}
        self._in_tasks: dict[Hashable, _Flight[_T]] = {}
        self._process = os.getpid()

    def run(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """Return the result of `compute`, or of a computation in progress for the same key.

        Raises:
            RuntimeError: The computation for this key calls `run` with this key.
        """
        while True:
            flight, leads = self._join(key, None)
            if not leads:
                try:
                    return flight.future.result()
                except _Abandoned:
                    continue
                finally:
                    self._leave(flight)
            token = _computing.set((*_computing.get(), flight))
            try:
                result = compute()
            except Exception as error:
                self._fail(key, flight, error)
                raise
            except BaseException:
                self._fail(key, flight, _Abandoned())
                raise
            finally:
                _computing.reset(token)
            self._land(key, flight, result)
            return result

    async def arun(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Asynchronous twin of `run`.

        The computation runs in its own task, which is cancelled when no caller waits for it any
        more.
        """
        loop = asyncio.get_running_loop()
        while True:
            flight, leads = self._join(key, loop)
            if leads:
                self._start(key, flight, loop, compute)
            try:
                # Cancelling this wait does not cancel the future, because it is running.
                return await asyncio.wrap_future(flight.future)
            except _Abandoned:
                if leads:
                    raise asyncio.CancelledError from None
            finally:
                self._leave(flight)

    def _start(
        self,
        key: Hashable,
        flight: _Flight[_T],
        loop: asyncio.AbstractEventLoop,
        compute: Callable[[], Coroutine[Any, Any, _T]],
    ) -> None:
        # The task gets a copy of the current context.
        token = _computing.set((*_computing.get(), flight))
        try:
            flight.task = loop.create_task(compute())
        except BaseException:
            self._fail(key, flight, _Abandoned())
            raise
        finally:
            _computing.reset(token)
        # A callback, because a task that is cancelled at once never runs.
        flight.task.add_done_callback(lambda task: self._land_task(key, flight, task))

    def _land_task(self, key: Hashable, flight: _Flight[_T], task: asyncio.Task[_T]) -> None:
        error = _Abandoned() if task.cancelled() else task.exception()
        if error is None:
            self._land(key, flight, task.result())
        else:
            self._fail(key, flight, error if isinstance(error, Exception) else _Abandoned())

    def _join(
        self, key: Hashable, loop: asyncio.AbstractEventLoop | None
    ) -> tuple[_Flight[_T], bool]:
        """Return the flight for a key, and whether the caller must run its computation."""
        with self._lock:
            if self._process != os.getpid():
                # The threads that compute are those of the parent.
                self._process = os.getpid()
                self._in_threads.clear()
                self._in_tasks.clear()
            flight = self._in_threads.get(key)
            # A thread does not wait for a task, because the task may need this thread to continue:
            # the thread of its event loop, or one of the loop's few threads for blocking calls.
            if flight is None and loop is not None:
                flight = self._in_tasks.get(key)
            if flight is None:
                begun: _Flight[_T] = _Flight(loop)
                self._flights_like(begun)[key] = begun
                return begun, True
            if flight in _computing.get():
                raise RuntimeError("a computation must not ask for the very thing it computes")
            flight.waiters += 1
            return flight, False

    def _leave(self, flight: _Flight[_T]) -> None:
        with self._lock:
            flight.waiters -= 1
            unwanted = not flight.waiters and not flight.future.done()
        if unwanted and flight.loop and flight.task:
            flight.loop.call_soon_threadsafe(flight.task.cancel)

    def _land(self, key: Hashable, flight: _Flight[_T], result: _T) -> None:
        self._end(key, flight)
        flight.future.set_result(result)

    def _fail(self, key: Hashable, flight: _Flight[_T], error: Exception) -> None:
        self._end(key, flight)
        flight.future.set_exception(error)

    def _end(self, key: Hashable, flight: _Flight[_T]) -> None:
        # Before the result is set, so that a caller with the result finds no flight any more.
        with self._lock:
            flights = self._flights_like(flight)
            if flights.get(key) is flight:  # else the process has been forked meanwhile
                del flights[key]

    def _flights_like(self, flight: _Flight[_T]) -> dict[Hashable, _Flight[_T]]:
        return self._in_threads if flight.loop is None else self._in_tasks
