"""Storage backends: where a cache keeps its entries and finds them again."""

from langcache.engine.storage.base import CacheEntry, Match, SearchResult, StorageBackend
from langcache.engine.storage.errors import StorageError, StorageFullError
from langcache.engine.storage.memory import InMemoryStorage
from langcache.engine.storage.sqlite import SQLiteStorage

__all__ = [
    "CacheEntry",
    "InMemoryStorage",
    "Match",
    "SQLiteStorage",
    "SearchResult",
    "StorageBackend",
    "StorageError",
    "StorageFullError",
]
