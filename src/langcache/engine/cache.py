"""The semantic cache: answers a prompt with the response to one that means the same."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from inspect import getattr_static, iscoroutinefunction
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from langcache.engine._checks import (
    checked_metadata,
    checked_name,
    checked_text,
    checked_texts,
    checked_ttl,
    kind,
    unit_vector,
    wants_redis,
)
from langcache.engine._single_flight import SingleFlight
from langcache.engine._steps import Steps, arun, call, run
from langcache.engine.embedders.create import create_embedder
from langcache.engine.filters import FieldType, FilterExpression
from langcache.engine.statistics import CacheStatistics, Lookup, LookupRecorder
from langcache.engine.storage.base import StorageBackend, reaches
from langcache.engine.storage.entry import CacheEntry, Match
from langcache.engine.storage.memory import InMemoryStorage
from langcache.engine.storage.writes import atomic_writes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from langcache.engine.embedders.base import Embedder

__all__ = ["SemanticCache"]

_FIELDS_COLLECTION = "fields of semantic caches"
_FIELD_TYPES = ("tag", "numeric", "text")
_UPDATABLE = ("prompt", "response", "prompt_vector", "metadata")
_RESERVED = frozenset(
    (*_UPDATABLE, "key", "entry_id", "vector_distance", "inserted_at", "updated_at")
)
_NEAR_MISS_DISTANCE = 0.1
_LEAST_FETCHED = 16
_FETCH_GROWTH = 4


class SemanticCache:
    """Keeps responses by what their prompts mean.

    A prompt is embedded as a vector. `check` returns the entries whose vectors are within a
    distance of it, `store` adds one. Each method that may block has an asynchronous twin with an
    `a` before its name, for asyncio. A cache may be used from several threads and tasks at once.

    A distance here is 1 - cosine, from 0 (the same) over 1 (unrelated) to 2 (opposite). Where the
    engine speaks of a similarity, that is (1 + cosine) / 2, so 1 - distance / 2. A threshold is
    taken to be reached when an entry falls short of it by rounding (a distance of 2e-6) only.

    An entry has an id, the SHA-256 of its prompt and its filters' names and values, and a key,
    `name:id`. To store a prompt with the same filters again replaces the entry.

    Caches of the same name on the same storage backend share their entries, as far as they have
    the same embedder: vectors of different models are never compared.

    Args:
        name: The cache's name, which keys begin with.
        distance_threshold: The largest distance of a hit, in [0, 2].
        ttl: How long an entry lives when `store` does not say, in seconds, 1 or more; None for
            ever.
        vectorizer: The embedder, or a string that names one, as for `create_embedder`:
            "openai:text-embedding-3-small", say. None makes a `MiniLMEmbedder`.
        filterable_fields: The fields that entries may be stored with and filtered by:
            `{"name": "user", "type": "tag"}` each, with one of the types "tag", "numeric" and
            "text", to be filtered by `Tag`, `Num` and `Text`.
        redis_client: A synchronous client of redis-py, to keep the entries in its Redis by a
            `RedisStorage`, which needs the extra `redis`. It is not closed. For an asynchronous
            client, make the storage yourself.
        redis_url: The same with a URL; see `RedisStorage`.
        connection_kwargs: More arguments for the clients that are made of `redis_url`.
        overwrite: Take over a storage backend that has a cache of this name with other filterable
            fields, and an index in Redis that is made otherwise. The entries stay.
        storage: Where the entries are kept. A given one is not closed. None makes an
            `InMemoryStorage` or, by the arguments above, a `RedisStorage`, which `disconnect`
            closes.
        refresh_ttl_on_hit: Whether `check` has every entry it returns live for another `ttl`
            from then on; without a `ttl`, nothing changes.
        on_lookup: Called after every lookup, in the thread or task that did it. An exception it
            raises is raised there too.
        clock: Returns the present moment, in seconds since the epoch; for tests. A given `storage`
            should go by the same clock.

    Raises:
        TypeError: The vectorizer is not an embedder, the storage not a `StorageBackend`, the name
            not a str, the TTL not an int, or `redis_client` asynchronous.
        ValueError: The name is empty, the TTL below 1, the threshold not in [0, 2]; the string
            names no embedder; a filterable field is malformed, has a reserved name, or is there
            twice; the storage has a cache of this name with other filterable fields and
            `overwrite` is false; or arguments for Redis contradict each other or `storage`.
        StorageError: The storage cannot be reached.
    """

    def __init__(
        self,
        name: str = "llmcache",
        distance_threshold: float = 0.1,
        ttl: int | None = None,
        vectorizer: Embedder | str | None = None,
        filterable_fields: Sequence[Mapping[str, Any]] | None = None,
        redis_client: Any = None,
        redis_url: str | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        *,
        storage: StorageBackend | None = None,
        refresh_ttl_on_hit: bool = True,
        on_lookup: Callable[[Lookup], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = checked_name(name)
        self._distance_threshold = _checked_distance(distance_threshold)
        self._ttl = checked_ttl(ttl)
        self._fields = _checked_fields(filterable_fields)
        if vectorizer is not None and not isinstance(vectorizer, str):
            _check_vectorizer(vectorizer)
        given = cast("object", storage)
        if given is not None and not isinstance(given, StorageBackend):
            raise TypeError(f"storage: must be a StorageBackend, got {kind(given)}")
        redis_arguments = {
            "redis_client": redis_client,
            "redis_url": redis_url,
            "connection_kwargs": connection_kwargs,
        }
        if not wants_redis(redis_arguments):
            made = InMemoryStorage(clock=clock) if storage is None else storage
        elif storage is None:
            made = _redis_storage(redis_client, redis_url, connection_kwargs, overwrite, clock)
        else:
            raise ValueError("storage: cannot be given together with arguments for Redis")
        self._owns_storage = storage is None
        self._storage = made
        try:
            self._check_declared(overwrite)
            self._vectorizer = create_embedder("minilm" if vectorizer is None else vectorizer)
            self._storage.set_record(_FIELDS_COLLECTION, self._name, json.dumps(self._fields))
        except BaseException:
            self.disconnect()
            raise
        self._writes = atomic_writes(self._storage)
        self._refresh_ttl_on_hit = refresh_ttl_on_hit
        self._on_lookup = on_lookup
        self._clock = clock
        self._recorder = LookupRecorder()
        self._flights: SingleFlight[str] = SingleFlight()

    def __repr__(self) -> str:
        return f"SemanticCache(name={self._name!r}, storage={kind(self._storage)})"

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._name

    @property
    def storage(self) -> StorageBackend:
        """Where the entries are kept."""
        return self._storage

    @property
    def vectorizer(self) -> Embedder:
        """The embedder."""
        return self._vectorizer

    @property
    def distance_threshold(self) -> float:
        """The largest distance of a hit, 1 - cosine, in [0, 2]."""
        return self._distance_threshold

    def set_threshold(self, distance_threshold: float) -> None:
        """Set the largest distance of a hit.

        Args:
            distance_threshold: 1 - cosine, in [0, 2].

        Raises:
            ValueError: It is not a number in [0, 2].
        """
        self._distance_threshold = _checked_distance(distance_threshold)

    @property
    def ttl(self) -> int | None:
        """How long an entry lives when `store` does not say, in seconds, or None for ever."""
        return self._ttl

    def set_ttl(self, ttl: int | None = None) -> None:
        """Set how long entries live that are stored from now on, when `store` does not say.

        Args:
            ttl: Seconds, 1 or more, or None for ever.

        Raises:
            ValueError: It is not an int, or below 1.
        """
        self._ttl = checked_ttl(ttl, ValueError)

    @property
    def statistics(self) -> CacheStatistics:
        """What has been counted and measured so far, and what the cache holds.

        To find the bytes, a storage backend may have to look at every entry.
        """
        return run(self._statistics())

    async def astatistics(self) -> CacheStatistics:
        """Asynchronous twin of `statistics`."""
        return await arun(self._statistics())

    def _statistics(self) -> Steps[CacheStatistics]:
        storage = self._storage
        entries = yield from call(storage.namespace_size, storage.anamespace_size, self._name)
        size = yield from call(storage.namespace_bytes, storage.anamespace_bytes, self._name)
        return self._recorder.snapshot(entries, size)

    # Looking up.

    def check(
        self,
        prompt: str | None = None,
        vector: Sequence[float] | NDArray[Any] | None = None,
        num_results: int = 1,
        return_fields: list[str] | None = None,
        filter_expression: FilterExpression | None = None,
        distance_threshold: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the entries nearest to a prompt or a vector.

        Args:
            prompt: The prompt to embed. It is not used when a vector is given.
            vector: A vector of the embedder's dimensions, of any length but zero.
            num_results: How many entries to return at most; 1 or more.
            return_fields: The fields to return, besides `key`; None or empty for all. Fields that
                an entry does not have are left out.
            filter_expression: Only entries that match it are returned.
            distance_threshold: The largest distance, 1 - cosine in [0, 2], instead of the cache's.
                0 finds the same vector only.

        Returns:
            A dict for each entry, the nearest first, and the most recently updated first among
            equals. It has `key`, `entry_id`, `prompt`, `response`, `vector_distance` (1 - cosine),
            `inserted_at` and `updated_at` (seconds since the epoch), `metadata` if the entry has
            any, and each of the fields it was stored with, as text. Empty on a miss.

        Raises:
            ValueError: There is neither a prompt nor a vector; the vector has other dimensions
                than the embedder's, is zero, or holds something else than finite numbers; the
                threshold is not in [0, 2]; `num_results` is below 1; or the filter has a field
                that is not declared, or of another type.
            TypeError: The prompt is not a str, `num_results` not an int, `return_fields` not a
                list of str, or the filter not a `FilterExpression`.
        """
        return run(
            self._check(
                prompt, vector, num_results, return_fields, filter_expression, distance_threshold
            )
        )

    async def acheck(
        self,
        prompt: str | None = None,
        vector: Sequence[float] | NDArray[Any] | None = None,
        num_results: int = 1,
        return_fields: list[str] | None = None,
        filter_expression: FilterExpression | None = None,
        distance_threshold: float | None = None,
    ) -> list[dict[str, Any]]:
        """Asynchronous twin of `check`."""
        return await arun(
            self._check(
                prompt, vector, num_results, return_fields, filter_expression, distance_threshold
            )
        )

    def _check(
        self,
        prompt: str | None,
        vector: Sequence[float] | NDArray[Any] | None,
        num_results: int,
        return_fields: list[str] | None,
        expression: FilterExpression | None,
        distance_threshold: float | None,
    ) -> Steps[list[dict[str, Any]]]:
        if prompt is not None:
            checked_text("prompt", prompt)
        if vector is None and not prompt:
            raise ValueError("prompt, vector: one of them must be given")
        if isinstance(cast("object", num_results), bool) or not isinstance(
            cast("object", num_results), int
        ):
            raise TypeError(f"num_results: must be an int, got {kind(num_results)}")
        if num_results < 1:
            raise ValueError(f"num_results: must be at least 1, got {num_results}")
        if return_fields is not None and not isinstance(cast("object", return_fields), list):
            raise TypeError(f"return_fields: must be a list, got {kind(return_fields)}")
        wanted = checked_texts("return_fields", return_fields or [])
        self._check_expression(expression)
        query = _Query(
            prompt=prompt or "",
            embedding=None if vector is None else self._embedding("vector", vector),
            threshold=self._similarity_threshold(distance_threshold),
            limit=num_results,
            attributes=expression.required_attributes() if expression is not None else {},
            expression=expression,
        )
        answer = yield from self._look_up(query)
        hits = [self._hit(match) for match in answer.matches]
        if not wanted:
            return hits
        return [{name: hit[name] for name in ("key", *wanted) if name in hit} for hit in hits]

    def _look_up(self, query: _Query) -> Steps[_Answer]:
        """Find the entries for a query, refresh them, and count the lookup."""
        embedding = query.embedding
        embedding_seconds = None
        if embedding is None:
            started = time.perf_counter()
            embedding = yield from self._embed(query.prompt)
            embedding_seconds = time.perf_counter() - started
        started = time.perf_counter()
        # A near miss is of interest too, so the search reaches a little farther than the hits.
        farther = max(0.0, query.threshold - _NEAR_MISS_DISTANCE / 2)
        found = yield from self._search(embedding, farther, query)
        search_seconds = time.perf_counter() - started
        matches = [match for match in found if reaches(match.similarity, query.threshold)]
        if self._refresh_ttl_on_hit and self._ttl is not None:
            for match in matches:
                yield from self._refresh(match.entry, self._ttl)
        lookup = Lookup(
            hits=len(matches),
            near_miss=bool(found) and not matches,
            best_distance=_distance(found[0].similarity) if found else None,
            embedding_seconds=embedding_seconds,
            search_seconds=search_seconds,
        )
        self._recorder.record(lookup)
        if self._on_lookup is not None:
            self._on_lookup(lookup)
        return _Answer(embedding, matches)

    def _embed(self, prompt: str) -> Steps[NDArray[np.float32]]:
        vectors = yield from call(self._vectorizer.embed, self._vectorizer.aembed, [prompt])
        return vectors[0]

    def _search(
        self, embedding: NDArray[np.float32], threshold: float, query: _Query
    ) -> Steps[list[Match]]:
        """Return the best entries that match the query's attributes and expression."""
        storage = self._storage
        exact = query.expression is None
        limit = query.limit if exact else max(_LEAST_FETCHED, 2 * query.limit)
        while True:
            found = yield from call(
                storage.search_top,
                storage.asearch_top,
                embedding,
                self._name,
                self._vectorizer.model_id,
                "",
                threshold,
                limit=limit,
                attributes=query.attributes,
            )
            # What the storage finds by the attributes may match the expression or not. If too few
            # of it do, there may be others behind it: all over again with more.
            matches = [match for match in found if query.accepts(match.entry)][: query.limit]
            if len(matches) == query.limit or len(found) < limit:
                return matches
            limit *= _FETCH_GROWTH

    def _refresh(self, found: CacheEntry, ttl: int) -> Steps[None]:
        """Have an entry live for another `ttl`, unless it has been changed since it was found."""
        expires_at = self._clock() + ttl

        def refreshed(entry: CacheEntry) -> CacheEntry:
            unchanged = entry.updated_at == found.updated_at
            return replace(entry, expires_at=expires_at) if unchanged else entry

        yield from call(self._writes.edit, self._writes.aedit, self._name, found.id, refreshed)

    def _hit(self, match: Match) -> dict[str, Any]:
        entry = match.entry
        metadata = {} if entry.metadata is None else {"metadata": entry.metadata}
        return {
            "key": self._key(entry.id),
            "entry_id": entry.id,
            "prompt": entry.prompt,
            "response": entry.response,
            "vector_distance": _distance(match.similarity),
            "inserted_at": entry.created_at,
            "updated_at": entry.updated_at,
            **metadata,
            # Others than a cache may have stored an entry with attributes of any names.
            **{name: value for name, value in entry.attributes.items() if name not in _RESERVED},
        }

    # Storing and changing.

    def store(
        self,
        prompt: str,
        response: str,
        vector: Sequence[float] | NDArray[Any] | None = None,
        metadata: dict[str, Any] | None = None,
        filters: Mapping[str, Any] | None = None,
        ttl: int | None = None,
    ) -> str:
        """Store a prompt and its response, in place of the same prompt with the same filters.

        Args:
            prompt: The prompt.
            response: The response.
            vector: The prompt's vector, of the embedder's dimensions, of any length but zero.
                None embeds the prompt.
            metadata: Anything that belongs to the entry; `check` returns it. A backend that
                writes to disk takes only what JSON can express.
            filters: Values for filterable fields: a str, int or float for a tag and a text, a
                number for a numeric field.
            ttl: How long the entry lives, in seconds, 1 or more, instead of the cache's default.

        Returns:
            The entry's key.

        Raises:
            ValueError: The vector is not one that `check` takes; a filter is not declared, or a
                number not finite; or the TTL is below 1.
            TypeError: The prompt or the response is not a str, a filter's value is of a wrong
                type, or the TTL not an int.
            pydantic.ValidationError: The metadata is not a dict. (It is a ValueError.)
        """
        return run(self._store(prompt, response, vector, metadata, filters, ttl))

    async def astore(
        self,
        prompt: str,
        response: str,
        vector: Sequence[float] | NDArray[Any] | None = None,
        metadata: dict[str, Any] | None = None,
        filters: Mapping[str, Any] | None = None,
        ttl: int | None = None,
    ) -> str:
        """Asynchronous twin of `store`."""
        return await arun(self._store(prompt, response, vector, metadata, filters, ttl))

    def _store(
        self,
        prompt: str,
        response: str,
        vector: Sequence[float] | NDArray[Any] | None,
        metadata: dict[str, Any] | None,
        filters: Mapping[str, Any] | None,
        ttl: int | None,
    ) -> Steps[str]:
        checked_text("prompt", prompt)
        checked_text("response", response)
        _validate_metadata(metadata)
        attributes = self._attributes(filters)
        lifetime = checked_ttl(ttl)
        if vector is None:
            embedding = yield from self._embed(prompt)
        else:
            embedding = self._embedding("vector", vector)
        return (yield from self._keep(prompt, response, embedding, metadata, attributes, lifetime))

    def _keep(
        self,
        prompt: str,
        response: str,
        embedding: NDArray[np.float32],
        metadata: dict[str, Any] | None,
        attributes: dict[str, str],
        ttl: int | None,
    ) -> Steps[str]:
        """Store an entry of which everything has been checked, and return its key."""
        now = self._clock()
        lifetime = self._ttl if ttl is None else ttl
        entry = CacheEntry(
            id=_entry_id(prompt, attributes),
            prompt=prompt,
            response=response,
            embedding=embedding,
            namespace=self._name,
            embedding_model_id=self._vectorizer.model_id,
            attributes=attributes,
            metadata=metadata,
            created_at=now,
            updated_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
        yield from call(self._writes.store, self._writes.astore, entry)
        return self._key(entry.id)

    def update(self, key: str, **kwargs: Any) -> None:
        """Change fields of an entry, and have it live for another default TTL.

        The prompt is not embedded again. Without fields, only the TTL is refreshed. A key of no
        entry does nothing: it may have expired a moment ago.

        Args:
            key: The entry's key.
            **kwargs: New values for `prompt`, `response`, `prompt_vector`, `metadata` or
                filterable fields.

        Raises:
            ValueError: A field is unknown, or its value not one that `store` takes.
            TypeError: The metadata is not a dict, or another value or the key of a wrong type.
        """
        run(self._update(key, kwargs))

    async def aupdate(self, key: str, **kwargs: Any) -> None:
        """Asynchronous twin of `update`."""
        await arun(self._update(key, kwargs))

    def _update(self, key: str, values: dict[str, Any]) -> Steps[None]:
        changes: dict[str, Any] = {}
        for name in ("prompt", "response"):
            if name in values:
                changes[name] = checked_text(name, values[name])
        if "prompt_vector" in values:
            changes["embedding"] = self._embedding("prompt_vector", values["prompt_vector"])
        if "metadata" in values:
            changes["metadata"] = checked_metadata(values["metadata"])
        attributes = self._attributes(
            {name: value for name, value in values.items() if name not in _UPDATABLE}
        )
        now = self._clock()
        if values:
            changes["updated_at"] = now
        if self._ttl is not None:
            changes["expires_at"] = now + self._ttl

        def updated(entry: CacheEntry) -> CacheEntry:
            merged = {**entry.attributes, **attributes}
            return replace(entry, **{"attributes": merged, **changes})

        yield from self._edit(key, updated)

    def expire(self, key: str, ttl: int | None = None) -> None:
        """Set how long an entry lives from now on.

        A key of no entry does nothing.

        Args:
            key: The entry's key.
            ttl: Seconds, 1 or more. None takes the cache's default; without one, nothing happens.

        Raises:
            ValueError: The TTL is below 1.
            TypeError: The TTL is not an int, or the key not a str.
        """
        run(self._expire(key, ttl))

    async def aexpire(self, key: str, ttl: int | None = None) -> None:
        """Asynchronous twin of `expire`."""
        await arun(self._expire(key, ttl))

    def _expire(self, key: str, ttl: int | None) -> Steps[None]:
        lifetime = checked_ttl(ttl) or self._ttl
        if lifetime is None:
            checked_text("key", key)
            return
        expires_at = self._clock() + lifetime
        yield from self._edit(key, lambda entry: replace(entry, expires_at=expires_at))

    def _edit(self, key: str, change: Callable[[CacheEntry], CacheEntry]) -> Steps[None]:
        entry_id = self._entry_id_of(key)
        if entry_id is not None:
            yield from call(self._writes.edit, self._writes.aedit, self._name, entry_id, change)

    # Removing.

    def drop(self, ids: list[str] | None = None, keys: list[str] | None = None) -> None:
        """Remove entries by their ids, their keys, or both. Those of no entry do no harm.

        Args:
            ids: Ids of entries.
            keys: Keys of entries. Keys of other caches are of no entry here.

        Raises:
            ValueError: Neither is given.
            TypeError: One is not a list of str.
        """
        run(self._drop(ids, keys))

    async def adrop(self, ids: list[str] | None = None, keys: list[str] | None = None) -> None:
        """Asynchronous twin of `drop`."""
        await arun(self._drop(ids, keys))

    def _drop(self, ids: list[str] | None, keys: list[str] | None) -> Steps[None]:
        if ids is None and keys is None:
            raise ValueError("ids, keys: one of them must be given")
        doomed = checked_texts("ids", ids or [])
        for key in checked_texts("keys", keys or []):
            entry_id = self._entry_id_of(key)
            if entry_id is not None:
                doomed.append(entry_id)
        yield from call(self._writes.delete, self._writes.adelete, self._name, doomed)

    def clear(self) -> None:
        """Remove all entries."""
        run(self._clear())

    async def aclear(self) -> None:
        """Asynchronous twin of `clear`."""
        await arun(self._clear())

    def _clear(self) -> Steps[None]:
        writes = self._writes
        yield from call(writes.invalidate_namespace, writes.ainvalidate_namespace, self._name)

    def delete(self) -> None:
        """Remove all entries, and what the storage backend knows of the cache's fields.

        A cache of this name with other filterable fields can be made then.
        """
        run(self._delete())

    async def adelete(self) -> None:
        """Asynchronous twin of `delete`."""
        await arun(self._delete())

    def _delete(self) -> Steps[None]:
        yield from self._clear()
        storage = self._storage
        yield from call(
            storage.set_record, storage.aset_record, _FIELDS_COLLECTION, self._name, None
        )

    # One computation for concurrent misses.

    def get_or_compute(
        self,
        prompt: str,
        fn: Callable[[str], str],
        *,
        metadata: dict[str, Any] | None = None,
        filters: Mapping[str, Any] | None = None,
        ttl: int | None = None,
        distance_threshold: float | None = None,
    ) -> str:
        """Return the response to a prompt, from the cache or else from a function.

        A hit must have all the given filters. On a miss, the function is called and what it
        returns is stored. Of concurrent calls for the same prompt and filters, on this cache
        object, one calls its function (and stores with its `metadata` and `ttl`) and the others
        wait for what comes of it; an exception is raised by all of them, and nothing is stored.

        Threads share a computation, and so do tasks that call `aget_or_compute`, which also wait
        for a thread that computes already. A thread does not wait for a task, which may need that
        very thread to go on: it calls its own function.

        Args:
            prompt: The prompt.
            fn: Takes the prompt and returns the response.
            metadata: As in `store`.
            filters: As in `store`. Without any, entries with whatever filters are hits.
            ttl: As in `store`.
            distance_threshold: As in `check`.

        Returns:
            The response.

        Raises:
            ValueError: As in `store` and `check`.
            TypeError: As in `store` and `check`; or `fn` does not return a str.
            RuntimeError: `fn` asks for the very prompt it is called for.
        """
        request = self._request(prompt, metadata, filters, ttl, distance_threshold)
        answer = run(self._look_up(request.query))
        if answer.matches:
            return answer.matches[0].entry.response

        def compute() -> str:
            kept = run(self._kept(request))
            if kept is not None:
                return kept
            return run(self._keep_computed(request, answer.embedding, fn(prompt)))

        return self._flights.run(request.flight, compute)

    async def aget_or_compute(
        self,
        prompt: str,
        fn: Callable[[str], Awaitable[str]],
        *,
        metadata: dict[str, Any] | None = None,
        filters: Mapping[str, Any] | None = None,
        ttl: int | None = None,
        distance_threshold: float | None = None,
    ) -> str:
        """Asynchronous twin of `get_or_compute`, for an asynchronous function.

        The function runs in a task of its own. To cancel one of those who wait for it does not
        cancel the others, whoever began; when nobody waits any more, the task is cancelled.
        """
        request = self._request(prompt, metadata, filters, ttl, distance_threshold)
        answer = await arun(self._look_up(request.query))
        if answer.matches:
            return answer.matches[0].entry.response

        async def compute() -> str:
            kept = await arun(self._kept(request))
            if kept is not None:
                return kept
            return await arun(self._keep_computed(request, answer.embedding, await fn(prompt)))

        return await self._flights.arun(request.flight, compute)

    def _request(
        self,
        prompt: str,
        metadata: dict[str, Any] | None,
        filters: Mapping[str, Any] | None,
        ttl: int | None,
        distance_threshold: float | None,
    ) -> _Request:
        attributes = self._attributes(filters)
        _validate_metadata(metadata)
        return _Request(
            query=_Query(
                prompt=checked_text("prompt", prompt),
                embedding=None,
                threshold=self._similarity_threshold(distance_threshold),
                limit=1,
                attributes=attributes,
                expression=None,
            ),
            attributes=attributes,
            metadata=metadata,
            ttl=checked_ttl(ttl),
        )

    def _kept(self, request: _Request) -> Steps[str | None]:
        """Return the response for exactly this request if another one has stored it meanwhile.

        That is the case when its computation ended between this one's lookup and its start.
        """
        prompt = request.query.prompt
        entry_id = _entry_id(prompt, request.attributes)
        entry = yield from call(self._storage.get, self._storage.aget, self._name, entry_id)
        if (
            entry is None
            or entry.prompt != prompt
            or entry.attributes != request.attributes
            or entry.embedding_model_id != self._vectorizer.model_id
        ):
            return None
        return entry.response

    def _keep_computed(
        self, request: _Request, embedding: NDArray[np.float32], response: str
    ) -> Steps[str]:
        if not isinstance(cast("object", response), str):
            raise TypeError(f"fn: must return a str, got {kind(response)}")
        yield from self._keep(
            request.query.prompt,
            response,
            embedding,
            request.metadata,
            request.attributes,
            request.ttl,
        )
        return response

    # The end.

    def disconnect(self) -> None:
        """Close the storage backend, unless it was given."""
        run(self._disconnect())

    async def adisconnect(self) -> None:
        """Asynchronous twin of `disconnect`."""
        await arun(self._disconnect())

    def _disconnect(self) -> Steps[None]:
        if self._owns_storage:
            yield from call(self._storage.close, self._storage.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.adisconnect()

    # Keys, and checks of what needs the cache's settings.

    def _check_declared(self, overwrite: bool) -> None:
        """Raise a ValueError if the storage knows this name with other fields."""
        known = self._storage.records(_FIELDS_COLLECTION).get(self._name)
        declared = self._fields if known is None else cast("dict[str, str]", json.loads(known))
        if declared != self._fields and not overwrite:
            raise ValueError(
                "filterable_fields: the storage has a cache of this name with other fields"
                f" ({len(declared)} of them); give the same ones, another name, or overwrite=True"
            )

    def _key(self, entry_id: str) -> str:
        return f"{self._name}:{entry_id}"

    def _entry_id_of(self, key: str) -> str | None:
        """Return the id in a key, or None when it is a key of another cache."""
        prefix = self._key("")
        return key[len(prefix) :] if checked_text("key", key).startswith(prefix) else None

    def _embedding(self, field: str, vector: object) -> NDArray[np.float32]:
        return unit_vector(field, vector, self._vectorizer.dimensions)

    def _similarity_threshold(self, distance_threshold: float | None) -> float:
        if distance_threshold is None:
            return 1.0 - self._distance_threshold / 2.0
        return 1.0 - _checked_distance(distance_threshold) / 2.0

    def _attributes(self, filters: Mapping[str, Any] | None) -> dict[str, str]:
        """Return filters as they are stored, in the order of their names."""
        if filters is None:
            return {}
        if not isinstance(cast("object", filters), Mapping):
            raise TypeError(f"filters: must be a dict, got {kind(filters)}")
        for name in filters:
            if name not in self._fields:
                raise ValueError(f"{name!r}: is not a field of this cache's entries")
        return {name: _stored(name, self._fields[name], filters[name]) for name in sorted(filters)}

    def _check_expression(self, expression: FilterExpression | None) -> None:
        if expression is None:
            return
        if not isinstance(cast("object", expression), FilterExpression):
            raise TypeError(
                f"filter_expression: must be a FilterExpression, got {kind(expression)}"
            )
        for name, asked in expression.fields():
            declared = self._fields.get(name)
            if declared is None:
                raise ValueError(f"filter_expression: {name!r} is not a filterable field")
            if declared != asked:
                raise ValueError(
                    f"filter_expression: {name!r} is a {declared} field, not a {asked} field"
                )


@dataclass(frozen=True, slots=True, eq=False)
class _Query:
    """A lookup of which everything has been checked.

    `embedding` is None when the prompt must be embedded; `threshold` is a similarity.
    """

    prompt: str
    embedding: NDArray[np.float32] | None
    threshold: float
    limit: int
    attributes: Mapping[str, str]
    expression: FilterExpression | None

    def accepts(self, entry: CacheEntry) -> bool:
        return self.expression is None or self.expression.matches(entry.attributes)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What a lookup found: the hits, and the query's vector for whoever needs it again."""

    embedding: NDArray[np.float32]
    matches: list[Match]


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """A call of `get_or_compute` of which everything has been checked."""

    query: _Query
    attributes: dict[str, str]
    metadata: dict[str, Any] | None
    ttl: int | None

    @property
    def flight(self) -> tuple[str, ...]:
        """What concurrent calls have in common that share a computation."""
        return (self.query.prompt, *(part for item in self.attributes.items() for part in item))


def _redis_storage(
    client: Any,
    url: str | None,
    connection_kwargs: Mapping[str, Any] | None,
    overwrite: bool,
    clock: Callable[[], float],
) -> StorageBackend:
    # Here, as it needs another extra.
    from langcache.engine.storage.redis import RedisStorage

    if iscoroutinefunction(getattr(client, "execute_command", None)):
        raise TypeError(
            "redis_client: must be a synchronous client; for an asynchronous one, pass"
            " storage=RedisStorage(client, sync_client=...)"
        )
    return RedisStorage(
        sync_client=client,
        url=url,
        connection_kwargs=connection_kwargs,
        overwrite=overwrite,
        clock=clock,
    )


def _entry_id(prompt: str, attributes: Mapping[str, str]) -> str:
    """Return the SHA-256 of a prompt and its filters, as RedisVL computes it."""
    content = prompt + "".join(name + attributes[name] for name in sorted(attributes))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _distance(similarity: float) -> float:
    """Return 1 - cosine for (1 + cosine) / 2."""
    return 2.0 * (1.0 - similarity)


def _stored(name: str, field_type: FieldType, value: object) -> str:
    """Return the text that a filter's value is stored as."""
    if isinstance(value, str) and field_type != "numeric":
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        allowed = "an int or a float" if field_type == "numeric" else "a str, an int or a float"
        raise TypeError(f"{name!r}: must be {allowed}, got {kind(value)}")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError(f"{name!r}: must be a finite number in the range of a float")
    # A subclass, such as numpy's float64, may have another repr.
    return repr(int(value) if isinstance(value, int) else float(value))


def _checked_distance(distance: float) -> float:
    given = cast("object", distance)
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ValueError(f"distance_threshold: must be a number from 0 to 2, got {kind(given)}")
    if not 0 <= distance <= 2:
        raise ValueError(f"distance_threshold: must be from 0 to 2, got {distance}")
    return float(distance)


def _checked_fields(fields: Sequence[Mapping[str, Any]] | None) -> dict[str, FieldType]:
    """Return the type of each filterable field by its name."""
    checked: dict[str, FieldType] = {}
    for position, field in enumerate(fields or ()):
        where = f"filterable_fields[{position}]"
        if not isinstance(cast("object", field), Mapping) or set(field) != {"name", "type"}:
            raise ValueError(f"{where}: must be a dict with name and type, and nothing else")
        name, field_type = field["name"], field["type"]
        if not isinstance(name, str) or not name:
            raise ValueError(f"{where}: the name must be a str that is not empty")
        if name in _RESERVED:
            raise ValueError(f"{where}: {name!r} is reserved for a field of every entry")
        if name in checked:
            raise ValueError(f"{where}: {name!r} is there already")
        if field_type not in _FIELD_TYPES:
            raise ValueError(f"{where}: the type must be one of {', '.join(_FIELD_TYPES)}")
        checked[name] = field_type
    return checked


def _check_vectorizer(vectorizer: object) -> None:
    """Raise a TypeError unless an object has the members of an `Embedder`."""
    methods = all(callable(getattr(vectorizer, name, None)) for name in ("embed", "aembed"))
    # Without calling properties: an embedder may have to ask a server for them.
    absent = object()
    properties = all(
        getattr_static(vectorizer, name, absent) is not absent
        for name in ("model_id", "dimensions")
    )
    if isinstance(vectorizer, type) or not methods or not properties:
        raise TypeError(
            "vectorizer: must be an Embedder, with model_id, dimensions, embed and aembed, got"
            f" {kind(vectorizer)}"
        )


def _validate_metadata(metadata: object) -> None:
    """Raise pydantic's ValidationError unless an entry's metadata is a dict or None."""
    if metadata is None:
        return
    try:
        checked_metadata(metadata)
    except TypeError as error:
        # Here, as who makes no such mistake need not pay for the import.
        from pydantic import ValidationError
        from pydantic_core import InitErrorDetails, PydanticCustomError

        details = InitErrorDetails(
            type=PydanticCustomError("type_error", "{message}", {"message": str(error)}),
            loc=("metadata",),
            input=None,
        )
        raise ValidationError.from_exception_data("store", [details], hide_input=True) from None
