"""What the engine asks of an embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder"]


class Embedder(Protocol):
    """Maps texts to vectors whose cosine says how alike the texts are in meaning.

    Any object with these members is an embedder; there is nothing to inherit. One embedder may be
    used from several threads at once.
    """

    @property
    def model_id(self) -> str:
        """Name of the model. Vectors of embedders with different names are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        The result is deterministic: a text's vector depends on the text alone, not on which other
        texts are in the call, nor on their order.

        Args:
            texts: Any number of texts, none included.

        Returns:
            A C-contiguous array of shape (len(texts), dimensions). Row i belongs to `texts[i]` and
            has unit length.
        """
        ...

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as `embed` does, without blocking the event loop."""
        ...
