"""Counts of a cache's lookups and stores."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from langcache.engine._locks import fork_safe_lock

__all__ = ["Counters", "Statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the cache was created.

    Attributes:
        exact_hits: Lookups that found an answer to the same question.
        semantic_hits: Lookups that found an answer to a question with the same meaning.
        shared_answers: Lookups that waited for the answer of a concurrent call with the same
            question.
        misses: All other lookups, apart from the rejected ones.
        stores: Answers stored.
        skipped: Lookups and answers that the cache does not handle, such as a call whose arguments
            cannot be compared, or an answer that was cut off.
        timeouts: Lookups and stores that exceeded the budget.
        failures: Lookups and stores in which the storage, the embedder or a function of the user
            raised an error. One that timed out before counts as both.
        rejected: Lookups that found similar questions only, all of which were turned down: by the
            verifier, by a report of a user, or because the embedder cannot tell them from the asked
            one.
        bypassed: Calls made while the cache was bypassed.
    """

    exact_hits: int = 0
    semantic_hits: int = 0
    shared_answers: int = 0
    misses: int = 0
    stores: int = 0
    skipped: int = 0
    timeouts: int = 0
    failures: int = 0
    rejected: int = 0
    bypassed: int = 0


class Counters:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._counts = {each.name: 0 for each in fields(Statistics)}

    def add(self, name: str) -> None:
        """Add one to a counter, which has the name of a field of `Statistics`."""
        with self._lock:
            self._counts[name] += 1

    def snapshot(self) -> Statistics:
        """Return the current counts."""
        with self._lock:
            return replace(Statistics(), **self._counts)
