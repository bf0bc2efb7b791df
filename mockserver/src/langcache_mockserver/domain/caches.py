"""What the operations on caches do: LangCache semantics on an embedder and a storage backend."""

from __future__ import annotations

import hashlib
import json
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from langcache.engine.storage import CacheEntry, Scope, TopSearch
from langcache.engine.storage.base import reaches
from langcache_mockserver.domain.batching import Batcher
from langcache_mockserver.domain.conversation import reformulate
from langcache_mockserver.domain.worker_threads import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from langcache.engine.embedders.vector_memory import VectorMemory
    from langcache.engine.storage import Match, StorageBackend
    from langcache_mockserver.domain.worker_threads import WorkerThreads

_NEAR_MISS = 0.05  # how far below the threshold the best similarity of a near miss may be

P = ParamSpec("P")
T = TypeVar("T")


class Lookup(NamedTuple):
    """What a search asks for.

    Attributes:
        prompt: The prompt.
        threshold: The least similarity of a semantic hit, `(1 + cosine) / 2`; None for the server's
            default.
        strategies: `exact` or `semantic`, in order of priority: the hits of an earlier strategy
            come first, and later ones add what is missing.
        attributes: Only entries that have all of these are hits.
        max_results: How many hits to return at most.
    """

    prompt: str
    threshold: float | None = None
    strategies: Sequence[str] = ("semantic",)
    attributes: Mapping[str, str] | None = None
    max_results: int = 1


class Hit(NamedTuple):
    """An entry that a lookup found.

    Attributes:
        entry: The entry.
        similarity: Its similarity to the prompt, `(1 + cosine) / 2`; 1 for an exact hit.
        strategy: The strategy that found it, `exact` or `semantic`.
    """

    entry: CacheEntry
    similarity: float
    strategy: str


class LookupResult(NamedTuple):
    """The result of a lookup.

    Attributes:
        hits: The hits, best first within a strategy.
        near_miss: Whether a semantic search found nothing but an entry that falls short of the
            threshold by 0.05 at most.
    """

    hits: list[Hit]
    near_miss: bool

    @property
    def outcome(self) -> str:
        """`hit`, `near_miss` or `miss`."""
        if self.hits:
            return "hit"
        return "near_miss" if self.near_miss else "miss"


