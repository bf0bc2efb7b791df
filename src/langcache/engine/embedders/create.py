"""From what a setting says to an embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.embedders.minilm import MiniLMEmbedder
from langcache.engine.embedders.openai import OpenAIEmbedder
from langcache.engine.embedders.sentence_transformers import SentenceTransformerEmbedder
from langcache.engine.embeddings_cache import CachedEmbedder

if TYPE_CHECKING:
    from langcache.engine.embedders.base import Embedder
    from langcache.engine.embeddings_cache import EmbeddingsCache

__all__ = ["create_embedder"]


def create_embedder(spec: str | Embedder, *, cache: EmbeddingsCache | None = None) -> Embedder:
    """Return the embedder that a string names.

    Args:
        spec: "minilm" for `MiniLMEmbedder()`; "openai:MODEL" for `OpenAIEmbedder(MODEL)`, with key
            and address from the environment; "sentence-transformers:NAME" for
            `SentenceTransformerEmbedder(NAME)`, which may also be a path. Or an embedder, which is
            returned as it is when there is no cache.
        cache: Where vectors are kept, so that no text is embedded twice; None for nowhere.

    Raises:
        ValueError: The string names no embedder, or the embedder lacks a setting.
        ImportError: The embedder needs a package that is not installed.
    """
    if not isinstance(spec, str):
        return spec if cache is None else CachedEmbedder(spec, cache)
    kind, _, name = spec.partition(":")
    if spec == "minilm":
        return MiniLMEmbedder(cache=cache)
    if kind == "openai" and name:
        return OpenAIEmbedder(name, cache=cache)
    if kind == "sentence-transformers" and name:
        return SentenceTransformerEmbedder(name, cache=cache)
    raise ValueError(
        f'embedder: must be "minilm", "openai:MODEL" or "sentence-transformers:NAME", got {spec!r}'
    )
