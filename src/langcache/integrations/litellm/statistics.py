"""What a cache has done so far."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace

__all__ = ["Statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since a cache was made.

    Attributes:
        exact_hits: Lookups that found the answer to the same request.
        semantic_hits: Lookups that found the answer to a question with the same meaning.
        shared_answers: Lookups that waited for the answer to the same request, which another call
            was getting from the model.
        misses: Lookups that found none of these.
        stores: Answers that were stored.
        skipped: Lookups and answers that are none of the cache's business, such as a request that
            cannot be compared with others, or an answer that is not JSON.
        timeouts: Lookups and stores that took longer than the budget.
        failures: Lookups and stores that the storage, the embedder or the user's own function
            failed in. One that was late first counts as both.
    """

    exact_hits: int = 0
    semantic_hits: int = 0
    shared_answers: int = 0
    misses: int = 0
    stores: int = 0
    skipped: int = 0
    timeouts: int = 0
    failures: int = 0


class Counters:
    """Counts, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {each.name: 0 for each in fields(Statistics)}

    def add(self, name: str) -> None:
        """Add one to a count of `Statistics`."""
        with self._lock:
            self._counts[name] += 1

    def snapshot(self) -> Statistics:
        """Return the counts as they are now."""
        with self._lock:
            return replace(Statistics(), **self._counts)
