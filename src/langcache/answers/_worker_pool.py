"""Worker threads for lookups and stores, so that a slow storage does not delay a call."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from typing_extensions import override

from langcache.engine._locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from langcache.answers.statistics import Counters

_T = TypeVar("_T")
_THREADS = 16
_MAX_UNFINISHED = 256
_QUIET_SECONDS = 60.0
_SECONDS_AT_EXIT = 5.0


class _Task(Generic[_T]):
    """A piece of work.

    Attributes:
        work: The work.
        done: Called in the worker's thread, when `result` is set.
        result: The result; None when the work has failed.
    """

    __slots__ = ("done", "result", "work")

    def __init__(self, work: Callable[[], _T]) -> None:
        self.work = work
        self.done: Callable[[], object] | None = None
        self.result: _T | None = None


_Queue: TypeAlias = "SimpleQueue[Callable[[], object] | None]"


class WorkerPool:
    """Runs work in its own threads and waits for each piece of it for a limited time.

    Work that exceeds the time limit continues in its thread. When 256 pieces of work are
    unfinished, new work is refused at once, so that a storage that hangs costs no time. At the end
    of the program, unfinished work has five more seconds.

    Failures and timeouts are counted. The first one is logged; the next ones only after a minute
    without any.

    It does the work of a `ThreadPoolExecutor` and its futures in a third of the time.

    Args:
        seconds: The time limit of a piece of work.
        counters: Where failures and timeouts are counted.
        logger: The name of the logger that reports problems.
    """

    def __init__(self, seconds: float, counters: Counters, logger: str) -> None:
        self._seconds = seconds
        self._counters = counters
        self._logger = logging.getLogger(logger)
        self._lock = fork_safe_lock()
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._is_closed = False
        self._unfinished = 0
        self._threads: list[threading.Thread] = []
        self._last_problem = float("-inf")
        self._queue: _Queue = SimpleQueue()
        # The threads end with the pool.
        weakref.finalize(self, self._queue.put, None).atexit = False
        _pools.add(self)

    def run(self, work: Callable[[], _T], seconds: float | None = None) -> _T | None:
        """Return the result of the work, or None when it fails or exceeds the time limit.

        Args:
            work: The work.
            seconds: What is left of the time limit; None for all of it. With 0 or less, the result
                is not waited for.
        """
        limit = self._seconds if seconds is None else seconds
        task = _Task(work)
        if limit <= 0:
            self._submit(task)
            return None
        gate = threading.Lock()
        gate.acquire()
        task.done = gate.release
        if not self._submit(task):
            return None
        return task.result if gate.acquire(timeout=limit) else self._timed_out()

    async def arun(self, work: Callable[[], _T], seconds: float | None = None) -> _T | None:
        """Asynchronous twin of `run`."""
        limit = self._seconds if seconds is None else seconds
        task = _Task(work)
        if limit <= 0:
            self._submit(task)
            return None
        loop = asyncio.get_running_loop()
        ended = _End(loop=loop)

        def done() -> None:
            # The loop may have been closed since.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.come, True)

        task.done = done
        if not self._submit(task):
            return None
        timer = loop.call_later(limit, ended.come, False)
        try:
            in_time = await ended
        finally:
            timer.cancel()
        return task.result if in_time else self._timed_out()

    def close(self) -> None:
        """End the threads, when they have done their work."""
        with self._lock:
            self._is_closed = True
            self._queue.put(None)

    def join(self, deadline: float) -> None:
        """Wait for the end of the threads, at most until a time on the monotonic clock."""
        if self._pid == os.getpid():
            for thread in self._threads:
                thread.join(max(deadline - time.monotonic(), 0))

    def failed(self, error: BaseException) -> None:
        """Count and log a failure, without the error's message, which may quote a prompt."""
        self._counters.add("failures")
        self._log(f"failed with {type(error).__name__}")

    def _timed_out(self) -> None:
        self._counters.add("timeouts")
        self._log(f"took longer than {self._seconds:g} s")

    def _log(self, problem: str) -> None:
        now = time.monotonic()
        with self._lock:
            quiet = now - self._last_problem < _QUIET_SECONDS
            self._last_problem = now
        if not quiet:
            self._logger.warning(
                "the cache %s; calls continue without it, and further problems are not"
                " logged until it has worked for a minute",
                problem,
            )

    def _submit(self, task: _Task[Any]) -> bool:
        """Give work to a thread; return False if there is too much of it."""
        with self._lock:
            if self._pid != os.getpid():
                self._start()  # threads do not survive a fork
            if self._is_closed:
                raise RuntimeError("the cache is closed")
            refused = self._unfinished >= _MAX_UNFINISHED
            if not refused:
                self._unfinished += 1
                if len(self._threads) < min(self._unfinished, _THREADS):
                    self._add_thread()
        if refused:
            self._timed_out()
            return False
        self._queue.put(partial(self._do, task))
        return True

    def _add_thread(self) -> None:
        # A daemon, because a program with a storage that hangs has to end, too.
        thread = threading.Thread(
            target=_serve, args=(self._queue,), name="langcache-answers", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            if not self._threads:
                self._unfinished -= 1
                raise
        else:
            self._threads.append(thread)

    def _do(self, task: _Task[Any]) -> None:
        try:
            task.result = task.work()
        except BaseException as error:  # noqa: BLE001 - the thread has to go on
            self.failed(error)
        finally:
            with self._lock:
                self._unfinished -= 1
            if task.done is not None:
                task.done()


class _End(asyncio.Future[bool]):
    """The end of a wait, for one task: whether it came in time.

    The task goes on at once. With a plain future, it would in the next turn of the event loop.
    """

    _waiter: tuple[Callable[[Self], object], Context] | None = None

    @override
    def add_done_callback(
        self, fn: Callable[[Self], object], /, *, context: Context | None = None
    ) -> None:
        self._waiter = fn, context or copy_context()

    @override
    def cancel(self, msg: Any = None) -> bool:
        is_cancelled = super().cancel(msg)
        if is_cancelled:
            self.get_loop().call_soon(self._go_on)
        return is_cancelled

    def come(self, in_time: bool) -> None:
        """End the wait, unless it has ended. The event loop calls this, and no task."""
        if not self.done():
            self.set_result(in_time)
            self._go_on()

    def _go_on(self) -> None:
        if self._waiter:
            go_on, context = self._waiter
            context.run(go_on, self)


def _serve(queue: _Queue) -> None:
    """Do what comes, until the end comes."""
    while (work := queue.get()) is not None:
        work()
        del work  # it keeps the pool alive
    queue.put(None)  # for the other threads


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Let unfinished work, such as a store, end before the program does."""
    pools = list(_pools)
    for pool in pools:
        pool.close()
    deadline = time.monotonic() + _SECONDS_AT_EXIT
    for pool in pools:
        pool.join(deadline)
