"""What a cache counts and measures about its lookups."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass

__all__ = ["CacheStatistics", "EmbeddingsCacheStatistics", "Histogram", "Lookup"]

_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lookup:
    """One lookup of a `SemanticCache`, without anything of its text.

    Attributes:
        hits: How many entries it returned; 0 is a miss.
        near_miss: Whether it is a miss whose best candidate fell short of the threshold by a
            distance of at most 0.1.
        best_distance: The cosine distance, 1 - cosine in [0, 2], of the best entry or, on a near
            miss, of the best candidate; None on any other miss.
        embedding_seconds: How long embedding the prompt took; None when a vector was given.
        search_seconds: How long the search took.
    """

    hits: int
    near_miss: bool
    best_distance: float | None
    embedding_seconds: float | None
    search_seconds: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long.

    Attributes:
        bounds: The upper bounds of the buckets, in seconds, ascending; each belongs to its bucket.
            One more bucket holds what took longer than the last.
        counts: How many fell in each bucket: one number more than there are bounds.
        sum: All durations together, in seconds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """The mean duration in seconds, or None when there is none."""
        return self.sum / self.count if self.count else None


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a `SemanticCache` has done since it was made, and what it holds.

    Attributes:
        hits: Lookups that returned at least one entry.
        misses: Lookups that returned none.
        near_misses: Those of the misses whose best candidate fell short of the threshold by a
            cosine distance of at most 0.1.
        embedding_seconds: How long embedding the prompts of lookups took.
        search_seconds: How long the searches took.
        entries: How many entries the cache has now, whoever stored them.
        bytes: What they take now: prompts, responses, attributes and metadata in UTF-8, and the
            vectors. A storage backend needs some more of its own.
    """

    hits: int
    misses: int
    near_misses: int
    embedding_seconds: Histogram
    search_seconds: Histogram
    entries: int
    bytes: int

    @property
    def lookups(self) -> int:
        """Hits and misses together."""
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float | None:
        """The share of hits among the lookups, in [0, 1], or None before the first lookup."""
        return self.hits / self.lookups if self.lookups else None


@dataclass(frozen=True, slots=True)
class EmbeddingsCacheStatistics:
    """What an `EmbeddingsCache` has done since it was made, and what it holds.

    Attributes:
        hits: Contents that `get` and its kin were asked for and found.
        misses: Contents that they did not find.
        entries: How many embeddings the cache has now.
        bytes: What their contents, metadata and vectors take now.
    """

    hits: int
    misses: int
    entries: int
    bytes: int


class LookupRecorder:
    """Counts lookups; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hits = 0
        self._misses = 0
        self._near_misses = 0
        self._embedding = _Durations()
        self._search = _Durations()

    def record(self, lookup: Lookup) -> None:
        """Count one lookup."""
        with self._lock:
            if lookup.hits:
                self._hits += 1
            else:
                self._misses += 1
                self._near_misses += lookup.near_miss
            if lookup.embedding_seconds is not None:
                self._embedding.add(lookup.embedding_seconds)
            self._search.add(lookup.search_seconds)

    def snapshot(self, entries: int, size: int) -> CacheStatistics:
        """Return what has been counted, all of it at one moment.

        Args:
            entries: How many entries the cache has.
            size: What they take, in bytes.
        """
        with self._lock:
            return CacheStatistics(
                hits=self._hits,
                misses=self._misses,
                near_misses=self._near_misses,
                embedding_seconds=self._embedding.histogram(),
                search_seconds=self._search.histogram(),
                entries=entries,
                bytes=size,
            )


class _Durations:
    """A histogram that grows; not thread-safe."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self._sum += seconds

    def histogram(self) -> Histogram:
        return Histogram(_BOUNDS, tuple(self._counts), self._sum)
