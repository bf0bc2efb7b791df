"""Atomic changes to a storage backend, so that no edit undoes another change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from langcache.engine._locks import fork_safe_lock
from langcache.engine.storage.base import StorageBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from langcache.engine.storage.entry import CacheEntry

    Change = Callable[[CacheEntry], CacheEntry]


class Writes(Protocol):
    """The methods of a storage backend that change one namespace; see there."""

    def store(self, entry: CacheEntry) -> None: ...  # noqa: D102
    def store_many(self, entries: Iterable[CacheEntry]) -> None: ...  # noqa: D102
    def store_distinct(  # noqa: D102
        self, entries: Sequence[CacheEntry], other_ids: Sequence[str]
    ) -> list[str]: ...
    def edit(  # noqa: D102
        self, namespace: str, entry_id: str, change: Change
    ) -> CacheEntry | None: ...
    def delete(self, namespace: str, entry_ids: Collection[str]) -> int: ...  # noqa: D102
    def invalidate_namespace(self, namespace: str) -> int: ...  # noqa: D102
    async def astore(self, entry: CacheEntry) -> None: ...  # noqa: D102
    async def astore_many(self, entries: Iterable[CacheEntry]) -> None: ...  # noqa: D102
    async def astore_distinct(  # noqa: D102
        self, entries: Sequence[CacheEntry], other_ids: Sequence[str]
    ) -> list[str]: ...
    async def aedit(  # noqa: D102
        self, namespace: str, entry_id: str, change: Change
    ) -> CacheEntry | None: ...
    async def adelete(  # noqa: D102
        self, namespace: str, entry_ids: Collection[str]
    ) -> int: ...
    async def ainvalidate_namespace(self, namespace: str) -> int: ...  # noqa: D102


def atomic_writes(storage: StorageBackend) -> Writes:
    """Return an object that changes a backend so that no edit undoes another change.

    This is the backend itself if it overrides `edit`. Otherwise it is an object that makes one
    change after the other; there is one for each backend in the process.
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
        self._turn = fork_safe_lock(waits=False)

    def store(self, entry: CacheEntry) -> None:
        with self._turn:
            self._storage.store(entry)

    def store_many(self, entries: Iterable[CacheEntry]) -> None:
        with self._turn:
            self._storage.store_many(entries)

    def store_distinct(self, entries: Sequence[CacheEntry], other_ids: Sequence[str]) -> list[str]:
        with self._turn:
            return self._storage.store_distinct(entries, other_ids)

    def edit(self, namespace: str, entry_id: str, change: Change) -> CacheEntry | None:
        with self._turn:
            return self._storage.edit(namespace, entry_id, change)

    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        with self._turn:
            return self._storage.delete(namespace, entry_ids)

    def invalidate_namespace(self, namespace: str) -> int:
        with self._turn:
            return self._storage.invalidate_namespace(namespace)

    # In a thread, because it waits for its turn. The backend's own twins are not needed: a backend
    # with asynchronous I/O overrides `edit`.

    async def astore(self, entry: CacheEntry) -> None:
        await asyncio.to_thread(self.store, entry)

    async def astore_many(self, entries: Iterable[CacheEntry]) -> None:
        await asyncio.to_thread(self.store_many, entries)

    async def astore_distinct(
        self, entries: Sequence[CacheEntry], other_ids: Sequence[str]
    ) -> list[str]:
        return await asyncio.to_thread(self.store_distinct, entries, other_ids)

    async def aedit(self, namespace: str, entry_id: str, change: Change) -> CacheEntry | None:
        return await asyncio.to_thread(self.edit, namespace, entry_id, change)

    async def adelete(self, namespace: str, entry_ids: Collection[str]) -> int:
        return await asyncio.to_thread(self.delete, namespace, entry_ids)

    async def ainvalidate_namespace(self, namespace: str) -> int:
        return await asyncio.to_thread(self.invalidate_namespace, namespace)


# By id, because a backend need not be hashable. A writer keeps its backend alive, so no other
# backend gets the same id.
_writers: WeakValueDictionary[int, _Serialised] = WeakValueDictionary()
_writers_lock = fork_safe_lock()
