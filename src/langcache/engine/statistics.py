"""What a cache counts and measures about its lookups."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field

__all__ = ["CacheStatistics", "EmbeddingsCacheStatistics", "Histogram", "Lookup"]

_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip

_REASKED_SECONDS = 60
_MOST_PROMPTS = 1024


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
        rejected: Lookups that returned no entry because every candidate that reached the threshold
            was turned down. They count neither as misses nor as near misses.
        reasked: Lookups of a prompt that had a hit less than a minute before. Users who ask again
            may not have liked the answer, so many of them are a weak sign of wrong hits.
        verify_seconds: How long checking the candidates took.
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

    @property
    def lookups(self) -> int:
        """Hits, rejected lookups and misses together."""
        return self.hits + self.rejected + self.misses

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
        digest = hashlib.blake2b(
            prompt.casefold().encode("utf-8", "surrogatepass"), digest_size=16
        ).digest()
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
                rejected=self._rejected,
                reasked=self._reasked,
                verify_seconds=self._verify.histogram(),
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
