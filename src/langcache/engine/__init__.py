"""The semantic cache as a library: embedders, and storage that searches by meaning."""

from langcache.engine import _extra as _extra  # has to come first
from langcache.engine.embedders import Embedder, MiniLMEmbedder
from langcache.engine.storage import (
    CacheEntry,
    InMemoryStorage,
    Match,
    SearchResult,
    StorageBackend,
)

__all__ = [
    "CacheEntry",
    "Embedder",
    "InMemoryStorage",
    "Match",
    "MiniLMEmbedder",
    "SearchResult",
    "StorageBackend",
]
