"""Work that is divided among the processors: in the caller's thread, and in others that help it."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from langcache.engine._locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

__all__ = ["Processors", "do_all", "usable_processors"]

_Job = TypeVar("_Job")


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Processors:
    """The processors that calls at the same time share.

    Args:
        count: The number of processors, 1 or more.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = fork_safe_lock()
        self._in_use = 0
        self._process = os.getpid()

    @contextmanager
    def take(self, most: int) -> Generator[int]:
        """Take processors for a call, and give them back at its end.

        Args:
            most: How many the call can use.

        Yields:
            The number taken: always one, and more only if no other call has them.
        """
        with self._lock:
            if self._process != os.getpid():  # the calls of the parent process ended with the fork
                self._process, self._in_use = os.getpid(), 0
            taken = max(1, min(most, self._count - self._in_use))
            self._in_use += taken
        try:
            yield taken
        finally:
            with self._lock:
                self._in_use -= taken


def do_all(work: Callable[[_Job], object], jobs: Iterable[_Job], threads: int) -> None:
    """Call a function for each job, in several threads.

    One of the threads is the caller's. The others end before this function returns, so that no
    thread is lost by a fork or keeps the interpreter from its exit. To start one takes some 0.1 ms.

    Args:
        work: The function.
        jobs: The jobs. They begin in this order.
        threads: The number of threads. Where no more can be started, there are fewer.

    Raises:
        BaseException: What the function raised first. The jobs that had not begun are left out.
    """
    waiting = deque(jobs)
    errors: list[BaseException] = []

    def take_part() -> None:
        try:
            while True:
                try:
                    job = waiting.popleft()
                except IndexError:
                    return
                work(job)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            waiting.clear()
            errors.append(error)

    helpers: list[threading.Thread] = []
    try:
        for _ in range(min(threads, len(waiting)) - 1):
            helper = threading.Thread(target=take_part, name="langcache-embed")
            try:
                helper.start()
            except RuntimeError:  # the interpreter is about to exit, or there are too many threads
                break
            helpers.append(helper)
        take_part()
    finally:
        waiting.clear()
        for helper in helpers:
            helper.join()
    if errors:
        raise errors[0]
