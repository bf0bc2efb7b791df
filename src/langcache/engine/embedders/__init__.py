"""Embedders: they map a text to a unit vector that represents its meaning."""

from langcache.engine.embedders.base import Embedder
from langcache.engine.embedders.create import create_embedder
from langcache.engine.embedders.errors import EmbedderError
from langcache.engine.embedders.function import FunctionEmbedder
from langcache.engine.embedders.minilm import MiniLMEmbedder
from langcache.engine.embedders.openai import OpenAIEmbedder
from langcache.engine.embedders.sentence_transformers import SentenceTransformerEmbedder

__all__ = [
    "Embedder",
    "EmbedderError",
    "FunctionEmbedder",
    "MiniLMEmbedder",
    "OpenAIEmbedder",
    "SentenceTransformerEmbedder",
    "create_embedder",
]
