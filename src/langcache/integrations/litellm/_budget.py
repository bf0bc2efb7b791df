"""Work that must not hold up a completion: bounded in time, and its troubles told once."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.integrations.litellm.statistics import Counters

_logger = logging.getLogger("langcache.integrations.litellm")
_T = TypeVar("_T")
_THREADS = 16
_MOST_UNFINISHED = 256
_QUIET_SECONDS = 60.0


class Budget:
    """Does work in threads of its own and waits for it no longer than a budget.

    Work that takes longer goes on by itself. When too much of it is unfinished, new work is
    refused at once, so that a storage that hangs costs nothing after a while.

    Args:
        seconds: How long to wait for a piece of work.
        counters: Where failures and timeouts are counted.
    """

    def __init__(self, seconds: float, counters: Counters) -> None:
        self._seconds = seconds
        self._counters = counters
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._unfinished = 0
        self._trouble_at = float("-inf")
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="langcache-litellm")

    def run(self, work: Callable[[], _T]) -> _T | None:
        """Return what the work returns, or None when it fails or takes too long."""
        future = self._submit(work)
        if future is None:
            return None
        try:
            return future.result(self._seconds)
        except FutureTimeoutError:
            return self._late()

    async def arun(self, work: Callable[[], _T]) -> _T | None:
        """Asynchronous twin of `run`."""
        future = self._submit(work)
        if future is None:
            return None
        done, _ = await asyncio.wait({asyncio.wrap_future(future)}, timeout=self._seconds)
        return done.pop().result() if done else self._late()

    def failed(self, error: Exception) -> None:
        """Count a failure and tell of it; its message may quote a prompt and is left out."""
        self._counters.add("failures")
        self._tell(f"failed with {type(error).__name__}")

    def _late(self) -> None:
        self._counters.add("timeouts")
        self._tell(f"took longer than {self._seconds:g} s")

    def _tell(self, what: str) -> None:
        now = time.monotonic()
        with self._lock:
            quiet = now - self._trouble_at < _QUIET_SECONDS
            self._trouble_at = now
        if not quiet:
            _logger.warning(
                "the cache %s; completions go on without it, and nothing more is logged"
                " until it has been well for a minute",
                what,
            )

    def _submit(self, work: Callable[[], _T]) -> Future[_T | None] | None:
        with self._lock:
            if self._pid != os.getpid():
                self._start()  # threads do not survive a fork
            refused = self._unfinished >= _MOST_UNFINISHED
            self._unfinished += not refused
        if refused:
            self._late()
            return None
        return self._pool.submit(partial(self._do, work))

    def _do(self, work: Callable[[], _T]) -> _T | None:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - whatever the user's storage or embedder raises
            self.failed(error)
            return None
        finally:
            with self._lock:
                self._unfinished -= 1
