"""Embedders by the names that LiteLLM's users know."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from langcache.engine import MiniLMEmbedder
from langcache.engine.embedders import create_embedder
from langcache.integrations.litellm._foreign import litellm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langcache.engine import Embedder

_OWN = ("openai:", "sentence-transformers:")


def open_embedder(model: str | Embedder) -> Embedder:
    """Return the embedder that a name stands for; an embedder is returned as it is.

    Raises:
        ValueError: The name is empty, or the embedder lacks a setting.
        ImportError: The embedder needs a package that is not installed.
    """
    if not isinstance(model, str):
        return model
    if not model:
        raise ValueError("embedding_model: must be a name or an embedder, got an empty string")
    if model == "minilm" or model.startswith(_OWN):
        return create_embedder(model)
    return LiteLLMEmbedder(model)


def reads_latin_only(embedder: Embedder) -> bool:
    """Tell whether an embedder takes words of other scripts for one and the same unknown word."""
    return isinstance(embedder, MiniLMEmbedder)


class LiteLLMEmbedder:
    """Embeds with any model that `litellm.embedding` knows, past LiteLLM's own cache.

    Args:
        model: The model's name, as LiteLLM has it.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    @property
    def model_id(self) -> str:
        """The model's name."""
        return self._model

    @property
    def dimensions(self) -> int:
        """Length of each vector; asks the model for one."""
        return self.embed(["length"]).shape[1]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, all in one call of the model.

        Raises:
            Exception: What LiteLLM raises.
        """
        response: Any = litellm.embedding(
            model=self._model,
            input=list(texts),
            # A lookup that asks the cache for its own question's vector would not end.
            cache={"no-cache": True, "no-store": True},
        )
        vectors = np.array([each["embedding"] for each in response.data], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Asynchronous twin of `embed`."""
        return await asyncio.to_thread(self.embed, texts)
