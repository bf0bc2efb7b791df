"""What the operations do: LangCache semantics on an embedder and a storage backend."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from langcache.engine.storage import CacheEntry, Scope, TopSearch
from langcache.engine.storage.base import reaches
from langcache_mockserver.domain.conversation import reformulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langcache.engine.embedders.vector_memory import VectorMemory
    from langcache.engine.storage import Match, StorageBackend

_NEAR_MISS = 0.05  # how far below the threshold the best similarity of a near miss may be
_MOST_SCANNED = 50_000  # more have an index that leads each search elsewhere

P = ParamSpec("P")
T = TypeVar("T")


class Query(NamedTuple):
    """What a search asks for, besides the prompt.

    Attributes:
        threshold: The least similarity of a semantic match, `(1 + cosine) / 2`; None is the
            server's default.
        strategies: What to try, `exact` or `semantic`, in order of priority: what an earlier
            strategy finds comes first, and the later ones fill up with what isn't there yet.
        attributes: Only entries that have all of these match.
        max_results: How many entries to return at most.
    """

    threshold: float | None = None
    strategies: Sequence[str] = ("semantic",)
    attributes: Mapping[str, str] | None = None
    max_results: int = 1


class Found(NamedTuple):
    """An entry that a search found.

    Attributes:
        entry: The entry.
        similarity: How near it is to the prompt, `(1 + cosine) / 2`; 1 for an exact match.
        strategy: The strategy that found it, `exact` or `semantic`.
    """

    entry: CacheEntry
    similarity: float
    strategy: str


class Answer(NamedTuple):
    """What a search came to.

    Attributes:
        found: The entries; best first within a strategy.
        near_miss: Whether there is none, but one that falls short of the threshold by 0.05 at most.
    """

    found: list[Found]
    near_miss: bool

    @property
    def outcome(self) -> str:
        """`hit`, `near_miss` or `miss`."""
        if self.found:
            return "hit"
        return "near_miss" if self.near_miss else "miss"


class Caches:
    """The caches of a server; one exists as soon as it is named.

    All methods are synchronous and safe to call from several threads at once. Each cache is a
    namespace of the storage, so entries of one are never seen through another.

    Args:
        embedder: Turns prompts into vectors.
        storage: Keeps the entries; it must live by the same clock.
        default_threshold: The least similarity of a semantic match where a search names none.
        clock: Gives the time in seconds since the epoch.
        on_storage: Called after each use of the storage, with the name of what was done (such as
            `search`) and the seconds it took.
    """

    def __init__(
        self,
        *,
        embedder: VectorMemory,
        storage: StorageBackend,
        default_threshold: float,
        clock: Callable[[], float] = time.time,
        on_storage: Callable[[str, float], object] | None = None,
    ) -> None:
        self._embedder = embedder
        self._storage = storage
        self._default_threshold = default_threshold
        self._clock = clock
        self._on_storage = on_storage

    def is_quick(self, cache_id: str, prompt: str | None) -> bool:
        """Return whether `set` and `search` take so little time that the event loop may wait.

        They do where the entries are in memory and few, and the vector needs not be made.

        Args:
            cache_id: The cache.
            prompt: The prompt that has to be embedded, or None for none.
        """
        knows = prompt is None or self._embedder.knows(prompt)
        return knows and self._storage.is_quick(Scope(cache_id, self._embedder.model_id))

    def gains_by_company(self, cache_id: str, prompt: str) -> bool:
        """Return whether `search_together` takes less time than `search` in many threads.

        It does where all entries are looked at, in memory, and the vector needs not be made.

        Args:
            cache_id: The cache.
            prompt: The prompt.
        """
        return (
            not self._storage.is_shared
            and self._embedder.knows(prompt)
            and self._storage.namespace_size(cache_id) <= _MOST_SCANNED
        )

    def check(self) -> None:
        """Raise what the storage raises when it can't be used."""
        self._storage.namespace_size("")

    def set(
        self,
        cache_id: str,
        prompt: str,
        response: str,
        attributes: Mapping[str, str],
        ttl_millis: float | None,
    ) -> str:
        """Store an entry, in place of the one with the same prompt and attributes if there is one.

        Args:
            cache_id: The cache.
            prompt: The prompt that the entry answers.
            response: The response to give back.
            attributes: Names and values to filter by.
            ttl_millis: How long the entry lives, in milliseconds; None is for ever.

        Returns:
            The id of the entry.
        """
        entry_id = entry_id_of(prompt, attributes)
        embedding = self._embedder.embed_one(prompt)
        now = self._clock()
        entry = CacheEntry(
            id=entry_id,
            prompt=prompt,
            response=response,
            embedding=embedding,
            namespace=cache_id,
            embedding_model_id=self._embedder.model_id,
            attributes=attributes,
            created_at=now,
            updated_at=now,
            expires_at=None if ttl_millis is None else now + ttl_millis / 1000,
        )
        self._timed("store", self._storage.store, entry)
        return entry_id

    def search(self, cache_id: str, prompt: str, query: Query) -> Answer:
        """Find entries for a prompt."""
        found: dict[str, Found] = {}
        near_miss = False
        for strategy in dict.fromkeys(query.strategies):
            if len(found) >= query.max_results:
                break
            # max_results of each are enough to fill up: some of them may be known already, but
            # no more of them than there are already.
            if strategy == "exact":
                matches = self._exact(cache_id, prompt, query)
            else:
                matches, near_miss = self._semantic(cache_id, prompt, query)
            for match in matches:
                found.setdefault(match.entry.id, match)
        return Answer(list(found.values())[: query.max_results], near_miss)

    def search_together(self, searches: Sequence[tuple[str, str, Query]]) -> list[Answer]:
        """Do several searches, in memory in less time than one after the other.

        Args:
            searches: For each its cache, its prompt and its query, with the one strategy
                `semantic`.
        """
        model_id = self._embedder.model_id
        top_searches = [
            TopSearch(
                self._embedder.embed_one(prompt),
                cache_id,
                model_id,
                "",
                self._reach(query),
                query.max_results,
                query.attributes,
            )
            for cache_id, prompt, query in searches
        ]
        near = self._timed("search", self._storage.search_top_together, top_searches)
        return [
            Answer(*self._hits(matches, query))
            for matches, (_, _, query) in zip(near, searches, strict=True)
        ]

    def converse(
        self, cache_id: str, prompt: str, context: Sequence[str], query: Query
    ) -> tuple[str, Answer]:
        """Find entries for a prompt that may refer to what was said before.

        Args:
            cache_id: The cache.
            prompt: The prompt.
            context: The earlier prompts of the conversation, oldest first.
            query: What else the search asks for.

        Returns:
            The reformulated prompt that found the entries, or the last one tried, and what it came
            to.
        """
        actual_prompt, answer = prompt, Answer([], near_miss=False)
        for actual_prompt in reformulate(prompt, context):
            answer = self.search(cache_id, actual_prompt, query)
            if answer.found:
                break
        return actual_prompt, answer

    def delete(self, cache_id: str, entry_id: str) -> bool:
        """Delete an entry by its id; return whether it was there."""
        return self._timed("delete", self._storage.delete, cache_id, [entry_id]) > 0

    def delete_by_attributes(self, cache_id: str, attributes: Mapping[str, str]) -> int:
        """Delete the entries that have all these attributes, with none all; return how many."""
        delete = self._storage.delete_by_attributes
        return self._timed("delete_by_attributes", delete, cache_id, attributes)

    def flush(self, cache_id: str) -> None:
        """Delete all entries of a cache."""
        self._timed("flush", self._storage.invalidate_namespace, cache_id)

    def _exact(self, cache_id: str, prompt: str, query: Query) -> list[Found]:
        entries = self._timed(
            "find_exact",
            self._storage.find_exact,
            prompt,
            cache_id,
            self._embedder.model_id,
            "",
            limit=query.max_results,
            attributes=query.attributes,
        )
        return [Found(entry, 1.0, "exact") for entry in entries]

    def _semantic(self, cache_id: str, prompt: str, query: Query) -> tuple[list[Found], bool]:
        """Return what reaches the threshold, and whether only a near miss was found."""
        near = self._timed(
            "search",
            self._storage.search_top,
            self._embedder.embed_one(prompt),
            cache_id,
            self._embedder.model_id,
            "",
            self._reach(query),
            limit=query.max_results,
            attributes=query.attributes,
        )
        return self._hits(near, query)

    def _hits(self, near: Sequence[Match], query: Query) -> tuple[list[Found], bool]:
        """Return which of the matches reach the threshold, and whether there are only others."""
        threshold = self._threshold(query)
        found = [_as_found(match) for match in near if reaches(match.similarity, threshold)]
        return found, bool(near) and not found

    def _reach(self, query: Query) -> float:
        """Return the least similarity to search for: that of a near miss is of interest, too."""
        return max(0.0, self._threshold(query) - _NEAR_MISS)

    def _threshold(self, query: Query) -> float:
        return self._default_threshold if query.threshold is None else query.threshold

    def _timed(
        self, operation: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of the storage and report how long it took."""
        if self._on_storage is None:
            return function(*args, **kwargs)
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            self._on_storage(operation, time.perf_counter() - started)


def _as_found(match: Match) -> Found:
    return Found(match.entry, match.similarity, "semantic")


def entry_id_of(prompt: str, attributes: Mapping[str, str]) -> str:
    """Return the id of an entry, 32 hexadecimal digits that follow from what it answers.

    Without attributes it is the MD5 of the prompt, as in the hosted service; with attributes, the
    MD5 of a JSON array of the prompt and the sorted attributes, so that no two sets of attributes
    are spelled alike.
    """
    identity = prompt
    if attributes:
        identity = json.dumps([prompt, sorted(attributes.items())], ensure_ascii=False)
    return hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()
