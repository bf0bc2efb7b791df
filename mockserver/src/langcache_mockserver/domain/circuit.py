"""A circuit breaker: after a storage has hung, uses of it fail at once for a moment."""

from __future__ import annotations

import inspect
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from langcache.engine.storage import StorageBackend, StorageError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Callable

_SLOW = 1.0  # seconds that a failure must have taken: a quick one keeps no thread from its work
_PAUSE = 1.0  # seconds for which a failure is remembered
_LONGEST_TRIAL = 60.0  # seconds; then it counts as lost

_WITHOUT_IO = frozenset({"is_quick", "is_shared", "may_have_records", "version", "close"})

P = ParamSpec("P")
T = TypeVar("T")


def guarded(storage: StorageBackend) -> StorageBackend:
    """Return a storage behind a `Circuit`, if it is one that can hang: one that is shared."""
    return cast("StorageBackend", _GuardedStorage(storage)) if storage.is_shared else storage


class Circuit:
    """Lets uses of a storage fail at once after one of them has failed slowly.

    Otherwise, with a storage that does not answer, each thread would wait for it until its timeout,
    one request after the other. After a second, one use tries again; the others fail until it has
    ended.

    Args:
        monotonic: Returns the time in seconds since some moment.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._is_open = False
        self._next_trial = 0.0

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that uses the storage.

        Raises:
            StorageError: The storage has not answered a moment ago. The function is not called.
        """
        started = self._monotonic()
        if self._is_open:
            with self._lock:
                if self._is_open and started < self._next_trial:
                    raise StorageError("the storage did not answer a moment ago")
                self._next_trial = started + _LONGEST_TRIAL
        try:
            result = function(*args, **kwargs)
        except StorageFullError:
            self._is_open = False
            raise
        except StorageError:
            now = self._monotonic()
            with self._lock:
                self._is_open = now - started >= _SLOW
                self._next_trial = now + _PAUSE
            raise
        except BaseException:
            # The storage may not even have been asked, as for a bad argument: the next use tries.
            self._next_trial = self._monotonic()
            raise
        self._is_open = False
        return result


class _GuardedStorage:
    """A storage whose every blocking use goes through a circuit."""

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage
        self._circuit = Circuit()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._storage, name)
        if not callable(value):
            return value
        is_async = inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)
        if name not in _WITHOUT_IO and not is_async:
            value = partial(self._circuit.call, value)
        # Kept, so that it is looked up once.
        setattr(self, name, value)
        return value


# The cache of the proxy accepts nothing else.
StorageBackend.register(_GuardedStorage)
