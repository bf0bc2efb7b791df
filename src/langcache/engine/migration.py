"""Brings stored entries to another embedding model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import numpy as np
    from numpy.typing import NDArray

    from langcache.engine.embedders.base import Embedder
    from langcache.engine.storage.base import StorageBackend
    from langcache.engine.storage.entry import CacheEntry

__all__ = ["embed_anew", "model_sizes"]

_BATCH = 64


def model_sizes(storage: StorageBackend) -> Counter[str]:
    """Return the number of entries of each embedding model in a storage, of all namespaces."""
    sizes: Counter[str] = Counter()
    for namespace in storage.namespaces():
        sizes.update(storage.model_sizes(namespace))
    return sizes


def embed_anew(
    storage: StorageBackend,
    embedder: Embedder,
    model_ids: Collection[str],
    progress: Callable[[int], object] | None = None,
) -> int:
    """Embed the prompts of entries of other models, so that they are found again.

    Each entry keeps its id and everything else. An entry that another process changes meanwhile is
    left as it is. Calling it again after an interruption goes on with the entries that are left.

    Args:
        storage: The storage.
        embedder: The embedder whose vectors the entries get.
        model_ids: The models whose entries are embedded anew.
        progress: Called with the number of entries so far.

    Returns:
        How many entries were embedded anew.

    Raises:
        StorageError: The storage cannot be used.
        EmbedderError: The embedder fails.
    """
    done = 0
    for namespace in storage.namespaces():
        waiting = (
            entry
            for entry in storage.entries(namespace)
            if entry.embedding_model_id in model_ids
            and entry.embedding_model_id != embedder.model_id
        )
        while batch := list(islice(waiting, _BATCH)):
            vectors = embedder.embed([entry.prompt for entry in batch])
            for entry, vector in zip(batch, vectors, strict=True):
                change = _change(entry, vector, embedder.model_id)
                done += storage.edit(namespace, entry.id, change) is not None
            if progress is not None:
                progress(done)
    return done


def _change(
    seen: CacheEntry, vector: NDArray[np.float32], model_id: str
) -> Callable[[CacheEntry], CacheEntry]:
    def change(entry: CacheEntry) -> CacheEntry:
        if (entry.prompt, entry.scope) != (seen.prompt, seen.scope):
            return entry
        return replace(entry, embedding=vector, embedding_model_id=model_id)

    return change
