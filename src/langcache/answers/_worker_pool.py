"""Worker threads for lookups and stores, so that a slow storage does not delay a call."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from langcache.engine._locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.answers.statistics import Counters

_T = TypeVar("_T")
_THREADS = 16
_MAX_UNFINISHED = 256
_QUIET_SECONDS = 60.0


class WorkerPool:
    """Runs work in its own threads and waits for each piece of it for a limited time.

    Work that exceeds the time limit continues in its thread. When 256 pieces of work are
    unfinished, new work is refused at once, so that a storage that hangs costs no time.

    Failures and timeouts are counted. The first one is logged; the next ones only after a minute
    without any.

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
        self._unfinished = 0
        self._last_problem = float("-inf")
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="langcache-answers")

    def run(self, work: Callable[[], _T], seconds: float | None = None) -> _T | None:
        """Return the result of the work, or None when it fails or exceeds the time limit.

        Args:
            work: The work.
            seconds: What is left of the time limit; None for all of it. With 0 or less, the result
                is not waited for.
        """
        limit = self._seconds if seconds is None else seconds
        future = self._submit(work)
        if future is None or limit <= 0:
            return None
        try:
            return future.result(limit)
        except FutureTimeoutError:
            return self._timed_out()

    async def arun(self, work: Callable[[], _T], seconds: float | None = None) -> _T | None:
        """Asynchronous twin of `run`."""
        limit = self._seconds if seconds is None else seconds
        future = self._submit(work)
        if future is None or limit <= 0:
            return None
        done, _ = await asyncio.wait({asyncio.wrap_future(future)}, timeout=limit)
        return done.pop().result() if done else self._timed_out()

    def close(self) -> None:
        """End the threads, when they have done their work."""
        self._pool.shutdown(wait=False)

    def failed(self, error: Exception) -> None:
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

    def _submit(self, work: Callable[[], _T]) -> Future[_T | None] | None:
        with self._lock:
            if self._pid != os.getpid():
                self._start()  # threads do not survive a fork
            refused = self._unfinished >= _MAX_UNFINISHED
            self._unfinished += not refused
        if refused:
            self._timed_out()
            return None
        return self._pool.submit(partial(self._do, work))

    def _do(self, work: Callable[[], _T]) -> _T | None:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - any error of the user's storage or embedder
            self.failed(error)
            return None
        finally:
            with self._lock:
                self._unfinished -= 1
