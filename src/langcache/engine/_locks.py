"""Locks that a forked process does not inherit taken.

A child process has the thread that forked and no other, so a lock that another thread had taken
would stay taken in the child for ever, and what it protects could be half changed. Therefore the
forking thread takes the locks before the fork. In the child all of them are free.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

__all__ = ["fork_safe_lock"]

_TRIES = 100
_SECONDS = 0.01

# By the ids of the locks. Reading and changing a dict takes no lock.
_locks: dict[int, tuple[weakref.ref[threading.Lock], bool]] = {}
_taken: list[threading.Lock] = []


def fork_safe_lock(*, waits: bool = True) -> threading.Lock:
    """Return a lock that is free in a forked process.

    Args:
        waits: Whether a fork waits until the lock is free, for a second at most. It should if the
            lock is held for microseconds and protects something that must not be half changed.
    """
    lock = threading.Lock()
    key = id(lock)
    _locks[key] = weakref.ref(lock, lambda _: _locks.pop(key, None)), waits
    return lock


def _take() -> None:
    """Take all locks that a fork waits for."""
    wanted = [lock for ref, waits in list(_locks.values()) if waits and (lock := ref())]
    for _ in range(_TRIES):
        busy = next((lock for lock in wanted if not _took(lock, 0)), None)
        if busy is None:
            return
        # Keep nothing while waiting, because the thread that has this one may want another.
        _release_taken()
        if _took(busy, _SECONDS):
            wanted.remove(busy)
            wanted.insert(0, busy)


def _took(lock: threading.Lock, seconds: float) -> bool:
    if lock in _taken:
        return True
    took = lock.acquire(timeout=seconds) if seconds else lock.acquire(blocking=False)
    if took:
        _taken.append(lock)
    return took


def _release_taken() -> None:
    while _taken:
        _taken.pop().release()


def _renew_all() -> None:
    """Make all locks free, whatever thread of the parent had them."""
    _taken.clear()
    for ref, _ in list(_locks.values()):
        lock: Any = ref()
        if lock is not None:
            # `release` is not enough: a thread that was about to get the lock may have had it
            # without `locked` telling. The locks of the standard library are renewed like this.
            lock._at_fork_reinit()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take, after_in_parent=_release_taken, after_in_child=_renew_all)
