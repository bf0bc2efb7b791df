"""An embedder that remembers: the prompts asked again and again are embedded once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders import Embedder

_MOST_CHARACTERS = 4096  # so that long texts don't fill the memory


class RememberingEmbedder:
    """Keeps the vectors of the texts that another embedder was asked for last.

    Safe to use from several threads at once.

    Args:
        embedder: Makes the vectors that aren't known.
        size: How many vectors to keep, 0 or more; of more, those asked for least recently go. Texts
            of more than 4096 characters are not remembered.
        on_embedding: Called after the embedder has made vectors, with the seconds it took.
    """

    def __init__(
        self, embedder: Embedder, size: int, on_embedding: Callable[[float], object] | None = None
    ) -> None:
        self._embedder = embedder
        self._size = size
        self._on_embedding = on_embedding
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """Name of the embedder's model."""
        return self._embedder.model_id

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return self._embedder.dimensions

    def knows(self, text: str) -> bool:
        """Return whether the vector of a text is there, so that `embed` takes microseconds."""
        return text in self._vectors

    def embed_one(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text, float32 of shape (dimensions,); it must not be changed."""
        vector = self._recall(text)
        return self.embed([text])[0] if vector is None else vector

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, float32 of shape (texts, dimensions)."""
        known = [self._recall(text) for text in texts]
        missing = [text for text, vector in zip(texts, known, strict=True) if vector is None]
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        made = iter(self._embed(missing)) if missing else iter(())
        for row, (text, vector) in enumerate(zip(texts, known, strict=True)):
            if vector is None:
                vectors[row] = next(made)
                self._keep(text, vectors[row])
            else:
                vectors[row] = vector
        return vectors

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Asynchronous twin of `embed`."""
        return await asyncio.to_thread(self.embed, texts)

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        started = time.perf_counter()
        vectors = self._embedder.embed(texts)
        if self._on_embedding is not None:
            self._on_embedding(time.perf_counter() - started)
        return vectors

    def _recall(self, text: str) -> NDArray[np.float32] | None:
        with self._lock:
            vector = self._vectors.get(text)
            if vector is not None:
                self._vectors.move_to_end(text)
            return vector

    def _keep(self, text: str, vector: NDArray[np.float32]) -> None:
        if len(text) > _MOST_CHARACTERS:
            return
        kept = np.array(vector)  # not a row of an array that it would keep alive
        kept.flags.writeable = False
        with self._lock:
            self._vectors[text] = kept
            if len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