class Caches:
    """The caches of a server. A cache exists as soon as it is named.

    Each cache is a namespace of the storage, so entries of one are never seen through another.

    Prompts are embedded in worker threads, unless their vectors are in memory; those that wait at
    the same time share a batch. Then the storage is used: in the event loop if it says that this is
    quick, else in a worker thread. Searches of one cache at the same time share a batch.

    Args:
        embedder: Embeds prompts.
        storage: Keeps the entries; it must use the same clock.
        workers: The threads for blocking work.
        default_threshold: The least similarity of a semantic hit if a lookup has none.
        clock: Returns the time in seconds since the epoch.
        on_storage: Called after each use of the storage, with the name of the operation (such as
            `search`) and its duration in seconds.
    """

    def __init__(
        self,
        *,
        embedder: VectorMemory,
        storage: StorageBackend,
        workers: WorkerThreads,
        default_threshold: float,
        clock: Callable[[], float] = time.time,
        on_storage: Callable[[str, float], object] | None = None,
    ) -> None:
        self._embedder = embedder
        self._storage = storage
        self._workers = workers
        self._default_threshold = default_threshold
        self._clock = clock
        self._on_storage = on_storage
        self._embeddings: Batcher[str, NDArray[np.float32]] = Batcher(
            lambda prompts: list(embedder.embed(prompts)), workers, WORKERS
        )
        self._searches: Batcher[TopSearch, list[Match]] = Batcher(
            partial(self._timed, "search", storage.search_top_together), workers
        )

    async def set(
        self,
        cache_id: str,
        prompt: str,
        response: str,
        attributes: Mapping[str, str],
        ttl_millis: float | None,
    ) -> str:
        """Store an entry; it replaces one with the same prompt and attributes.

        Args:
            cache_id: The cache.
            prompt: The prompt.
            response: The response to the prompt.
            attributes: Names and values to filter by.
            ttl_millis: How long the entry lives, in milliseconds; None for no limit.

        Returns:
            The id of the entry.
        """
        embedding = await self._embed(prompt)
        now = self._clock()
        entry = CacheEntry(
            id=entry_id_of(prompt, attributes),
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
        await self._quickly(entry.scope, "store", self._storage.store, entry)
        return entry.id

    async def search(self, cache_id: str, lookup: Lookup, *, alone: bool = False) -> LookupResult:
        """Find entries for a prompt.

        Args:
            cache_id: The cache.
            lookup: What to find.
            alone: Whether no other request is under way, so that it need not wait for others.
        """
        scope = Scope(cache_id, self._embedder.model_id)
        hits: dict[str, Hit] = {}
        near_miss = False
        for strategy in dict.fromkeys(lookup.strategies):
            if len(hits) >= lookup.max_results:
                break
            # max_results hits of each strategy are enough: those that are known already are no more
            # than those that are there already.
            if strategy == "exact":
                found = await self._exact(scope, lookup)
            else:
                found, near_miss = await self._semantic(scope, lookup, alone=alone)
            for hit in found:
                hits.setdefault(hit.entry.id, hit)
        return LookupResult(list(hits.values())[: lookup.max_results], near_miss)

    async def converse(
        self, cache_id: str, lookup: Lookup, context: Sequence[str]
    ) -> tuple[str, LookupResult]:
        """Find entries for a prompt that may refer to earlier prompts.

        Args:
            cache_id: The cache.
            lookup: What to find.
            context: The earlier prompts of the conversation, oldest first.

        Returns:
            The reformulated prompt that has hits, or else the last one tried; and its result.
        """
        prompt, result = lookup.prompt, LookupResult([], near_miss=False)
        for prompt in await self._workers.run(reformulate, lookup.prompt, context):
            result = await self.search(cache_id, lookup._replace(prompt=prompt))
            if result.hits:
                break
        return prompt, result

    async def delete(self, cache_id: str, entry_id: str) -> bool:
        """Delete an entry by its id; return whether it was there."""
        return await self._in_worker("delete", self._storage.delete, cache_id, [entry_id]) > 0

    async def delete_by_attributes(self, cache_id: str, attributes: Mapping[str, str]) -> int:
        """Delete the entries that have all these attributes; return how many."""
        delete = self._storage.delete_by_attributes
        return await self._in_worker("delete_by_attributes", delete, cache_id, attributes)

    async def flush(self, cache_id: str) -> None:
        """Delete all entries of a cache."""
        await self._in_worker("flush", self._storage.invalidate_namespace, cache_id)

    async def check(self) -> None:
        """Raise the error of the storage if it cannot be used."""
        await self._workers.run(self._storage.namespace_size, "")

    async def _exact(self, scope: Scope, lookup: Lookup) -> list[Hit]:
        entries = await self._quickly(
            scope,
            "find_exact",
            self._storage.find_exact,
            lookup.prompt,
            *scope,
            limit=lookup.max_results,
            attributes=lookup.attributes,
        )
        return [Hit(entry, 1.0, "exact") for entry in entries]

    async def _semantic(
        self, scope: Scope, lookup: Lookup, *, alone: bool
    ) -> tuple[list[Hit], bool]:
        """Return what reaches the threshold, and whether there was only a near miss."""
        threshold = self._default_threshold if lookup.threshold is None else lookup.threshold
        search = TopSearch(
            await self._embed(lookup.prompt, alone=alone),
            *scope,
            max(0.0, threshold - _NEAR_MISS),
            lookup.max_results,
            lookup.attributes,
        )
        is_quick = self._storage.is_quick(scope)
        near = await self._searches.submit(scope.namespace, search, in_loop=is_quick, alone=alone)
        hits = [
            Hit(match.entry, match.similarity, "semantic")
            for match in near
            if reaches(match.similarity, threshold)
        ]
        return hits, bool(near) and not hits

    async def _embed(self, prompt: str, *, alone: bool = False) -> NDArray[np.float32]:
        if self._embedder.knows(prompt):
            return self._embedder.embed_one(prompt)
        return await self._embeddings.submit("", prompt, alone=alone)

    async def _quickly(
        self,
        scope: Scope,
        operation: str,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function of the storage in the event loop if that is quick, else in a thread."""
        if self._storage.is_quick(scope):
            return self._timed(operation, function, *args, **kwargs)
        return await self._in_worker(operation, function, *args, **kwargs)

    async def _in_worker(
        self, operation: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of the storage in a worker thread."""
        return await self._workers.run(self._timed, operation, function, *args, **kwargs)

    def _timed(
        self, operation: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of the storage and report its duration."""
        if self._on_storage is None:
            return function(*args, **kwargs)
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            self._on_storage(operation, time.perf_counter() - started)


def entry_id_of(prompt: str, attributes: Mapping[str, str]) -> str:
    """Return the id of an entry: 32 hexadecimal digits that depend on prompt and attributes.

    Without attributes it is the MD5 of the prompt, as in the hosted service; with attributes, the
    MD5 of a JSON array of the prompt and the sorted attributes, so that no two sets of attributes
    are spelled alike.
    """
    identity = prompt
    if attributes:
        identity = json.dumps([prompt, sorted(attributes.items())], ensure_ascii=False)
    return hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()
