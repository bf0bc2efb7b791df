"""Embedders: from a text to a vector of unit length that stands for its meaning."""

from langcache.engine.embedders.base import Embedder
from langcache.engine.embedders.minilm import MiniLMEmbedder

__all__ = ["Embedder", "MiniLMEmbedder"]
