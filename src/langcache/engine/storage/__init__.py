"""Storage backends: where a cache keeps its entries and finds them again."""

from typing import TYPE_CHECKING, Any

from langcache.engine.storage.base import StorageBackend
from langcache.engine.storage.entry import (
    CacheEntry,
    EntryPage,
    Match,
    Scope,
    SearchResult,
    TopSearch,
)
from langcache.engine.storage.errors import StorageError, StorageFullError
from langcache.engine.storage.memory import InMemoryStorage
from langcache.engine.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from langcache.engine.storage.redis import RedisStorage as RedisStorage

__all__ = [
    "CacheEntry",
    "EntryPage",
    "InMemoryStorage",
    "Match",
    "SQLiteStorage",
    "Scope",
    "SearchResult",
    "StorageBackend",
    "StorageError",
    "StorageFullError",
    "TopSearch",
]


def __getattr__(name: str) -> Any:
    # Not in `__all__`, as it needs another extra.
    if name == "RedisStorage":
        from langcache.engine.storage.redis import RedisStorage

        return RedisStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
