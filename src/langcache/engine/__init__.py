"""The semantic cache as a library: embedders, and storage that searches by meaning."""

from importlib.util import find_spec as _find_spec

# onnxruntime and tokenizers are imported by the embedder that needs them, when it is made.
for _name in ("numpy", "onnxruntime", "tokenizers"):
    if _find_spec(_name) is None:
        raise ImportError(
            'to use langcache.engine, install the extra: pip install "langcache[engine]"'
        ) from ModuleNotFoundError(f"No module named {_name!r}", name=_name)

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
