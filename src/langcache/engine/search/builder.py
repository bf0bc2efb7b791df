"""The thread that builds the inverted files of large indexes."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Protocol

from langcache.engine._locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger(__name__)


class Buildable(Protocol):
    """An index that may have an inverted file; see `VectorIndex`."""

    @property
    def wants_lists(self) -> bool: ...  # noqa: D102
    def build(self, lock: threading.Lock) -> Iterator[None]: ...  # noqa: D102


class IndexBuilder:
    """Builds the inverted files of a storage's indexes, in a thread that runs while there is work.

    Args:
        lock: Held by the storage around every call to an index.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._indexes: deque[Buildable] = deque()
        self._work: Iterator[None] | None = None  # on the first index
        self._thread: threading.Thread | None = None
        self._closed = False

    def request(self, index: Buildable) -> None:
        """Ask for an index to be worked on; the caller holds the lock."""
        if self._closed:
            return
        if index not in self._indexes:
            self._indexes.append(index)
        # A forked process does not have the thread of its parent.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=_build, args=(weakref.ref(self),), name="langcache-index", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:
                # The process is ending, or has too many threads. Search stays exact.
                self._thread = None

    def close(self) -> None:
        """Stop, and wait for the thread; the caller does not hold the lock."""
        with self._lock:
            self._closed = True
            self._indexes.clear()
            thread = self._thread
        if thread and thread is not threading.current_thread():
            thread.join()

    def step(self) -> bool:
        """Do some milliseconds of work; return whether there may be more."""
        with self._lock:
            index = self._indexes[0] if self._indexes else None
            if index is None:
                # Under the lock, so that `request` starts another thread.
                self._thread = None
        if index is None:
            self._work = None
            return False
        try:
            if self._work is None:
                self._work = index.build(self._lock)
            next(self._work)
        except StopIteration:
            self._work = None
            with self._lock:
                # If it has grown a lot meanwhile, it stays in the queue.
                if self._indexes and not index.wants_lists:
                    self._indexes.popleft()
        except Exception:
            _logger.exception("cannot build an index, so searches stay exact and slow")
            self._work = None
            with self._lock:
                self._closed = True
                self._indexes.clear()
                self._thread = None
            return False
        return True


def _build(builder: weakref.ref[IndexBuilder]) -> None:
    """Do the work of a builder until it is done or the builder is gone.

    Between two steps, nothing here keeps the builder alive.
    """
    while True:
        with _building:
            present = None if _ended else builder()
            if present is None or not present.step():
                return
            del present


# Held during a step, so only one thread of the process builds at a time. No step runs while the
# process forks, or while it ends, because a thread that is in native code then could crash.
_building = fork_safe_lock()
_ended = False


@atexit.register
def _end() -> None:
    global _ended  # noqa: PLW0603 - the process ends once
    with _building:
        _ended = True
