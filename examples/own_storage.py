"""A storage backend of your own: what to write, and how to test and use it.

It keeps entries in a dict and compares vectors one by one, so it is slow but correct. A backend
must have these seven methods. It gets faster if it overrides others, such as `search_top`, with
what its database can do.

    uv run examples/own_storage.py
"""

import copy
import threading
import time
from collections.abc import Callable, Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from langcache.engine import CacheEntry, SearchResult, SemanticCache, StorageBackend
from langcache.engine.storage import Scope
from langcache.engine.storage.base import check_embedding, check_entry, least_cosine, similarity_of
from langcache.engine.testing import check_storage


class DictStorage(StorageBackend):
    """Entries by namespace and id. A dict keeps the order in which they were first stored."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # any method may be called by several threads at once
        self._entries: dict[tuple[str, str], CacheEntry] = {}

    def store(self, entry: CacheEntry) -> None:
        check_entry(entry)
        with self._lock:
            for other in self._live(entry.namespace):
                if other.scope == entry.scope:
                    check_embedding(entry.embedding, len(other.embedding))
            self._entries[entry.namespace, entry.id] = copy.deepcopy(entry)

    def search(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
    ) -> SearchResult | None:
        check_embedding(embedding)
        least = least_cosine(threshold)
        scope = Scope(namespace, embedding_model_id, context_hash)
        candidates = [entry for entry in self.entries(namespace) if entry.scope == scope]
        if not candidates:
            return None
        check_embedding(embedding, len(candidates[0].embedding))
        cosines = [float(entry.embedding.dot(embedding)) for entry in candidates]
        best = max(cosines)
        # Rounding must not decide between equally good entries: the latest wins.
        scored = zip(candidates, cosines, strict=True)
        equals = [entry for entry, cosine in scored if cosine >= best - 2e-6]
        latest = max(equals, key=lambda entry: entry.updated_at)
        return SearchResult(latest if best >= least else None, similarity_of(best))

    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        with self._lock:
            doomed = [entry for entry in self._live(namespace) if entry.id in entry_ids]
            for entry in doomed:
                del self._entries[namespace, entry.id]
            return len(doomed)

    def invalidate_namespace(self, namespace: str) -> int:
        return self.delete(namespace, [entry.id for entry in self.entries(namespace)])

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def namespace_size(self, namespace: str) -> int:
        with self._lock:
            return len(self._live(namespace))

    def entries(self, namespace: str) -> Iterator[CacheEntry]:
        with self._lock:
            return iter(copy.deepcopy(self._live(namespace)))

    def _live(self, namespace: str) -> list[CacheEntry]:
        now = self._clock()
        return [
            entry
            for entry in self._entries.values()
            if entry.namespace == namespace and (entry.expires_at is None or entry.expires_at > now)
        ]


def main() -> None:
    check_storage(DictStorage)
    print("DictStorage does what a storage must do.")
    cache = SemanticCache(storage=DictStorage())
    cache.store("How do I reset my password?", "Open Settings, choose Security, Reset password.")
    for prompt in ("How can I reset my password?", "What is the capital of France?"):
        hits = cache.check(prompt)
        print(f"{prompt} -> {hits[0]['response'] if hits else 'a miss'}")


if __name__ == "__main__":
    main()
