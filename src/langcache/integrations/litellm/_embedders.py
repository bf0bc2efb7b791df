"""Embedders by the model names of LiteLLM."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from langcache.engine import MiniLMEmbedder
from langcache.engine.embedders import create_embedder
from langcache.integrations.litellm._litellm import litellm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langcache.engine import Embedder

_OWN = ("openai:", "sentence-transformers:")


def open_embedder(model: str | Embedder) -> Embedder:
    """Return the embedder that a name selects; an embedder is returned unchanged.

    Raises:
        ValueError: The name is empty, or the embedder lacks a setting.
        ImportError: A package that the embedder needs is not installed.
    """
    if not isinstance(model, str):
        return model
    if not model:
        raise ValueError("embedding_model: must not be empty")
    if model == "minilm" or model.startswith(_OWN):
        return create_embedder(model)
    return LiteLLMEmbedder(model)


def reads_latin_only(embedder: Embedder) -> bool:
    """Return whether an embedder treats all words in other scripts as one unknown word."""
    return isinstance(embedder, MiniLMEmbedder)


class LiteLLMEmbedder:
    """Embeds with any model of `litellm.embedding`, without LiteLLM's cache.

    Args:
        model: LiteLLM's name of the model.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    @property
    def model_id(self) -> str:
        """The model's name."""
        return self._model

    @property
    def dimensions(self) -> int:
        """Length of each vector. Each access calls the model."""
        return self.embed(["length"]).shape[1]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts in one call of the model.

        Raises:
            Exception: Any error that LiteLLM raises.
        """
        response: Any = litellm.embedding(
            model=self._model,
            input=list(texts),
            # Without this, a lookup would query the cache for its vector, which is a lookup too.
            cache={"no-cache": True, "no-store": True},
        )
        vectors = np.array([each["embedding"] for each in response.data], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Asynchronous twin of `embed`."""
        return await asyncio.to_thread(self.embed, texts)
