"""Storage backends: where a cache keeps its entries and finds them again."""

from langcache.engine.storage.base import CacheEntry, Match, SearchResult, StorageBackend
from langcache.engine.storage.memory import InMemoryStorage

__all__ = ["CacheEntry", "InMemoryStorage", "Match", "SearchResult", "StorageBackend"]
