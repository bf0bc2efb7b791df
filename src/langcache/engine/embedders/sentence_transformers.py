"""The embedder for models of the package sentence-transformers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from langcache.engine._locks import fork_safe_lock
from langcache.engine.embedders._arrays import unit_rows, without_lone_surrogates
from langcache.engine.embedders._texts import TextEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import EmbedderCache

__all__ = ["SentenceTransformerEmbedder"]


class SentenceTransformerEmbedder(TextEmbedder):
    """Embeds with any model that the package sentence-transformers can load.

    It needs the extra `sentence-transformers`, which installs PyTorch (several gigabytes). The
    constructor loads the model, and downloads it if it is not in the local cache. An instance is
    thread-safe; calls run one after the other.

    Texts are embedded in batches. A text's vector in a batch may differ from its vector alone by
    rounding, about 1e-6. Lone surrogates are replaced by U+FFFD.

    Args:
        model_name_or_path: Name of a model on the Hugging Face Hub, such as
            "redis/langcache-embed-v3-small", or the directory of a model.
        device: The device to run it on, such as "cpu" or "cuda"; None for the best available.
        batch_size: The number of texts in a batch.
        cache: Keeps the vectors, so that no text is embedded twice. None for no cache.

    Raises:
        ImportError: sentence-transformers is not installed.
        ValueError: `batch_size` is less than 1.
    """

    def __init__(
        self,
        model_name_or_path: str,
        *,
        device: str | None = None,
        batch_size: int = 32,
        cache: EmbedderCache | None = None,
    ) -> None:
        super().__init__(cache)
        if batch_size < 1:
            raise ValueError(f"batch_size: must be at least 1, got {batch_size}")
        try:
            # Imported here because it takes seconds; not typed because it may be missing.
            package: Any = import_module("sentence_transformers")
        except ImportError as error:
            raise ImportError(
                "SentenceTransformerEmbedder needs the extra sentence-transformers; "
                'see "Install" in the README'
            ) from error
        self._model_id = model_name_or_path
        self._batch_size = batch_size
        self._lock = fork_safe_lock(waits=False)
        self._model = package.SentenceTransformer(model_name_or_path, device=device)
        # Not every model reports its dimensions.
        self._dimensions = self._encode(["dimensions"], None).shape[1]

    def __repr__(self) -> str:
        return f"SentenceTransformerEmbedder({self._model_id!r})"

    @property
    @override
    def model_id(self) -> str:
        """Name of the model, or its path, as given."""
        return self._model_id

    @property
    @override
    def dimensions(self) -> int:
        """Length of each vector."""
        return self._dimensions

    @override
    def embed_uncached(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not len(texts):
            return np.empty((0, self._dimensions), np.float32)
        return self._encode([without_lone_surrogates(text) for text in texts], self._dimensions)

    def _encode(self, texts: list[str], dimensions: int | None) -> NDArray[np.float32]:
        # Its tokenizers cannot be used from two threads at once.
        with self._lock:
            vectors = self._model.encode(
                texts,
                batch_size=self._batch_size,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return unit_rows(vectors, len(texts), dimensions)
