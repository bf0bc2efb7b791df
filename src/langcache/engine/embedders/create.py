"""Embedders by name, for settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.embedders.minilm import MiniLMEmbedder
from langcache.engine.embedders.openai import OpenAIEmbedder
from langcache.engine.embedders.sentence_transformers import SentenceTransformerEmbedder

if TYPE_CHECKING:
    from langcache.engine.embedders.base import Embedder, EmbedderCache

__all__ = ["create_embedder"]


def create_embedder(spec: str | Embedder, *, cache: EmbedderCache | None = None) -> Embedder:
    """Return the embedder that a string names.

    Args:
        spec: "minilm" for `MiniLMEmbedder()`; "openai:MODEL" for `OpenAIEmbedder(MODEL)`, with
            API key and URL from the environment; "sentence-transformers:NAME" for
            `SentenceTransformerEmbedder(NAME)`, where NAME may be a path. An embedder is returned
            unchanged when there is no cache.
        cache: Keeps the vectors, so that no text is embedded twice. None for no cache.

    Raises:
        ValueError: The string names no embedder, or a setting of the embedder is missing.
        ImportError: A package that the embedder needs is not installed.
    """
    if not isinstance(spec, str):
        return spec if cache is None else cache.wrap(spec)
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
