"""RedisVL's vectorizers as embedders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from langcache.engine.embedders._arrays import check_texts, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["VectorizerEmbedder", "is_vectorizer"]


def is_vectorizer(value: object) -> bool:
    """Return whether an object has what RedisVL's vectorizers have."""
    methods = ("embed_many", "aembed_many")
    return not isinstance(value, type) and (
        all(callable(getattr(value, name, None)) for name in methods)
        and isinstance(getattr(value, "model", None), str)
        and isinstance(getattr(value, "dims", None), int)
    )


class VectorizerEmbedder:
    """Embeds with a vectorizer of RedisVL.

    Args:
        vectorizer: The vectorizer. Its exceptions reach the caller.
    """

    def __init__(self, vectorizer: Any) -> None:
        self.vectorizer = vectorizer
        """The vectorizer."""

    def __repr__(self) -> str:
        return f"VectorizerEmbedder({type(self.vectorizer).__name__})"

    @property
    def model_id(self) -> str:
        """Name of the vectorizer's model."""
        return f"redisvl:{self.vectorizer.model}"

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return self.vectorizer.dims

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; see `Embedder`."""
        check_texts(texts)
        return self._rows(self.vectorizer.embed_many(list(texts)) if texts else [], len(texts))

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Asynchronous twin of `embed`."""
        check_texts(texts)
        vectors: Any = await self.vectorizer.aembed_many(list(texts)) if texts else []
        return self._rows(vectors, len(texts))

    def _rows(self, vectors: Any, count: int) -> NDArray[np.float32]:
        if not count:
            return np.empty((0, self.dimensions), np.float32)
        return unit_rows(vectors, count, self.dimensions)
