"""An embedder that calls a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from langcache.engine.embedders._arrays import unit_rows
from langcache.engine.embedders._texts import TextEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from langcache.engine.embedders.base import EmbedderCache

__all__ = ["FunctionEmbedder"]


class FunctionEmbedder(TextEmbedder):
    """Embeds with a function: `FunctionEmbedder(model.encode, model_id="mine", dimensions=768)`.

    Args:
        function: Takes a list of str, which is never empty, and returns one vector for each, as
            an array or nested lists of shape (texts, dimensions), of any length. It must be
            thread-safe if the embedder is used from several threads. Its exceptions reach the
            caller.
        model_id: Name of the model. Functions that return different vectors need different names:
            vectors of different models are never compared.
        dimensions: Length of each vector.
        cache: Keeps the vectors, so that no text is embedded twice. None for no cache.

    Raises:
        ValueError: `dimensions` is less than 1.
    """

    def __init__(
        self,
        function: Callable[[list[str]], ArrayLike],
        *,
        model_id: str,
        dimensions: int,
        cache: EmbedderCache | None = None,
    ) -> None:
        super().__init__(cache)
        if dimensions < 1:
            raise ValueError(f"dimensions: must be at least 1, got {dimensions}")
        self._function = function
        self._model_id = model_id
        self._dimensions = dimensions

    def __repr__(self) -> str:
        return f"FunctionEmbedder(model_id={self._model_id!r}, dimensions={self._dimensions})"

    @property
    @override
    def model_id(self) -> str:
        """Name of the model, as given."""
        return self._model_id

    @property
    @override
    def dimensions(self) -> int:
        """Length of each vector, as given."""
        return self._dimensions

    @override
    def embed_uncached(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not len(texts):
            return np.empty((0, self._dimensions), np.float32)
        return unit_rows(self._function(list(texts)), len(texts), self._dimensions)
