"""The semantic cache: finds the response to a prompt that means the same."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import getattr_static, iscoroutinefunction
from itertools import islice
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from langcache.engine._checks import (
    checked_int,
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
from langcache.engine._utf8 import encoded
from langcache.engine.embedders.create import create_embedder
from langcache.engine.embedders.redisvl import VectorizerEmbedder, is_vectorizer
from langcache.engine.expiry import moment_of_expiry
from langcache.engine.explanation import Explanation, Moments, explanation_of
from langcache.engine.feedback import Feedback, concerns_pair
from langcache.engine.filter_syntax import parse_filter
from langcache.engine.filters import FieldType, FilterExpression
from langcache.engine.judge import NEAR_MISS, SPARE_CANDIDATES, Choice, Judge, choose, settle
from langcache.engine.shadow import PendingLookups, ShadowLookup
from langcache.engine.statistics import CacheStatistics, Lookup, LookupRecorder
from langcache.engine.storage.base import StorageBackend, distance_of, similarity_at
from langcache.engine.storage.entry import CacheEntry, Match, Scope
from langcache.engine.storage.memory import InMemoryStorage
from langcache.engine.storage.other_models import size_of_others, warn_of_other_models
from langcache.engine.storage.writes import atomic_writes
from langcache.engine.verify.create import create_verifier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from langcache.engine.embedders.base import Embedder
    from langcache.engine.feedback import Report
    from langcache.engine.verify.base import Verdict, Verifier

__all__ = ["SemanticCache"]

FIELDS_COLLECTION = "fields of semantic caches"
_FIELD_TYPES = ("tag", "numeric", "text")
_OWN_FIELDS: dict[str, FieldType] = {
    "prompt": "text",
    "response": "text",
    "inserted_at": "numeric",
    "updated_at": "numeric",
}
_UPDATABLE = ("prompt", "response", "prompt_vector", "metadata")
_RESERVED = frozenset(
    (*_UPDATABLE, "key", "entry_id", "vector_distance", "inserted_at", "updated_at")
)
_MOST_CANDIDATES = 50
_TOGETHER = 256  # entries stored, or prompts embedded, in one batch
_NEW_FIELDS = ("prompt", "response", "vector", "metadata", "filters", "ttl")


class SemanticCache:
    """Stores responses, and finds them by the meaning of their prompts.

    `store` embeds a prompt and adds an entry. `check` returns the entries whose vectors are within
    a distance of a prompt's vector. Each method that may block has an asynchronous twin, whose name
    starts with `a`. A cache may be used from several threads and tasks at once.

    A distance is 1 - cosine, from 0 (same) through 1 (unrelated) to 2 (opposite). The engine's
    similarity is (1 + cosine) / 2, which is 1 - distance / 2. Thresholds have a tolerance for
    rounding: a distance of 2e-6.

    An entry has an id, the SHA-256 of its prompt and of its filters' names and values, and a key:
    the key in Redis where entries are kept there, else `name:id`, which names the entry everywhere.
    Storing the same prompt with the same filters replaces the entry. If the entry of another prompt
    or other filters has that id, the new entry gets another one.

    Caches with the same name and embedding model on the same storage backend share their entries.

    Args:
        name: The cache's name, which is the prefix of its keys.
        distance_threshold: The largest distance of a hit, in [0, 2].
        ttl: The default time to live of an entry, in seconds, 1 or more; None means without expiry.
        vectorizer: The embedder, a vectorizer of RedisVL, or a string for `create_embedder` such as
            "openai:text-embedding-3-small". None creates a `MiniLMEmbedder`.
        filterable_fields: The fields that entries may have besides prompt and response, and that
            filter expressions may use. Each is `{"name": "user", "type": "tag"}`, where the type is
            "tag", "numeric" or "text", for `Tag`, `Num` or `Text`.
        redis_client: A synchronous redis-py client. It makes a `RedisStorage` the storage, which
            needs the extra `redis`, and is not closed. For an asynchronous client, create the
            storage yourself.
        redis_url: A URL that makes a `RedisStorage` the storage; see there.
        connection_kwargs: More arguments for the clients created for `redis_url`.
        overwrite: Whether to replace the filterable fields of a cache of this name that the storage
            has, and an index in Redis with another definition. The entries stay.
        create_index: Whether to create an index in Redis, and to check the filterable fields. If
            not, the index must exist; see `RedisStorage`.
        dtype: The type of the vectors' numbers, which is "float32".
        storage: The storage backend, which is not closed. None creates an `InMemoryStorage` or,
            depending on the arguments above, a `RedisStorage`, which `disconnect` closes.
        refresh_ttl_on_hit: Whether `check` restarts the time to live of the entries it returns,
            with the default TTL. Without a default TTL, nothing changes.
        on_lookup: Called after every lookup, in the thread or task of the lookup, which raises the
            function's exceptions.
        clock: Returns the time in seconds since the epoch; for tests. A `storage` you pass should
            use the same clock.
        verifier: Decides whether an entry above the threshold answers the prompt: "auto" (some
            rules, then the pair model), "rules", "model", or a `Verifier`. None asks no verifier,
            as RedisVL does. With any setting, an entry is not a hit if the embedder cannot tell
            its prompt from the one that was asked (see `IdentityVerifier`). A lookup by `vector`
            without a prompt is not checked.
        shadow: Whether to serve nothing, and to pass what would have been served to `on_shadow`.
            Use it to try a threshold or a verifier on real traffic.
        on_shadow: Called when the response to a prompt is stored that had a candidate above the
            threshold, in the thread or task that stores; required with `shadow`.
        max_entries: The largest number of entries of the `InMemoryStorage` that None creates.
        max_bytes: The most bytes of memory that they may take; see `InMemoryStorage`.

    Raises:
        TypeError: The vectorizer is not an embedder, the storage not a `StorageBackend`, the name
            not a str, the TTL not an int, or `redis_client` is asynchronous.
        ValueError: The name is empty, the TTL below 1, or the threshold not in [0, 2]; the string
            names no embedder; a filterable field is malformed, duplicate, or has a reserved name;
            the storage has a cache of this name with other filterable fields and `overwrite` is
            false; or arguments for Redis contradict each other or `storage`.
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
        create_index: bool = True,
        *,
        dtype: str = "float32",
        storage: StorageBackend | None = None,
        refresh_ttl_on_hit: bool = True,
        on_lookup: Callable[[Lookup], None] | None = None,
        clock: Callable[[], float] = time.time,
        verifier: Verifier | str | None = None,
        shadow: bool = False,
        on_shadow: Callable[[ShadowLookup], None] | None = None,
        max_entries: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._name = checked_name(name)
        self._distance_threshold = _checked_distance(distance_threshold)
        self._ttl = checked_ttl(ttl)
        self._fields = _checked_fields(filterable_fields)
        if overwrite and not create_index:
            raise ValueError("overwrite: must be False with create_index=False")
        if dtype != "float32":
            raise ValueError(f"dtype: must be 'float32', got {dtype!r}")
        if shadow and on_shadow is None:
            raise ValueError("on_shadow: is required with shadow=True")
        self._verifier = create_verifier(verifier)
        given = cast("object", storage)
        if given is not None and not isinstance(given, StorageBackend):
            raise TypeError(
                f"storage: must be a StorageBackend, such as SQLiteStorage(path), got {kind(given)}"
            )
        redis_arguments = {
            "redis_client": redis_client,
            "redis_url": redis_url,
            "connection_kwargs": connection_kwargs,
        }
        own = storage is None and not wants_redis(redis_arguments)
        if not own and (max_entries, max_bytes) != (None, None):
            raise ValueError(
                "max_entries, max_bytes: must not be given with a storage or arguments for Redis;"
                " give them to the storage"
            )
        self._make_storage: Callable[[], StorageBackend] | None = None
        if not wants_redis(redis_arguments):
            self._storage = (
                InMemoryStorage(clock=clock, max_entries=max_entries, max_bytes=max_bytes)
                if storage is None
                else storage
            )
        elif storage is None:
            make = partial(
                _redis_storage, redis_client, redis_url, connection_kwargs, create_index, clock
            )
            self._storage, self._make_storage = make(overwrite), partial(make, False)
        else:
            raise ValueError("storage: must not be given with arguments for Redis")
        self._owns_storage = storage is None
        try:
            if create_index:
                self._check_declared(overwrite)
            self._vectorizer = _embedder_of("minilm" if vectorizer is None else vectorizer)
            if create_index:
                self._storage.set_record(FIELDS_COLLECTION, self._name, json.dumps(self._fields))
                warn_of_other_models(self._storage, self._name, self._vectorizer.model_id)
        except BaseException:
            if self._owns_storage:
                self._storage.close()
            raise
        self._creates_index = create_index
        self._refresh_ttl_on_hit = refresh_ttl_on_hit
        self._on_lookup = on_lookup
        self._clock = clock
        self._use(self._storage)
        self._on_shadow = on_shadow if shadow else None
        self._pending = PendingLookups()
        self._recorder = LookupRecorder()
        self._flights: SingleFlight[str] = SingleFlight()

    def _use(self, storage: StorageBackend) -> None:
        self._storage = storage
        self._writes = atomic_writes(storage)
        self._feedback = Feedback(storage, self._name, self._clock)
        self._judge = Judge(self._vectorizer, self._verifier, self._feedback)

    def __repr__(self) -> str:
        return f"SemanticCache(name={self._name!r}, storage={kind(self._storage)})"

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._name

    @property
    def storage(self) -> StorageBackend:
        """The storage backend."""
        return self._storage

    @property
    def index(self) -> Any:
        """The index: in Redis, RedisVL's `SearchIndex` over the index of all caches; else a view.

        Raises:
            ImportError: The entries are in Redis, and RedisVL is not installed.
            StorageError: Redis cannot be reached, or has no query engine.
        """
        return self._storage.search_index(self._name, self._vectorizer.dimensions)

    @property
    def aindex(self) -> Any:
        """As `index`, but RedisVL's `AsyncSearchIndex`, or a view with asynchronous methods."""
        return self._storage.asearch_index(self._name, self._vectorizer.dimensions)

    @property
    def vectorizer(self) -> Embedder:
        """The embedder."""
        return self._vectorizer

    @property
    def verifier(self) -> Verifier | None:
        """The verifier, or None without one."""
        return self._verifier

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
        """The default time to live of an entry, in seconds; None means without expiry."""
        return self._ttl

    def set_ttl(self, ttl: int | None = None) -> None:
        """Set the default time to live of the entries stored from now on.

        Args:
            ttl: Seconds, 1 or more; None means without expiry.

        Raises:
            ValueError: It is not an int, or below 1.
        """
        self._ttl = checked_ttl(ttl, ValueError)

    @property
    def statistics(self) -> CacheStatistics:
        """Counts and durations of the lookups so far, and the size of the cache.

        The storage backend may have to read every entry to compute the size in bytes.
        """
        return run(self._statistics())

    async def astatistics(self) -> CacheStatistics:
        """Asynchronous twin of `statistics`."""
        return await arun(self._statistics())

    def _statistics(self) -> Steps[CacheStatistics]:
        storage = self._storage
        entries = yield from call(storage.namespace_size, storage.anamespace_size, self._name)
        size = yield from call(storage.namespace_bytes, storage.anamespace_bytes, self._name)
        statistics = self._recorder.snapshot(entries, size)
        sizes = yield from call(storage.model_sizes, storage.amodel_sizes, self._name)
        others = size_of_others(sizes, self._vectorizer.model_id)
        return replace(statistics, entries_of_other_models=others)

    # Lookups

    def check(
        self,
        prompt: str | None = None,
        vector: Sequence[float] | NDArray[Any] | None = None,
        num_results: int = 1,
        return_fields: list[str] | None = None,
        filter_expression: FilterExpression | str | None = None,
        distance_threshold: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the entries nearest to a prompt or a vector.

        Args:
            prompt: The prompt to embed. It is not used when a vector is given.
            vector: A vector with the embedder's dimensions, of any length except zero.
            num_results: The largest number of entries to return; with 0, nothing is searched.
            return_fields: The fields to return besides `key`; None or empty for all. Fields that
                an entry lacks are left out.
            filter_expression: Only entries that match it are returned. Besides the filterable
                fields, it may compare the texts `prompt` and `response`, and the numbers
                `inserted_at` and `updated_at`. It may also be a text in Redis's query syntax, such
                as "@user:{ann} @age:[18 +inf]", or a filter expression of RedisVL.
            distance_threshold: Replaces the cache's threshold; 1 - cosine, in [0, 2]. 0 finds only
                the same vector.

        Returns:
            A dict for each entry, nearest first, and most recently updated first among equals. It
            has `key`, `entry_id`, `prompt`, `response`, `vector_distance` (1 - cosine),
            `inserted_at` and `updated_at` (seconds since the epoch), `metadata` if the entry has
            any, and the entry's filterable fields as text. Empty on a miss.

        Raises:
            ValueError: There is neither a prompt nor a vector; the vector has the wrong number of
                dimensions, is zero, or holds anything but finite numbers; the threshold is not in
                [0, 2]; `num_results` is below 0; or the filter uses a field that is not declared
                or has another type.
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
        filter_expression: FilterExpression | str | None = None,
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
        filter_expression: FilterExpression | str | None,
        distance_threshold: float | None,
    ) -> Steps[list[dict[str, Any]]]:
        if prompt is not None:
            checked_text("prompt", prompt)
        if vector is None and not prompt:
            raise ValueError("prompt, vector: one of them is required")
        lookup, wanted = self._checked_lookup(
            num_results, return_fields, filter_expression, distance_threshold
        )
        lookup = replace(
            lookup,
            prompt=prompt or "",
            embedding=None if vector is None else self._embedding("vector", vector),
        )
        if not num_results:
            return []
        result = yield from self._look_up(lookup)
        return self._hits(result.matches, wanted)

    def check_many(
        self,
        prompts: Iterable[str],
        *,
        num_results: int = 1,
        return_fields: list[str] | None = None,
        filter_expression: FilterExpression | str | None = None,
        distance_threshold: float | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Check many prompts, which are embedded in batches.

        Args:
            prompts: The prompts.
            num_results: As in `check`.
            return_fields: As in `check`.
            filter_expression: As in `check`.
            distance_threshold: As in `check`.
            progress: Called after each batch with the number of prompts checked so far, in the
                thread or task that checks, which raises its exceptions.

        Returns:
            For each prompt, what `check` returns.

        Raises:
            ValueError: As in `check`; the message names the prompt's place, such as `prompts[3]`.
            TypeError: As in `check`.
        """
        return run(
            self._check_many(
                prompts,
                *self._checked_lookup(
                    num_results, return_fields, filter_expression, distance_threshold
                ),
                progress,
            )
        )

    async def acheck_many(
        self,
        prompts: Iterable[str],
        *,
        num_results: int = 1,
        return_fields: list[str] | None = None,
        filter_expression: FilterExpression | str | None = None,
        distance_threshold: float | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Asynchronous twin of `check_many`."""
        return await arun(
            self._check_many(
                prompts,
                *self._checked_lookup(
                    num_results, return_fields, filter_expression, distance_threshold
                ),
                progress,
            )
        )

    def _check_many(
        self,
        prompts: Iterable[str],
        lookup: _CheckedLookup,
        wanted: list[str],
        progress: Callable[[int], object] | None,
    ) -> Steps[list[list[dict[str, Any]]]]:
        if isinstance(prompts, str):
            raise TypeError("prompts: must be several prompts, got str")
        found: list[list[dict[str, Any]]] = []
        rest = iter(prompts)
        while batch := list(islice(rest, _TOGETHER)):
            for place, prompt in enumerate(batch, len(found)):
                if not checked_text(f"prompts[{place}]", prompt):
                    raise ValueError(f"prompts[{place}]: must not be empty")
            if not lookup.limit:
                found += [[] for _ in batch]
                continue
            started = time.perf_counter()
            vectors = yield from self._embed_all(batch)
            each_seconds = (time.perf_counter() - started) / len(batch)
            for prompt, vector in zip(batch, vectors, strict=True):
                one = replace(lookup, prompt=prompt, embedding=vector)
                result = yield from self._look_up(one, each_seconds)
                found.append(self._hits(result.matches, wanted))
            if progress is not None:
                progress(len(found))
        return found

    def _checked_lookup(
        self,
        num_results: int,
        return_fields: list[str] | None,
        filter_expression: FilterExpression | str | None,
        distance_threshold: float | None,
    ) -> tuple[_CheckedLookup, list[str]]:
        """Return a lookup without a prompt, and the wanted fields."""
        num_results = checked_int("num_results", num_results)
        if num_results < 0:
            raise ValueError(f"num_results: must be at least 0, got {num_results}")
        if return_fields is not None and not isinstance(cast("object", return_fields), list):
            raise TypeError(f"return_fields: must be a list, got {kind(return_fields)}")
        wanted = checked_texts("return_fields", return_fields or [])
        expression = self._checked_expression(filter_expression)
        lookup = _CheckedLookup(
            prompt="",
            embedding=None,
            threshold=self._similarity_threshold(distance_threshold),
            limit=num_results,
            attributes={},
            expression=expression,
        )
        return lookup, wanted

    def _hits(self, matches: list[Match], wanted: list[str]) -> list[dict[str, Any]]:
        """Return matches as hits, with the wanted fields only if there are any."""
        hits = [self._hit(match) for match in matches]
        if not wanted:
            return hits
        return [{name: hit[name] for name in ("key", *wanted) if name in hit} for hit in hits]

    def _look_up(
        self, lookup: _CheckedLookup, embedding_seconds: float | None = None
    ) -> Steps[_LookupResult]:
        """Find the entries for a lookup, refresh their TTL, and count the lookup.

        Args:
            lookup: The lookup.
            embedding_seconds: How long it took to embed its prompt, if that is done.
        """
        embedding = lookup.embedding
        if embedding is None:
            started = time.perf_counter()
            embedding = yield from self._embed(lookup.prompt)
            embedding_seconds = time.perf_counter() - started
        started = time.perf_counter()
        # The search goes beyond the threshold, to count near misses.
        farther = max(0.0, lookup.threshold - NEAR_MISS)
        choice = Choice(lookup.threshold, lookup.limit, self._judge.spare)
        verify_seconds = yield from choose(
            partial(self._search, embedding, farther, lookup),
            partial(self._judge.judge, lookup.prompt) if lookup.prompt else None,
            choice,
        )
        matches, judged = choice.accepted, choice.judged
        search_seconds = time.perf_counter() - started - (verify_seconds or 0.0)
        record = Lookup(
            hits=len(matches),
            near_miss=choice.outcome == "near_miss",
            best_distance=distance_of(choice.found[0].similarity) if choice.found else None,
            embedding_seconds=embedding_seconds,
            search_seconds=search_seconds,
            rejected=sum(not verdict.accepted for _, verdict in judged),
            verify_seconds=verify_seconds,
        )
        self._recorder.record(record, lookup.prompt, self._clock())
        if self._on_shadow is not None:
            self._set_aside(lookup.prompt, matches, judged)
            matches = []
        else:
            self._storage.mark_used(self._name, [match.entry.id for match in matches])
        if matches and self._refresh_ttl_on_hit and self._ttl is not None:
            for match in matches:
                yield from self._refresh(match.entry, self._ttl)
        if self._on_lookup is not None:
            self._on_lookup(record)
        return _LookupResult(embedding, matches)

    def _set_aside(
        self, prompt: str, matches: list[Match], judged: list[tuple[Match, Verdict]]
    ) -> None:
        """Keep what would have been served until the real response is stored."""
        if not judged or not prompt:
            return
        # The candidate that would have been served, else the nearest one that was turned down.
        match, verdict = next((each for each in judged if each[0] in matches), judged[0])
        self._pending.add(
            ShadowLookup(
                prompt=prompt,
                cached_prompt=match.entry.prompt,
                cached_response=match.entry.response,
                response="",
                similarity=match.similarity,
                verdict=verdict,
                recorded_at=self._clock(),
            )
        )

    def _embed(self, prompt: str) -> Steps[NDArray[np.float32]]:
        return (yield from self._embed_all([prompt]))[0]

    def _embed_all(self, prompts: list[str]) -> Steps[NDArray[np.float32]]:
        return (yield from call(self._vectorizer.embed, self._vectorizer.aembed, prompts))

    def _search(
        self,
        embedding: NDArray[np.float32],
        threshold: float,
        lookup: _CheckedLookup,
        wanted: int,
    ) -> Steps[list[Match]]:
        """Return the best entries, `wanted` at most, that match the attributes and expression."""
        storage = self._storage
        if lookup.expression is None:
            return (
                yield from call(
                    storage.search_top,
                    storage.asearch_top,
                    embedding,
                    *self._scope,
                    threshold,
                    limit=wanted,
                    attributes=lookup.attributes,
                )
            )
        return (
            yield from call(
                storage.search_filtered,
                storage.asearch_filtered,
                embedding,
                *self._scope,
                threshold,
                lookup.expression,
                limit=wanted,
            )
        )

    def _refresh(self, found: CacheEntry, ttl: int) -> Steps[None]:
        """Restart an entry's time to live, unless the entry has changed since it was found."""
        expires_at = moment_of_expiry(self._clock(), ttl)

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
            "vector_distance": distance_of(match.similarity),
            "inserted_at": entry.created_at,
            "updated_at": entry.updated_at,
            **metadata,
            # An entry that was stored directly in the storage may have attributes of any name.
            **{name: value for name, value in entry.attributes.items() if name not in _RESERVED},
        }

    # Explanations and reports

    def explain(
        self,
        prompt: str,
        *,
        num_candidates: int = 10,
        filter_expression: FilterExpression | str | None = None,
        distance_threshold: float | None = None,
    ) -> Explanation:
        """Return what `check` would do for a prompt, and why.

        It counts in no statistics and restarts no time to live.

        Args:
            prompt: The prompt.
            num_candidates: How many of the nearest entries to show at most, from 1 to 50.
            filter_expression: As in `check`.
            distance_threshold: As in `check`.

        Returns:
            The nearest entries, each with its similarity and verdict, and the outcome. The
            candidates are given on a miss, too.

        Raises:
            ValueError: The prompt is empty, `num_candidates` out of its range, the threshold not
                in [0, 2], or the filter uses a field that is not declared or has another type.
            TypeError: An argument has the wrong type.
        """
        return run(self._explain(prompt, num_candidates, filter_expression, distance_threshold))

    async def aexplain(
        self,
        prompt: str,
        *,
        num_candidates: int = 10,
        filter_expression: FilterExpression | str | None = None,
        distance_threshold: float | None = None,
    ) -> Explanation:
        """Asynchronous twin of `explain`."""
        return await arun(
            self._explain(prompt, num_candidates, filter_expression, distance_threshold)
        )

    def _explain(
        self,
        prompt: str,
        num_candidates: int,
        filter_expression: FilterExpression | str | None,
        distance_threshold: float | None,
    ) -> Steps[Explanation]:
        if not checked_text("prompt", prompt):
            raise ValueError("prompt: must not be empty")
        num_candidates = checked_int("num_candidates", num_candidates)
        if not 1 <= num_candidates <= _MOST_CANDIDATES:
            raise ValueError(
                f"num_candidates: must be from 1 to {_MOST_CANDIDATES}, got {num_candidates}"
            )
        expression = self._checked_expression(filter_expression)
        threshold = self._similarity_threshold(distance_threshold)
        lookup = _CheckedLookup(
            prompt=prompt,
            embedding=None,
            threshold=threshold,
            limit=1,
            attributes={},
            expression=expression,
        )
        started = time.perf_counter()
        embedding = yield from self._embed(prompt)
        embedded = time.perf_counter()
        found = yield from self._search(
            embedding, 0.0, lookup, max(num_candidates, 1 + SPARE_CANDIDATES)
        )
        searched = time.perf_counter()
        verdicts = yield from self._judge.judge(prompt, found)
        verified = time.perf_counter()
        outcome, served = settle(found, verdicts, threshold)
        return explanation_of(
            found,
            verdicts,
            outcome=outcome,
            served=None if served is None else served.entry,
            threshold=threshold,
            verifier=None if self._verifier is None else self._verifier.model_id,
            most=num_candidates,
            moments=Moments(started, embedded, searched, verified),
            key_of=self._key,
        )

    def report_wrong(self, prompt: str, key: str) -> bool:
        """Report that an entry does not answer a prompt, so that it is not served for it again.

        If the entry's prompt is the prompt itself, in whatever letter case, the entry is deleted:
        its response is wrong. Else the pair of prompts is blocked, for 90 days or until the entry
        is deleted or the report is withdrawn. A cache keeps its latest 1,000 reports.

        Args:
            prompt: The prompt that was asked.
            key: The key of the entry that was returned.

        Returns:
            Whether there is such an entry.

        Raises:
            TypeError: The prompt or the key is not a str.
        """
        return run(self._report(prompt, key, right=False))

    async def areport_wrong(self, prompt: str, key: str) -> bool:
        """Asynchronous twin of `report_wrong`."""
        return await arun(self._report(prompt, key, right=False))

    def report_right(self, prompt: str, key: str) -> bool:
        """Report that an entry answers a prompt, so that no verifier turns it down again.

        Args:
            prompt: The prompt that was asked.
            key: The key of the entry.

        Returns:
            Whether there is such an entry.

        Raises:
            TypeError: The prompt or the key is not a str.
        """
        return run(self._report(prompt, key, right=True))

    async def areport_right(self, prompt: str, key: str) -> bool:
        """Asynchronous twin of `report_right`."""
        return await arun(self._report(prompt, key, right=True))

    def _report(self, prompt: str, key: str, *, right: bool) -> Steps[bool]:
        entry = yield from self._reported_entry(prompt, key)
        if entry is None:
            return False
        if concerns_pair(prompt, entry.prompt):
            yield from self._feedback.add(prompt, entry.prompt, entry.id, right=right)
        elif not right:
            yield from self._drop([entry.id], None)
        return True

    def withdraw_report(self, prompt: str, key: str) -> bool:
        """Take back a report about an entry and a prompt.

        Args:
            prompt: The prompt that was asked.
            key: The key of the entry.

        Returns:
            Whether there was a report.

        Raises:
            TypeError: The prompt or the key is not a str.
        """
        return run(self._withdraw(prompt, key))

    async def awithdraw_report(self, prompt: str, key: str) -> bool:
        """Asynchronous twin of `withdraw_report`."""
        return await arun(self._withdraw(prompt, key))

    def _withdraw(self, prompt: str, key: str) -> Steps[bool]:
        entry = yield from self._reported_entry(prompt, key)
        if entry is None:
            return False
        return (yield from self._feedback.withdraw(prompt, entry.prompt))

    def _reported_entry(self, prompt: str, key: str) -> Steps[CacheEntry | None]:
        checked_text("prompt", prompt)
        entry_id = self._entry_id_of(key)
        if entry_id is None:
            return None
        storage = self._storage
        return (yield from call(storage.get, storage.aget, self._name, entry_id))

    def reports(self) -> list[Report]:
        """Return the reports that count, the latest first."""
        return run(self._feedback.reports())

    async def areports(self) -> list[Report]:
        """Asynchronous twin of `reports`."""
        return await arun(self._feedback.reports())

    # Stores and changes

    def store(
        self,
        prompt: str,
        response: str,
        vector: Sequence[float] | NDArray[Any] | None = None,
        metadata: dict[str, Any] | None = None,
        filters: Mapping[str, Any] | None = None,
        ttl: int | None = None,
    ) -> str:
        """Store a prompt and its response. The same prompt with the same filters is replaced.

        Args:
            prompt: The prompt.
            response: The response.
            vector: The prompt's vector, with the embedder's dimensions, of any length except zero.
                None embeds the prompt.
            metadata: Your own data, which `check` returns. A backend that writes to disk or to
                Redis accepts only values that JSON can express.
            filters: Values of filterable fields: a str, int or float for a tag or a text, a number
                for a numeric field.
            ttl: The entry's time to live in seconds, 1 or more; None for the cache's default.

        Returns:
            The entry's key.

        Raises:
            ValueError: The vector is one that `check` refuses; a filter is not declared; a number
                is not finite; or the TTL is below 1.
            TypeError: The prompt or the response is not a str, a filter's value has the wrong
                type, or the TTL is not an int.
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
        new = self._checked_entry(prompt, response, vector, metadata, filters, ttl)
        embedding = new.embedding
        if embedding is None:
            embedding = yield from self._embed(prompt)
        return (yield from self._keep(new, embedding))

    def store_many(
        self,
        entries: Iterable[Mapping[str, Any]],
        *,
        progress: Callable[[int], object] | None = None,
    ) -> list[str]:
        """Store many prompts and responses, which are embedded and stored in batches.

        Args:
            entries: The arguments of `store` for each, by name: `{"prompt": ..., "response": ...}`,
                and `vector`, `metadata`, `filters` and `ttl` if wanted. They may come from a
                generator: one batch is in memory at a time.
            progress: Called after each batch with the number of entries stored so far, in the
                thread or task that stores, which raises its exceptions.

        Returns:
            The keys of the entries, in their order.

        Raises:
            ValueError: As in `store`, or a name is missing or unknown. The message names the
                entry's place, such as `entries[3]`. The batches before it are stored.
            TypeError: As in `store`.
        """
        return run(self._store_many(entries, progress))

    async def astore_many(
        self,
        entries: Iterable[Mapping[str, Any]],
        *,
        progress: Callable[[int], object] | None = None,
    ) -> list[str]:
        """Asynchronous twin of `store_many`."""
        return await arun(self._store_many(entries, progress))

    def _store_many(
        self, entries: Iterable[Mapping[str, Any]], progress: Callable[[int], object] | None
    ) -> Steps[list[str]]:
        keys: list[str] = []
        rest = iter(entries)
        while batch := list(islice(rest, _TOGETHER)):
            new = [self._checked_item(place, item) for place, item in enumerate(batch, len(keys))]
            missing = [each.prompt for each in new if each.embedding is None]
            vectors = iter((yield from self._embed_all(missing)) if missing else ())
            kept: dict[tuple[str, ...], CacheEntry] = {}
            for each in new:
                embedding = next(vectors) if each.embedding is None else each.embedding
                kept[each.question] = self._entry(each, embedding)
            ids = yield from self._put(list(kept.values()))
            id_of = dict(zip(kept, ids, strict=True))
            keys += [self._key(id_of[each.question]) for each in new]
            for entry in kept.values():
                self._complete_shadow(entry)
            if progress is not None:
                progress(len(keys))
        return keys

    def _checked_item(self, place: int, item: Mapping[str, Any]) -> _NewEntry:
        """Return the entry that an item of `store_many` describes."""
        where = f"entries[{place}]"
        if not isinstance(cast("object", item), Mapping):
            raise TypeError(f"{where}: must be a dict, got {kind(item)}")
        for name in item:
            if name not in _NEW_FIELDS:
                raise ValueError(f"{where}: unknown field {name!r}")
        for name in _NEW_FIELDS[:2]:
            if name not in item:
                raise ValueError(f"{where}.{name}: is required")
        try:
            if item.get("metadata") is not None:
                checked_metadata(item["metadata"])
            return self._checked_entry(*(item.get(name) for name in _NEW_FIELDS))
        except TypeError as error:
            raise TypeError(f"{where}.{error}") from None
        except ValueError as error:
            raise ValueError(f"{where}.{error}") from None

    def _checked_entry(
        self,
        prompt: Any,
        response: Any,
        vector: Any,
        metadata: Any,
        filters: Any,
        ttl: Any,
    ) -> _NewEntry:
        checked_text("prompt", prompt)
        checked_text("response", response)
        _validate_metadata(metadata)
        return _NewEntry(
            prompt=prompt,
            response=response,
            metadata=metadata,
            attributes=self._attributes(filters),
            ttl=checked_ttl(ttl),
            embedding=None if vector is None else self._embedding("vector", vector),
        )

    def _keep(self, new: _NewEntry, embedding: NDArray[np.float32]) -> Steps[str]:
        """Store an entry and return its key."""
        entry = self._entry(new, embedding)
        (entry_id,) = yield from self._put([entry])
        self._complete_shadow(entry)
        return self._key(entry_id)

    def _entry(self, new: _NewEntry, embedding: NDArray[np.float32]) -> CacheEntry:
        """Return an entry to store, with RedisVL's id."""
        now = self._clock()
        lifetime = self._ttl if new.ttl is None else new.ttl
        return CacheEntry(
            id=_joined_id(new.prompt, new.attributes),
            prompt=new.prompt,
            response=new.response,
            embedding=embedding,
            **self._scope._asdict(),
            attributes=new.attributes,
            metadata=new.metadata,
            created_at=now,
            updated_at=now,
            expires_at=moment_of_expiry(now, lifetime),
        )

    def _complete_shadow(self, entry: CacheEntry) -> None:
        if self._on_shadow is not None:
            shadow_lookup = self._pending.complete(entry.prompt, entry.response)
            if shadow_lookup is not None:
                self._on_shadow(shadow_lookup)

    def _put(self, entries: Sequence[CacheEntry]) -> Steps[list[str]]:
        """Store entries and return their ids.

        An entry keeps RedisVL's id, which joins prompt, names and values, unless an entry has it
        that has another prompt or other filters: "a" with {"b": "c"} reads like "abc" without
        filters.
        """
        writes = self._writes
        if any(map(self._is_ambiguous, entries)):
            others = [_unambiguous_id(entry.prompt, entry.attributes) for entry in entries]
            return (yield from call(writes.store_distinct, writes.astore_distinct, entries, others))
        if len(entries) == 1:
            yield from call(writes.store, writes.astore, entries[0])
        else:
            yield from call(writes.store_many, writes.astore_many, entries)
        return [entry.id for entry in entries]

    def _is_ambiguous(self, entry: CacheEntry) -> bool:
        """Return whether the text that an entry's id is made of can be read in several ways.

        Without the name of a field in it, it can be read in one way only.
        """
        return bool(entry.attributes) or any(name in entry.prompt for name in self._fields)

    def update(self, key: str, **kwargs: Any) -> None:
        """Change fields of an entry, and restart its time to live with the default TTL.

        The prompt is not embedded again. Without fields, only the time to live restarts. A key
        without an entry is ignored, because the entry may just have expired.

        Args:
            key: The entry's key.
            **kwargs: New values for `prompt`, `response`, `prompt_vector`, `metadata` or
                filterable fields.

        Raises:
            ValueError: A field is unknown, or has a value that `store` refuses.
            TypeError: The metadata is not a dict, or another value or the key has the wrong type.
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
            changes["expires_at"] = moment_of_expiry(now, self._ttl)

        def updated(entry: CacheEntry) -> CacheEntry:
            merged = {**entry.attributes, **attributes}
            return replace(entry, **{"attributes": merged, **changes})

        yield from self._edit(key, updated)

    def expire(self, key: str, ttl: int | None = None) -> None:
        """Set an entry's time to live, counted from now.

        A key without an entry is ignored.

        Args:
            key: The entry's key.
            ttl: Seconds, 1 or more. None for the cache's default; without a default, the entry
                does not change.

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
        expires_at = moment_of_expiry(self._clock(), lifetime)
        yield from self._edit(key, lambda entry: replace(entry, expires_at=expires_at))

    def _edit(self, key: str, change: Callable[[CacheEntry], CacheEntry]) -> Steps[None]:
        entry_id = self._entry_id_of(key)
        if entry_id is not None:
            yield from call(self._writes.edit, self._writes.aedit, self._name, entry_id, change)

    # Removal

    def drop(self, ids: list[str] | None = None, keys: list[str] | None = None) -> None:
        """Remove entries by their ids, their keys, or both.

        Ids and keys without an entry, and keys of other caches, are ignored.

        Args:
            ids: Ids of entries.
            keys: Keys of entries.

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
            raise ValueError("ids, keys: one of them is required")
        doomed = checked_texts("ids", ids or [])
        for key in checked_texts("keys", keys or []):
            entry_id = self._entry_id_of(key)
            if entry_id is not None:
                doomed.append(entry_id)
        yield from call(self._writes.delete, self._writes.adelete, self._name, doomed)
        yield from self._feedback.forget(doomed)

    def clear(self) -> None:
        """Remove all entries."""
        run(self._clear())

    async def aclear(self) -> None:
        """Asynchronous twin of `clear`."""
        await arun(self._clear())

    def _clear(self) -> Steps[None]:
        writes = self._writes
        yield from call(writes.invalidate_namespace, writes.ainvalidate_namespace, self._name)
        yield from self._feedback.forget()

    def delete(self) -> None:
        """Remove all entries and the storage's record of the cache's filterable fields.

        A cache with the same name and other fields can be created afterwards. A cache that was made
        with `create_index=False` raises a ValueError. If no entry of any
        cache is left in Redis, its search index goes as well.
        """
        run(self._delete())

    async def adelete(self) -> None:
        """Asynchronous twin of `delete`."""
        await arun(self._delete())

    def _delete(self) -> Steps[None]:
        if not self._creates_index:
            raise ValueError("delete: must not be called with create_index=False; use clear")
        yield from self._clear()
        storage = self._storage
        yield from call(
            storage.set_record, storage.aset_record, FIELDS_COLLECTION, self._name, None
        )
        yield from call(storage.drop_unused_indexes, storage.adrop_unused_indexes)

    # One computation for concurrent misses

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
        """Return the response to a prompt from the cache or, on a miss, from a function.

        A hit must have all the given filters. On a miss, the function is called and its result is
        stored. Concurrent calls on this object with the same prompt and filters share one
        computation: the first calls its function and stores the result with its `metadata` and
        `ttl`, and the others wait for it. If the function raises an exception, all of them raise
        it and nothing is stored.

        Threads share a computation with other threads. Tasks that call `aget_or_compute` share it
        with other tasks, and also wait for a thread. A thread does not wait for a task, because
        the task may need that thread to continue: it calls its own function.

        Args:
            prompt: The prompt.
            fn: Takes the prompt and returns the response.
            metadata: As in `store`.
            filters: As in `store`. Without filters, entries with any filters are hits.
            ttl: As in `store`.
            distance_threshold: As in `check`.

        Returns:
            The response.

        Raises:
            ValueError: As in `store` and `check`.
            TypeError: As in `store` and `check`; or `fn` does not return a str.
            RuntimeError: `fn` calls `get_or_compute` with the same prompt and filters.
        """
        computation = self._computation(prompt, metadata, filters, ttl, distance_threshold)
        result = run(self._look_up(computation.lookup))
        if result.matches:
            return result.matches[0].entry.response

        def compute() -> str:
            kept = run(self._kept(computation))
            if kept is not None:
                return kept
            return run(self._keep_computed(computation, result.embedding, fn(prompt)))

        return self._flights.run(computation.flight, compute)

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

        The function runs in its own task, which is cancelled only when all its callers have been
        cancelled.
        """
        computation = self._computation(prompt, metadata, filters, ttl, distance_threshold)
        result = await arun(self._look_up(computation.lookup))
        if result.matches:
            return result.matches[0].entry.response

        async def compute() -> str:
            kept = await arun(self._kept(computation))
            if kept is not None:
                return kept
            return await arun(self._keep_computed(computation, result.embedding, await fn(prompt)))

        return await self._flights.arun(computation.flight, compute)

    def _computation(
        self,
        prompt: str,
        metadata: dict[str, Any] | None,
        filters: Mapping[str, Any] | None,
        ttl: int | None,
        distance_threshold: float | None,
    ) -> _Computation:
        attributes = self._attributes(filters)
        _validate_metadata(metadata)
        return _Computation(
            lookup=_CheckedLookup(
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

    def _kept(self, computation: _Computation) -> Steps[str | None]:
        """Return the response to exactly this prompt if another call has just stored it.

        That happens when its computation ended between this call's lookup and computation.
        In shadow mode every response is computed.
        """
        if self._on_shadow is not None:
            return None
        prompt = computation.lookup.prompt
        entry_id = _joined_id(prompt, computation.attributes)
        entry = yield from call(self._storage.get, self._storage.aget, self._name, entry_id)
        if entry is None or entry.scope != self._scope:
            return None
        is_same = entry.prompt == prompt and entry.attributes == computation.attributes
        return entry.response if is_same else None

    def _keep_computed(
        self, computation: _Computation, embedding: NDArray[np.float32], response: str
    ) -> Steps[str]:
        if not isinstance(cast("object", response), str):
            raise TypeError(f"fn: must return a str, got {kind(response)}")
        new = _NewEntry(
            prompt=computation.lookup.prompt,
            response=response,
            metadata=computation.metadata,
            attributes=computation.attributes,
            ttl=computation.ttl,
        )
        yield from self._keep(new, embedding)
        return response

    # Disconnection

    def disconnect(self) -> None:
        """Close the connections of the storage backend if the cache created it.

        The cache can be used again, which opens new ones.
        """
        run(self._disconnect())

    async def adisconnect(self) -> None:
        """Asynchronous twin of `disconnect`."""
        await arun(self._disconnect())

    def _disconnect(self) -> Steps[None]:
        storage = self._storage
        if self._owns_storage:
            if self._make_storage is not None:
                self._use(self._make_storage())
            yield from call(storage.close, storage.aclose)

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

    # Keys, and checks that depend on the cache's settings

    def _check_declared(self, overwrite: bool) -> None:
        """Raise a ValueError if the storage has a cache of this name with other fields."""
        known = self._storage.records(FIELDS_COLLECTION).get(self._name)
        declared = self._fields if known is None else cast("dict[str, str]", json.loads(known))
        if declared != self._fields and not overwrite:
            raise ValueError(
                "filterable_fields: must be the same as in the storage, which has a cache of this"
                f" name with {len(declared)} other fields; or use another name or overwrite=True"
            )

    @property
    def _scope(self) -> Scope:
        return Scope(self._name, self._vectorizer.model_id)

    def _key(self, entry_id: str) -> str:
        return self._storage.entry_key(self._name, entry_id) or f"{self._name}:{entry_id}"

    def _entry_id_of(self, key: str) -> str | None:
        """Return the id in a key, or None for a key of another cache."""
        checked_text("key", key)
        for prefix in (self._key(""), f"{self._name}:"):
            if key.startswith(prefix):
                return key[len(prefix) :]
        return None

    def _embedding(self, field: str, vector: object) -> NDArray[np.float32]:
        return unit_vector(field, vector, self._vectorizer.dimensions)

    def _similarity_threshold(self, distance_threshold: float | None) -> float:
        given = distance_threshold
        distance = self._distance_threshold if given is None else _checked_distance(given)
        return similarity_at(distance)

    def _attributes(self, filters: Mapping[str, Any] | None) -> dict[str, str]:
        """Return filters as they are stored, sorted by name."""
        if filters is None:
            return {}
        if not isinstance(cast("object", filters), Mapping):
            raise TypeError(f"filters: must be a dict, got {kind(filters)}")
        for name in filters:
            if name not in self._fields:
                raise ValueError(f"filters: unknown field {name!r}")
        return {name: _stored(name, self._fields[name], filters[name]) for name in sorted(filters)}

    def _checked_expression(self, given: FilterExpression | str | None) -> FilterExpression | None:
        expression = _expression_of(given)
        for name, asked in () if expression is None else expression.fields():
            declared = self._fields.get(name) or _OWN_FIELDS.get(name)
            if declared is None:
                raise ValueError(f"filter_expression: unknown field {name!r}")
            if declared != asked:
                raise ValueError(
                    f"filter_expression: {name!r} must be used as a {declared} field, got {asked}"
                )
        return expression


@dataclass(frozen=True, slots=True, eq=False)
class _CheckedLookup:
    """A lookup whose arguments have been checked.

    `embedding` is None when the prompt must be embedded; `threshold` is a similarity.
    """

    prompt: str
    embedding: NDArray[np.float32] | None
    threshold: float
    limit: int
    attributes: Mapping[str, str]
    expression: FilterExpression | None


class _NewEntry(NamedTuple):
    """What is to be stored, after its values have been checked.

    `embedding` is None when the prompt must be embedded; `ttl` when the cache's default counts.
    """

    prompt: str
    response: str
    metadata: dict[str, Any] | None
    attributes: dict[str, str]
    ttl: int | None
    embedding: NDArray[np.float32] | None = None

    @property
    def question(self) -> tuple[str, ...]:
        """The prompt and the attributes; an entry with the same ones is replaced."""
        return (self.prompt, *(part for item in self.attributes.items() for part in item))


@dataclass(frozen=True, slots=True, eq=False)
class _LookupResult:
    """The hits of a lookup, and the prompt's vector."""

    embedding: NDArray[np.float32]
    matches: list[Match]


@dataclass(frozen=True, slots=True, eq=False)
class _Computation:
    """A call of `get_or_compute` whose arguments have been checked."""

    lookup: _CheckedLookup
    attributes: dict[str, str]
    metadata: dict[str, Any] | None
    ttl: int | None

    @property
    def flight(self) -> tuple[str, ...]:
        """The key under which concurrent calls share a computation."""
        return (self.lookup.prompt, *(part for item in self.attributes.items() for part in item))


def _redis_storage(
    client: Any,
    url: str | None,
    connection_kwargs: Mapping[str, Any] | None,
    create_index: bool,
    clock: Callable[[], float],
    overwrite: bool,
) -> StorageBackend:
    # Imported here because it needs another extra.
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
        create_index=create_index,
        clock=clock,
    )


def _joined_id(prompt: str, attributes: Mapping[str, str]) -> str:
    """Return the SHA-256 of a prompt and its filters, computed as in RedisVL."""
    joined = prompt + " ".join(name + attributes[name] for name in sorted(attributes))
    return hashlib.sha256(encoded(joined)).hexdigest()


def _unambiguous_id(prompt: str, attributes: Mapping[str, str]) -> str:
    """Return an id that no other prompt and no other filters have."""
    # No text begins with the byte FF, so no joined text has this id.
    parts = json.dumps([prompt, sorted(attributes.items())]).encode()
    return hashlib.sha256(b"\xff" + parts).hexdigest()


def _expression_of(given: object) -> FilterExpression | None:
    """Return a filter that is given as an expression, ours or RedisVL's, or as a text."""
    if given is None or isinstance(given, FilterExpression):
        return given
    if isinstance(given, str):
        return parse_filter(given)
    foreign = (type(given).__module__, type(given).__name__)
    if foreign == ("redisvl.query.filter", "FilterExpression"):
        return parse_filter(str(given))
    raise TypeError(f"filter_expression: must be a FilterExpression or a str, got {kind(given)}")


def _stored(name: str, field_type: FieldType, value: object) -> str:
    """Return the text under which a filter's value is stored."""
    if isinstance(value, str) and field_type != "numeric":
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        allowed = "an int or a float" if field_type == "numeric" else "a str, an int or a float"
        raise TypeError(f"{name}: must be {allowed}, got {kind(value)}")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError(f"{name}: must be a finite number in the range of a float")
    # A number of NumPy has another repr.
    return repr(int(value) if isinstance(value, Integral) else float(value))


def _checked_distance(distance: float) -> float:
    given = cast("object", distance)
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ValueError(f"distance_threshold: must be a number from 0 to 2, got {kind(given)}")
    if not 0 <= distance <= 2:
        raise ValueError(f"distance_threshold: must be from 0 to 2, got {distance}")
    return float(distance)


def _checked_fields(fields: Sequence[Mapping[str, Any]] | None) -> dict[str, FieldType]:
    """Return the types of filterable fields by name."""
    checked: dict[str, FieldType] = {}
    for position, field in enumerate(fields or ()):
        where = f"filterable_fields[{position}]"
        if not isinstance(cast("object", field), Mapping) or set(field) != {"name", "type"}:
            raise ValueError(f"{where}: must be a dict with the keys name and type only")
        name, field_type = field["name"], field["type"]
        if not isinstance(name, str) or not name:
            raise ValueError(f"{where}.name: must be a str and must not be empty")
        if name in _RESERVED:
            raise ValueError(f"{where}.name: must not be a reserved name, got {name!r}")
        if name in checked:
            raise ValueError(f"{where}.name: must be unique, got {name!r} twice")
        if field_type not in _FIELD_TYPES:
            raise ValueError(f"{where}.type: must be one of {', '.join(_FIELD_TYPES)}")
        checked[name] = field_type
    return checked


class _NoVectorizerError(TypeError, ValueError):
    """A string names no embedder."""


def _embedder_of(vectorizer: Embedder | str) -> Embedder:
    """Return the embedder for an argument."""
    if isinstance(vectorizer, str):
        try:
            return create_embedder(vectorizer)
        except ValueError as error:
            raise _NoVectorizerError(*error.args) from None
    if is_vectorizer(vectorizer):
        return VectorizerEmbedder(vectorizer)
    _check_vectorizer(vectorizer)
    return vectorizer


def _check_vectorizer(vectorizer: object) -> None:
    """Raise a TypeError unless an object has the members of an `Embedder`."""
    methods = all(callable(getattr(vectorizer, name, None)) for name in ("embed", "aembed"))
    # getattr_static does not call properties, for which an embedder may have to query a server.
    absent = object()
    properties = all(
        getattr_static(vectorizer, name, absent) is not absent
        for name in ("model_id", "dimensions")
    )
    if isinstance(vectorizer, type) or not methods or not properties:
        raise TypeError(
            "vectorizer: must be an Embedder, with model_id, dimensions, embed and aembed, or a"
            " vectorizer of RedisVL, got"
            f" {kind(vectorizer)}"
        )


def _validate_metadata(metadata: object) -> None:
    """Raise pydantic's ValidationError unless an entry's metadata is a dict or None."""
    if metadata is None:
        return
    try:
        checked_metadata(metadata)
    except TypeError as error:
        # Imported here because only this mistake needs it.
        from pydantic import ValidationError
        from pydantic_core import InitErrorDetails, PydanticCustomError

        details = InitErrorDetails(
            type=PydanticCustomError("type_error", "{message}", {"message": str(error)}),
            loc=("metadata",),
            input=None,
        )
        raise ValidationError.from_exception_data("store", [details], hide_input=True) from None
