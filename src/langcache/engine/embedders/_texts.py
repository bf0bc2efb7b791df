"""The base class of the embedders in this package."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from langcache.engine.embedders._arrays import check_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from langcache.engine.embedders.base import EmbedderCache


class TextEmbedder(ABC):
    """An embedder with a blocking method, and optionally a cache in front of it."""

    def __init__(self, cache: EmbedderCache | None) -> None:
        self._cached = None if cache is None else cache.wrap(_Uncached(self))

    @property
    @abstractmethod
    def model_id(self) -> str:
        """Name of the model."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of each vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: Any number of texts, also none.

        Returns:
            A C-contiguous array of shape (len(texts), dimensions). Row i belongs to `texts[i]` and
            has unit length.

        Raises:
            EmbedderError: The texts could not be embedded. `MiniLMEmbedder` never raises it.
            TypeError: `texts` is a single str, or holds something that is not a str.
        """
        check_texts(texts)
        return self._cached.embed(texts) if self._cached else self.embed_uncached(texts)

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as `embed` does, in a worker thread."""
        check_texts(texts)
        if self._cached:
            return await self._cached.aembed(texts)
        return await asyncio.to_thread(self.embed_uncached, texts)

    @abstractmethod
    def embed_uncached(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as `embed` does, without the cache."""


class _Uncached:
    """An embedder without its cache."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder

    @property
    def model_id(self) -> str:
        return self._embedder.model_id

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._embedder.embed_uncached(texts)

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return await asyncio.to_thread(self._embedder.embed_uncached, texts)
