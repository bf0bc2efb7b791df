"""Changes to a storage backend that do not interfere with each other."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from langcache.engine.storage.base import StorageBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from langcache.engine.storage.entry import CacheEntry

    Change = Callable[[CacheEntry], CacheEntry]


class Writes(Protocol):
    """The methods of a storage backend that change one namespace; see there."""

    def store(self, entry: CacheEntry) -> None: ...  # noqa: D102
    def edit(  # noqa: D102
        self, namespace: str, entry_id: str, change: Change
    ) -> CacheEntry | None: ...
    def delete(self, namespace: str, entry_ids: Collection[str]) -> int: ...  # noqa: D102
    def invalidate_namespace(self, namespace: str) -> int: ...  # noqa: D102
    async def astore(self, entry: CacheEntry) -> None: ...  # noqa: D102
    async def aedit(  # noqa: D102
        self, namespace: str, entry_id: str, change: Change
    ) -> CacheEntry | None: ...
    async def adelete(  # noqa: D102
        self, namespace: str, entry_ids: Collection[str]
    ) -> int: ...
    async def ainvalidate_namespace(self, namespace: str) -> int: ...  # noqa: D102


def atomic_writes(storage: StorageBackend) -> Writes:
    """Return what to change a backend by, so that no edit undoes another change.

    It is the backend itself when that has an `edit` of its own. Else it is one object for all in
    this process who ask for the same backend, which makes one change after the other.
    """
    if type(storage).edit is not StorageBackend.edit:
        return storage
    with _writers_lock:
        writer = _writers.get(id(storage))
        if writer is None:
            writer = _writers[id(storage)] = _Serialised(storage)
        return writer


class _Serialised:
    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage
        self._turn = threading.Lock()

    def store(self, entry: CacheEntry) -> None:
        with self._turn:
            self._storage.store(entry)

    def edit(self, namespace: str, entry_id: str, change: Change) -> CacheEntry | None:
        with self._turn:
            return self._storage.edit(namespace, entry_id, change)

    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        with self._turn:
            return self._storage.delete(namespace, entry_ids)

    def invalidate_namespace(self, namespace: str) -> int:
        with self._turn:
            return self._storage.invalidate_namespace(namespace)

    # In a thread, because a turn is waited for. So the backend's own twins are not used here: one
    # with asynchronous I/O has an `edit` of its own.

    async def astore(self, entry: CacheEntry) -> None:
        await asyncio.to_thread(self.store, entry)

    async def aedit(self, namespace: str, entry_id: str, change: Change) -> CacheEntry | None:
        return await asyncio.to_thread(self.edit, namespace, entry_id, change)

    async def adelete(self, namespace: str, entry_ids: Collection[str]) -> int:
        return await asyncio.to_thread(self.delete, namespace, entry_ids)

    async def ainvalidate_namespace(self, namespace: str) -> int:
        return await asyncio.to_thread(self.invalidate_namespace, namespace)


# By id, as a backend need not be hashable. A writer keeps its backend, so an id here is never that
# of another backend.
_writers: WeakValueDictionary[int, _Serialised] = WeakValueDictionary()
_writers_lock = threading.Lock()
