"""The semantic cache as a library: caches, embedders, verifiers and storage backends."""

from typing import TYPE_CHECKING, Any

from langcache.engine import _extra as _extra  # must come first
from langcache.engine.cache import SemanticCache
from langcache.engine.embedders import (
    Embedder,
    EmbedderError,
    FunctionEmbedder,
    MiniLMEmbedder,
    OpenAIEmbedder,
    SentenceTransformerEmbedder,
    create_embedder,
)
from langcache.engine.embeddings_cache import CachedEmbedder, EmbeddingsCache
from langcache.engine.explanation import Explanation
from langcache.engine.feedback import Report
from langcache.engine.filters import FilterExpression, Num, Tag, Text
from langcache.engine.statistics import (
    CacheStatistics,
    EmbeddingsCacheStatistics,
    Histogram,
    Lookup,
)
from langcache.engine.storage import (
    CacheEntry,
    InMemoryStorage,
    Match,
    SearchResult,
    SQLiteStorage,
    StorageBackend,
    StorageError,
    StorageFullError,
)
from langcache.engine.verify import Verdict, Verifier, create_verifier

if TYPE_CHECKING:
    from langcache.engine.storage.redis import RedisStorage as RedisStorage

__all__ = [
    "CacheEntry",
    "CacheStatistics",
    "CachedEmbedder",
    "Embedder",
    "EmbedderError",
    "EmbeddingsCache",
    "EmbeddingsCacheStatistics",
    "Explanation",
    "FilterExpression",
    "FunctionEmbedder",
    "Histogram",
    "InMemoryStorage",
    "Lookup",
    "Match",
    "MiniLMEmbedder",
    "Num",
    "OpenAIEmbedder",
    "Report",
    "SQLiteStorage",
    "SearchResult",
    "SemanticCache",
    "SentenceTransformerEmbedder",
    "StorageBackend",
    "StorageError",
    "StorageFullError",
    "Tag",
    "Text",
    "Verdict",
    "Verifier",
    "create_embedder",
    "create_verifier",
]


def __getattr__(name: str) -> Any:
    # Not in `__all__`, because it needs another extra.
    if name == "RedisStorage":
        from langcache.engine.storage.redis import RedisStorage

        return RedisStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
