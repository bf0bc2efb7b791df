"""A bounded memory of vectors: texts that come again are not embedded again."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from langcache.engine._locks import fork_safe_lock
from langcache.engine.embedders._arrays import check_texts
from langcache.engine.embedders.text_facts import DescribesTexts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import Embedder
    from langcache.engine.embedders.text_facts import TextFacts

__all__ = ["VectorMemory"]

_MAX_CHARACTERS = 4096


class VectorMemory:
    """An embedder that remembers the vectors of the texts used most recently.

    Thread-safe. The memory lasts as long as the object; for one that outlives the process, see
    `CachedEmbedder`.

    Args:
        embedder: Embeds the texts whose vectors are not in memory.
        size: The number of vectors to keep, 0 or more. Above it, the least recently used vector
            goes. The vector of a text longer than 4096 characters is not kept.
        on_embedding: Called after each call of the embedder, with its duration in seconds.
    """

    def __init__(
        self, embedder: Embedder, size: int, on_embedding: Callable[[float], object] | None = None
    ) -> None:
        self._embedder = embedder
        self._size = size
        self._on_embedding = on_embedding
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = fork_safe_lock()
        if isinstance(embedder, DescribesTexts):
            # A wrapper must not hide what its embedder can tell, nor claim more.
            self.describe: Callable[[str], TextFacts] = embedder.describe

    @property
    def embedder(self) -> Embedder:
        """The embedder whose vectors are remembered."""
        return self._embedder

    @property
    def model_id(self) -> str:
        """Name of the embedder's model."""
        return self._embedder.model_id

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return self._embedder.dimensions

    def recall(self, text: str) -> NDArray[np.float32] | None:
        """Return the vector of a text if it is in memory, read-only; else None."""
        with self._lock:
            vector = self._vectors.get(text)
            if vector is not None:
                self._vectors.move_to_end(text)
            return vector

    def embed_one(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a text: read-only, float32 of shape (dimensions,)."""
        vector = self.recall(text)
        return self._remember(text, self._embed([text])[0]) if vector is None else vector

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; see `Embedder.embed`. Each missing text is embedded once, all in one call.

        Raises:
            TypeError: `texts` is a single str, or holds something that is not a str.
        """
        check_texts(texts)
        known = {text: vector for text in texts if (vector := self.recall(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            for text, vector in zip(missing, self._embed(missing), strict=True):
                known[text] = self._remember(text, vector)
        if not known:
            return np.empty((0, self.dimensions), np.float32)
        return np.stack([known[text] for text in texts])

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Asynchronous twin of `embed`."""
        return await asyncio.to_thread(self.embed, texts)

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        started = time.perf_counter()
        vectors = self._embedder.embed(texts)
        if self._on_embedding is not None:
            self._on_embedding(time.perf_counter() - started)
        return vectors

    def _remember(self, text: str, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a vector as it is kept, which it is unless its text is too long."""
        kept = np.array(vector)  # a copy, because a row would keep its whole array alive
        kept.flags.writeable = False
        if len(text) <= _MAX_CHARACTERS:
            with self._lock:
                self._vectors[text] = kept
                if len(self._vectors) > self._size:
                    self._vectors.popitem(last=False)
        return kept
