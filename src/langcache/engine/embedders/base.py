"""The interface of an embedder, and of a cache in front of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "EmbedderCache"]


class Embedder(Protocol):
    """Maps texts to vectors, whose cosine measures how similar the texts are in meaning.

    Any object with these members is an embedder; there is no base class. An embedder must be
    thread-safe.
    """

    @property
    def model_id(self) -> str:
        """Name of the model. Vectors of models with different names are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        The result is deterministic: a text's vector depends on the text alone, not on the other
        texts of the call or their order.

        Args:
            texts: Any number of texts, also none.

        Returns:
            A C-contiguous array of shape (len(texts), dimensions). Row i belongs to `texts[i]` and
            has unit length.
        """
        ...

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as `embed` does, without blocking the event loop."""
        ...


class EmbedderCache(Protocol):
    """A cache of embeddings, such as `EmbeddingsCache`."""

    def wrap(self, embedder: Embedder) -> Embedder:
        """Return an embedder that calls `embedder` only for texts missing from the cache."""
        ...
