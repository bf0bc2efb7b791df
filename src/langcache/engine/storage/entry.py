"""What a storage backend keeps, what it is asked for, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["CacheEntry", "EntryPage", "Match", "Scope", "SearchResult", "StorageUsage", "TopSearch"]


class Scope(NamedTuple):
    """What must be equal for an entry to be a candidate of a search.

    The methods of `StorageBackend` take its parts one by one:
    `storage.search(vector, *scope, 0.9)`.

    Attributes:
        namespace: The cache.
        embedding_model_id: The embedding model.
        context_hash: What besides the prompt the response depends on, hashed, or "".
    """

    namespace: str
    embedding_model_id: str
    context_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CacheEntry:  # noqa: PLW1641 - an entry holds arrays and mappings, so it has no hash
    """One prompt and its response, as a storage backend keeps it.

    Two entries are equal when all their fields are. `repr` shows no field that carries the user's
    text.

    Attributes:
        id: Identifies the entry within its namespace.
        prompt: The text that was asked.
        response: The text that was answered.
        embedding: The prompt's vector: float32, shape (dimensions,), of length 1.
        namespace: The cache the entry belongs to.
        embedding_model_id: The model that made the embedding. Entries of another model are never
            candidates of a search.
        context_hash: What besides the prompt the response depends on, hashed, or "". Entries of
            another context are never candidates of a search.
        attributes: Names and values to filter by; any text.
        metadata: The user's own data, returned as it was stored, or None.
        created_at: When the entry was first stored, in seconds since the epoch.
        updated_at: When it was last stored or changed, in seconds since the epoch.
        expires_at: When it expires, in seconds since the epoch; None for never.
    """

    id: str
    prompt: str = field(repr=False)
    response: str = field(repr=False)
    embedding: NDArray[np.float32] = field(repr=False)
    namespace: str
    embedding_model_id: str
    context_hash: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    metadata: Mapping[str, Any] | None = field(default=None, repr=False)
    created_at: float
    updated_at: float
    expires_at: float | None = None

    @property
    def scope(self) -> Scope:
        """The scope that the entry belongs to."""
        return Scope(self.namespace, self.embedding_model_id, self.context_hash)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CacheEntry):
            return NotImplemented
        return np.array_equal(self.embedding, other.embedding) and all(
            getattr(self, name) == getattr(other, name) for name in _PLAIN_FIELDS
        )


_PLAIN_FIELDS = [each.name for each in fields(CacheEntry) if each.name != "embedding"]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What `StorageBackend.search` found.

    Attributes:
        entry: The best entry, or None when its similarity is below the threshold.
        best_score: The similarity of the best candidate, (1 + cosine) / 2, in [0, 1].
    """

    entry: CacheEntry | None
    best_score: float


@dataclass(frozen=True, slots=True)
class Match:
    """One entry that `StorageBackend.search_top` found.

    Attributes:
        entry: The entry.
        similarity: (1 + cosine) / 2, in [0, 1].
    """

    entry: CacheEntry
    similarity: float


class EntryPage(NamedTuple):
    """One page of `StorageBackend.list_entries`.

    Attributes:
        entries: The entries, in the order of the listing. There may be fewer than asked for, even
            none, although more follow.
        cursor: Where the next page begins; None if this is the last page.
    """

    entries: list[CacheEntry]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUsage:
    """What the entries of a storage take, and how much they may take.

    Attributes:
        entries: The number of entries, with those that have expired and are still in memory.
        bytes: How many bytes of memory they take: texts, vectors, and a measured overhead.
        max_entries: The largest number of entries; None for no limit.
        max_bytes: The most bytes; None for no limit.
        evictions: How many entries have been removed to make room.
    """

    entries: int
    bytes: int
    max_entries: int | None
    max_bytes: int | None
    evictions: int


class TopSearch(NamedTuple):
    """One of the searches of `StorageBackend.search_top_together`.

    Attributes:
        embedding: Vector of length 1, shape (dimensions,).
        namespace: The scope's namespace.
        embedding_model_id: The scope's embedding model.
        context_hash: The scope's context hash.
        threshold: The least similarity of a match, (1 + cosine) / 2, in [0, 1].
        limit: How many matches to return at most.
        attributes: Only entries that have all of these match; None or empty for all.
        nearest: Whether a backend may add, if nothing reaches the threshold, an entry that is about
            as near as the nearest one. It costs next to nothing where a search looks at all entries
            anyway; other backends do not do it.
    """

    embedding: NDArray[np.float32]
    namespace: str
    embedding_model_id: str
    context_hash: str
    threshold: float
    limit: int = 1
    attributes: Mapping[str, str] | None = None
    nearest: bool = False

    @property
    def scope(self) -> Scope:
        """The scope to search."""
        return Scope(self.namespace, self.embedding_model_id, self.context_hash)
