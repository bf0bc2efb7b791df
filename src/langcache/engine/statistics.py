"""Counts and durations of a cache's lookups."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field

from langcache.engine._locks import fork_safe_lock
from langcache.engine._utf8 import encoded
from langcache.engine.same_prompt import folded

__all__ = ["CacheStatistics", "EmbeddingsCacheStatistics", "Histogram", "Lookup"]

_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip

_REASKED_SECONDS = 60
_MOST_PROMPTS = 1024


@dataclass(frozen=True, slots=True)
class Lookup:
    """One lookup of a `SemanticCache`, without its text.

    Attributes:
        hits: The number of entries returned; 0 for a miss.
        near_miss: Whether the lookup is a miss with a candidate at most 0.1 beyond the threshold,
            in cosine distance.
        best_distance: The cosine distance, 1 - cosine in [0, 2], of the best entry or, on a near
            miss, of the best candidate; None on any other miss.
        embedding_seconds: How long embedding the prompt took; None when a vector was given.
        search_seconds: How long the search took.
        rejected: How many candidates reached the threshold and were turned down: by the verifier,
            by a report of a user, or because the embedder cannot tell the prompts apart.
        verify_seconds: How long these checks took; None when there was nothing to check.
    """

    hits: int
    near_miss: bool
    best_distance: float | None
    embedding_seconds: float | None
    search_seconds: float
    rejected: int = 0
    verify_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram of durations.

    Attributes:
        bounds: The inclusive upper bounds of the buckets, in seconds, ascending. A last bucket
            without a bound holds longer durations.
        counts: The number of durations in each bucket, one more than there are bounds.
        sum: The sum of all durations, in seconds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """The number of durations."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """The mean duration in seconds, or None without durations."""
        return self.sum / self.count if self.count else None


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Counts of a `SemanticCache` object since it was created, and the size of the cache.

    Attributes:
        hits: Lookups that returned at least one entry.
        misses: Lookups that returned none.
        near_misses: The misses with a candidate at most 0.1 beyond the threshold, in cosine
            distance.
        embedding_seconds: How long embedding the prompts took.
        search_seconds: How long the searches took.
        entries: The current number of entries, including those other objects stored.
        bytes: Their current size: prompts, responses, attributes and metadata in UTF-8, and the
            vectors, without the overhead of the storage backend.
        rejected: Lookups that returned no entry because every candidate that reached the threshold
            was turned down. They count neither as misses nor as near misses.
        reasked: Lookups of a prompt that had a hit less than a minute before. Users who ask again
            may not have liked the answer, so many of them are a weak sign of wrong hits.
        verify_seconds: How long checking the candidates took.
        entries_of_other_models: How many of the entries are of another embedding model, so that no
            lookup finds them. None if they were not counted.
    """

    hits: int
    misses: int
    near_misses: int
    embedding_seconds: Histogram
    search_seconds: Histogram
    entries: int
    bytes: int
    rejected: int = 0
    reasked: int = 0
    verify_seconds: Histogram = field(default_factory=lambda: _Durations().histogram())
    entries_of_other_models: int | None = None

    @property
    def lookups(self) -> int:
        """Hits, rejected lookups and misses together."""
        return self.hits + self.rejected + self.misses

    @property
    def hit_rate(self) -> float | None:
        """Hits divided by lookups, in [0, 1], or None before the first lookup."""
        return self.hits / self.lookups if self.lookups else None


@dataclass(frozen=True, slots=True)
class EmbeddingsCacheStatistics:
    """Counts of an `EmbeddingsCache` object since it was created, and the size of the cache.

    Attributes:
        hits: Contents and keys that the `get` methods found.
        misses: Contents and keys that the `get` methods did not find.
        entries: The current number of embeddings.
        bytes: The current size of their contents, metadata and vectors.
    """

    hits: int
    misses: int
    entries: int
    bytes: int


class LookupRecorder:
    """Thread-safe counters of lookups."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._hits = 0
        self._misses = 0
        self._near_misses = 0
        self._rejected = 0
        self._reasked = 0
        self._embedding = _Durations()
        self._search = _Durations()
        self._verify = _Durations()
        # When prompts had their last hit, in seconds since the epoch, by their digests.
        self._hit_at: OrderedDict[bytes, float] = OrderedDict()

    def record(self, lookup: Lookup, prompt: str = "", moment: float = 0.0) -> None:
        """Count one lookup.

        Args:
            lookup: The lookup.
            prompt: The prompt that was looked up, or "" when a vector was.
            moment: When it was looked up, in seconds since the epoch.
        """
        digest = _digest(prompt) if prompt else b""
        with self._lock:
            if lookup.hits:
                self._hits += 1
            elif lookup.rejected:
                self._rejected += 1
            else:
                self._misses += 1
                self._near_misses += lookup.near_miss
            if lookup.embedding_seconds is not None:
                self._embedding.add(lookup.embedding_seconds)
            self._search.add(lookup.search_seconds)
            if lookup.verify_seconds is not None:
                self._verify.add(lookup.verify_seconds)
            if not prompt:
                return
            hit_at = self._hit_at.pop(digest, None)
            if hit_at is not None and moment - hit_at < _REASKED_SECONDS:
                self._reasked += 1
            if lookup.hits:
                self._hit_at[digest] = moment
                if len(self._hit_at) > _MOST_PROMPTS:
                    self._hit_at.popitem(last=False)

    def snapshot(self, entries: int, size: int) -> CacheStatistics:
        """Return all counts of one moment.

        Args:
            entries: The number of entries in the cache.
            size: Their size in bytes.
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
                rejected=self._rejected,
                reasked=self._reasked,
                verify_seconds=self._verify.histogram(),
            )


class _Durations:
    """A histogram under construction. Not thread-safe."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self._sum += seconds

    def histogram(self) -> Histogram:
        return Histogram(_BOUNDS, tuple(self._counts), self._sum)


def _digest(prompt: str) -> bytes:
    return hashlib.blake2b(encoded(folded(prompt)), digest_size=16).digest()
