"""The storage backend that keeps everything in Redis."""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter, OrderedDict
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast

from typing_extensions import override

from langcache.engine._locks import fork_safe_lock
from langcache.engine._utf8 import decoded, encoded
from langcache.engine.expiry import has_expired, seconds_left
from langcache.engine.same_prompt import are_same
from langcache.engine.storage.base import (
    StorageBackend,
    check_embedding,
    check_entry,
    check_limit,
    is_same_question,
    least_cosine,
    reaches,
    similarity_of,
)
from langcache.engine.storage.entry import CacheEntry, EntryPage, Match, Scope, SearchResult
from langcache.engine.storage.errors import StorageError
from langcache.engine.storage.listing import Listing, Position, position_of
from langcache.engine.storage.redis._codec import (
    FORMAT,
    DamagedError,
    Stored,
    fields_of,
    index_number,
    prompt_token,
    scope_token,
    seq_of,
    stored_of,
)
from langcache.engine.storage.redis._connection import Connection, pairs
from langcache.engine.storage.redis._keys import (
    DEFAULT_PREFIX,
    FORMER_PREFIX,
    TOKEN_LENGTH,
    Keys,
    NamespaceKeys,
    attribute_tokens,
    hash_tag,
)
from langcache.engine.storage.redis._local_copy import (
    PLAIN_LIMIT,
    Mirror,
    offload,
    warn_of_damage,
)
from langcache.engine.storage.redis._query_engine import Algorithm, Filter, Mode, QueryEngine
from langcache.engine.storage.redis._scripts import (
    BYTES,
    CHANGES,
    DELETE,
    DELETE_MATCHING,
    LIST,
    MODELS,
    READ,
    REPLACE_RECORD,
    SIZE,
    STORE,
)
from langcache.engine.storage.redis.migration import Migration, Migrator

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    import numpy as np
    import redis
    import redis.asyncio
    from numpy.typing import NDArray

    from langcache.engine._steps import Steps
    from langcache.engine.filters import FilterExpression

__all__ = ["RedisStorage"]

_BATCH = 200
_READ_BATCH = 100
# How many entries one script stores. Meanwhile, Redis serves nobody else.
_STORED_TOGETHER = 10
_MOST_TRIES = 5
_LARGE = 10_000
_MIRRORS_BYTES = 1 << 30
_LONGEST_TTL_MILLIS = 10**14
_LONGEST_TIMEOUT = 86_400
_NO_EXPECTATION = b""
_NONE_EXPECTED = b"none"
_SAME_EXPECTED = b"same"
_CURSOR_NAME = "redis"
_TEXTS = ("prompt", "response")
_MOST_FILTERED = 2048
_MOST_NAMESPACES = 10_000
_TRUSTED_SECONDS = 5.0


class RedisStorage(StorageBackend):
    """Entries in Redis or Valkey, shared by many processes and machines.

    As soon as a process has stored an entry, all others find it. An entry is a hash. Every change
    is one script, so nobody sees half of it. All keys of a namespace share a hash tag, so a
    namespace is on one node of a cluster.

    There are two search modes, and the entries are the same for both:

    - "query-engine": Redis 8, or Redis with the search module, keeps an index of the vectors
      (cosine, float32) and finds the nearest in one round trip. The index is an HNSW graph or, for
      small caches, a flat list that is compared as a whole. If only a small part of the entries is
      in a scope, the engine compares all of these in either case. So it does in a scope of at most
      20,000 entries once a search has found more than 100 equal vectors there, which make others
      hard to find in a graph.
      A search returns at most 10,000 entries, and among more than 2,000 equally similar ones it may
      miss the most recently updated. After a restart, the server indexes all entries again. Until
      it has, searches work as in the other mode; a search of more than 50,000 entries finds what is
      in the index by then, and logs a warning. A process that had no connection open at the restart
      may find less for up to five seconds.
    - "plain": any Redis or Valkey from 6.2 on. Each process keeps a copy of the vectors of the
      namespaces it searches. Before each search it asks what has changed, and it reads the entries
      it found. It finds what `InMemoryStorage` would. It is meant for up to 50,000 entries in a
      namespace; with more, it logs a warning. If the copies take more than 1 GiB, the least
      recently searched are dropped.

    With the clock `time.time`, Redis itself removes expired entries; they are never returned in any
    case. Later calls of `store` remove, little by little, what refers to expired entries and to
    entries that Redis has evicted. Until then, `namespace_size` counts the evicted ones.

    A Redis user with restricted rights needs, on keys under the prefix, the commands of the
    categories read, write, scripting and connection, and TIME; for the query engine also FT.INFO,
    FT.CREATE, FT.SEARCH and, with `overwrite`, FT.DROPINDEX.

    Metadata must be JSON: it comes back equal. A key under the prefix that holds no entry, or a
    damaged one, is skipped with a warning in the log.

    Every method raises `StorageError` if Redis cannot be reached, refuses, or does not answer in
    time, and `StorageFullError` if its memory is full. The change may then have been made or not.

    Args:
        client: A client of `redis.asyncio`, for the asynchronous methods. Without one (and without
            a URL) they run the synchronous methods in a thread.
        sync_client: A client of `redis`, for the synchronous methods. Without one (and without a
            URL) they raise a RuntimeError. A client that you pass is used with its own timeouts and
            pool, and never closed. It must not be one of several databases in a cluster.
        url: Instead of clients: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://...` for TLS,
            `unix://PATH`, `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE[?db=DB]`, or
            `redis+cluster://HOST:PORT,HOST:PORT`; the last two also with `rediss+`. The
            clients are created on first use, an asynchronous one for each event loop, with at most
            64 connections each; `close` and `aclose` close them.
        connection_kwargs: More arguments for the clients created from the URL.
        prefix: The beginning of all keys; without braces. Choose one that no other keys begin
            with. Earlier versions had the default "langcache": if there is data of theirs, a
            storage with the default prefix raises `StorageError` until it is moved by `migrate`.
        search: "query-engine", "plain", or "auto" to use the query engine if there is one.
        index_algorithm: "hnsw", or "flat" for an index that always finds the nearest. Searching it
            takes time in proportion to the entries under the prefix, so it suits some 10,000.
        timeout: How long to wait for a connection and for each answer, in seconds.
        overwrite: Whether to replace a search index of the same name that is set up differently.
        create_index: Whether to create a search index that does not exist. If not, somebody else
            has to; without it, the search mode is "plain".
        clock: Returns the present moment, in seconds since the epoch.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: The URL, the prefix, `search`, `index_algorithm` or `timeout` is not as
            described, or there are both a URL and a client, or neither.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis | redis.asyncio.RedisCluster | None = None,
        *,
        sync_client: redis.Redis | redis.RedisCluster | None = None,
        url: str | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        prefix: str = DEFAULT_PREFIX,
        search: Literal["auto", "query-engine", "plain"] = "auto",
        index_algorithm: Algorithm = "hnsw",
        timeout: float = 5.0,
        overwrite: bool = False,
        create_index: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if search not in ("auto", "query-engine", "plain"):
            raise ValueError("search: must be 'auto', 'query-engine' or 'plain'")
        if index_algorithm not in ("hnsw", "flat"):
            raise ValueError("index_algorithm: must be 'hnsw' or 'flat'")
        if not 0 < timeout <= _LONGEST_TIMEOUT:
            raise ValueError(
                f"timeout: must be above 0 and at most {_LONGEST_TIMEOUT:,} seconds, got {timeout}"
            )
        self._keys = Keys(prefix)
        self._former = Keys(FORMER_PREFIX) if prefix == DEFAULT_PREFIX else None
        # Keys under the former prefix that do not exist.
        self._not_former: set[bytes] = set()
        self._clock = clock
        self._expires_by_itself = clock is time.time
        self._connection = Connection(client, sync_client, url, connection_kwargs, timeout)
        self._engine = QueryEngine(
            self._connection,
            self._keys,
            None if search == "auto" else search,
            index_algorithm,
            overwrite,
            create_index,
            timeout,
            clock,
        )
        self._lock = fork_safe_lock()
        self._mirrors: OrderedDict[str, Mirror] = OrderedDict()
        self._mirrored_bytes = 0
        # By namespace: whether its entries have the fields of this format, and how long that holds.
        self._formats: dict[str, tuple[bool, float]] = {}

    def __repr__(self) -> str:
        return f"RedisStorage(search_mode={self.search_mode!r})"

    @property
    def search_mode(self) -> Mode | None:
        """The search mode: "query-engine" or "plain"; None as long as it is not known.

        `prepare` finds it out, or the first search of a scope that has entries.
        """
        return self._engine.mode

    def prepare(self, dimensions: int) -> Mode:
        """Find out the search mode, and create the index if there has to be one.

        You need not call it: the first search does the same.

        Args:
            dimensions: The width of the vectors.

        Returns:
            "query-engine" or "plain".

        Raises:
            StorageError: There is an index of this name that is set up differently, or there is no
                query engine and `search` requires one.
        """
        return self._connection.run(self._prepare(dimensions))

    async def aprepare(self, dimensions: int) -> Mode:
        """Asynchronous twin of `prepare`."""
        return await self._connection.arun(self._prepare(dimensions))

    def _prepare(self, dimensions: int) -> Steps[Mode]:
        yield from self._engine.prepare(dimensions)
        return self._engine.mode or "plain"

    def migrate(self, progress: Callable[[int], None] | None = None) -> Migration:
        """Take over the data of earlier versions of this package.

        With the default prefix, this moves what they kept under theirs, "langcache". In any case,
        entries get the fields that searches with filters use, and indexes that only earlier
        versions use go. No process with an earlier version may run meanwhile. A migration that was
        interrupted may be repeated.

        Args:
            progress: Called with the number of entries so far, from time to time.

        Returns:
            How many entries and records were migrated.
        """
        return self._connection.run(self._migrate(progress))

    async def amigrate(self, progress: Callable[[int], None] | None = None) -> Migration:
        """Asynchronous twin of `migrate`."""
        return await self._connection.arun(self._migrate(progress))

    def _migrate(self, progress: Callable[[int], None] | None) -> Steps[Migration]:
        former, self._former = self._former, None
        try:
            migrator = Migrator(self._connection, self._read_from, self._store_if_absent, progress)
            done = yield from migrator.run(former, self._keys)
        finally:
            self._former = former
        with self._lock:
            self._formats.clear()
        return done

    def _store_if_absent(self, stored: Sequence[Stored]) -> Steps[None]:
        yield from self._store_all([each.entry for each in stored], _NONE_EXPECTED)

    def _refuse_former(self, key_of: Callable[[Keys], bytes]) -> Steps[None]:
        """Raise a StorageError if a key exists under the default prefix of earlier versions."""
        former = self._former
        if former is None or key_of(former) in self._not_former:
            return
        # Those who have no right to know have no data there.
        if (yield from self._connection.attempt(b"EXISTS", key_of(former))) == 1:
            raise StorageError(
                f"Redis: there is data of an earlier version under the prefix {FORMER_PREFIX!r};"
                " `langcache migrate` moves it, or prefix='langcache' keeps using it"
            )
        with self._lock:
            if len(self._not_former) >= _MOST_NAMESPACES:
                self._not_former.clear()
            self._not_former.add(key_of(former))

    def _refuse_former_namespace(self, namespace: str) -> Steps[None]:
        yield from self._refuse_former(lambda keys: keys.of(namespace).state)

    # Storing.

    @override
    def store(self, entry: CacheEntry) -> None:
        self._connection.run(self._store(entry))

    @override
    async def astore(self, entry: CacheEntry) -> None:
        await self._connection.arun(self._store(entry))

    def _store(self, entry: CacheEntry, expected: bytes = _NO_EXPECTATION) -> Steps[bool]:
        """Store an entry, if the present one is as expected, and return whether it is.

        `expected` is the number of the change that stored it, or one of the constants.
        """
        check_entry(entry)
        yield from self._refuse_former_namespace(entry.namespace)
        while True:
            call = self._storing([entry], expected)
            (outcome,) = yield from self._connection.evaluate(STORE, *call)
            if isinstance(outcome, int):
                check_embedding(entry.embedding, outcome)
            if outcome == b"stored":
                yield from self._engine.begin(len(entry.embedding))
            if outcome != b"again":
                return outcome == b"stored"

    def _storing(
        self, entries: Sequence[CacheEntry], expected: bytes = _NO_EXPECTATION
    ) -> tuple[Any, ...]:
        """Return the keys and the arguments of the script that stores entries of a namespace."""
        keys = self._keys.of(entries[0].namespace)
        now = self._clock()
        epoch = secrets.token_hex(8).encode()
        arguments = [keys.entry_prefix, index_number(now), epoch, b"%d" % len(entries)]
        for entry in entries:
            fields = fields_of(entry)
            arguments += (
                b"%d" % (6 + 2 * len(fields)),
                encoded(entry.id),
                fields[b"scope"],
                b"%d" % len(entry.embedding),
                expected,
                self._milliseconds(entry.expires_at, now),
                fields[b"expires"],
                *(part for item in fields.items() for part in item),
            )
        return (keys[:4], *arguments)

    @override
    def store_many(self, entries: Iterable[CacheEntry]) -> None:
        self._connection.run(self._store_all(list(entries)))

    @override
    async def astore_many(self, entries: Iterable[CacheEntry]) -> None:
        await self._connection.arun(self._store_all(list(entries)))

    def _store_all(
        self, entries: Sequence[CacheEntry], expected: bytes = _NO_EXPECTATION
    ) -> Steps[list[int]]:
        """Store entries as `_store` does, and return the places of those that are not stored."""
        refused: list[int] = []
        for entry in entries:
            check_entry(entry)
        for namespace in {entry.namespace for entry in entries}:
            yield from self._refuse_former_namespace(namespace)
        # The first makes the server know the script, and the index.
        if entries and not (yield from self._store(entries[0], expected)):
            refused.append(0)
        for start in range(1, len(entries), _BATCH):
            groups = _groups(entries[start : start + _BATCH])
            replies = yield from self._connection.evaluate_all(
                STORE, [self._storing(group, expected) for group in groups]
            )
            outcomes: list[Any] = []
            for group, reply in zip(groups, replies, strict=True):
                outcomes += [b""] * len(group) if isinstance(reply, Exception) else reply
            for place, outcome in enumerate(outcomes, start):
                # What is not decided yet is tried again, or fails, as if it came alone.
                if outcome == b"changed" or (
                    outcome != b"stored" and not (yield from self._store(entries[place], expected))
                ):
                    refused.append(place)
        return refused

    @override
    def store_distinct(self, entries: Sequence[CacheEntry], other_ids: Sequence[str]) -> list[str]:
        return self._connection.run(self._store_distinct(entries, other_ids))

    @override
    async def astore_distinct(
        self, entries: Sequence[CacheEntry], other_ids: Sequence[str]
    ) -> list[str]:
        return await self._connection.arun(self._store_distinct(entries, other_ids))

    def _store_distinct(
        self, entries: Sequence[CacheEntry], other_ids: Sequence[str]
    ) -> Steps[list[str]]:
        ids = [entry.id for entry in entries]
        for place in (yield from self._store_all(entries, _SAME_EXPECTED)):
            ids[place] = yield from self._store_beside(entries[place], other_ids[place])
        return ids

    def _store_beside(self, entry: CacheEntry, other_id: str) -> Steps[str]:
        """Store one entry of `store_distinct` that the script has refused to store."""
        while True:
            known = yield from self._get(entry.namespace, entry.id)
            # The script compares how attributes are written, which may be in another order.
            if known is not None and not is_same_question(known.entry, entry):
                yield from self._store(replace(entry, id=other_id))
                return other_id
            # What cannot be read is replaced.
            expected = _NO_EXPECTATION if known is None else b"%d" % known.seq
            if (yield from self._store(entry, expected)):
                return entry.id

    def _milliseconds(self, expires_at: float | None, now: float) -> bytes:
        """Return after how many milliseconds Redis itself is to remove an entry; "" for never."""
        left = seconds_left(expires_at, now)
        if not self._expires_by_itself or left is None or left * 1000 > _LONGEST_TTL_MILLIS:
            return b""
        return b"%d" % max(1, math.ceil(max(0.0, left * 1000)))

    @override
    def edit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> CacheEntry | None:
        return self._connection.run(self._edit(namespace, entry_id, change))

    @override
    async def aedit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> CacheEntry | None:
        return await self._connection.arun(self._edit(namespace, entry_id, change))

    def _edit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> Steps[CacheEntry | None]:
        while True:
            found = yield from self._get(namespace, entry_id)
            if found is None:
                return None
            changed = change(found.entry)
            if changed is found.entry:
                return changed
            if (yield from self._store(changed, b"%d" % found.seq)):
                return changed

    # Searching.

    @override
    def search(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
    ) -> SearchResult | None:
        scope = Scope(namespace, embedding_model_id, context_hash)
        return self._connection.run(self._search(embedding, scope, threshold))

    @override
    async def asearch(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
    ) -> SearchResult | None:
        scope = Scope(namespace, embedding_model_id, context_hash)
        return await self._connection.arun(self._search(embedding, scope, threshold))

    def _search(
        self, embedding: NDArray[np.float32], scope: Scope, threshold: float
    ) -> Steps[SearchResult | None]:
        least_cosine(threshold)
        found = yield from self._nearest(embedding, scope, 0.0, 1, Filter(), threshold)
        if not found:
            return None
        ((entry, similarity),) = found
        return SearchResult(entry if reaches(similarity, threshold) else None, similarity)

    @override
    def search_top(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
        *,
        limit: int = 1,
        attributes: Mapping[str, str] | None = None,
    ) -> list[Match]:
        scope = Scope(namespace, embedding_model_id, context_hash)
        return self._connection.run(
            self._search_top(embedding, scope, threshold, limit, attributes)
        )

    @override
    async def asearch_top(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
        *,
        limit: int = 1,
        attributes: Mapping[str, str] | None = None,
    ) -> list[Match]:
        scope = Scope(namespace, embedding_model_id, context_hash)
        return await self._connection.arun(
            self._search_top(embedding, scope, threshold, limit, attributes)
        )

    def _search_top(
        self,
        embedding: NDArray[np.float32],
        scope: Scope,
        threshold: float,
        limit: int,
        attributes: Mapping[str, str] | None,
    ) -> Steps[list[Match]]:
        least_cosine(threshold)
        check_limit(limit)
        found = yield from self._nearest(embedding, scope, threshold, limit, Filter(attributes))
        return [Match(entry, similarity) for entry, similarity in found]

    @override
    def search_filtered(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
        expression: FilterExpression,
        *,
        limit: int = 1,
    ) -> list[Match]:
        """Find the entries most similar to a vector among those that meet a filter expression.

        The query engine evaluates tags, numbers and words. Patterns, phrases, and words of the
        prompt or the response are looked for among the 2,048 nearest of what it finds.
        """
        scope = Scope(namespace, embedding_model_id, context_hash)
        return self._connection.run(
            self._search_meeting(embedding, scope, threshold, expression, limit)
        )

    @override
    async def asearch_filtered(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
        expression: FilterExpression,
        *,
        limit: int = 1,
    ) -> list[Match]:
        """Asynchronous twin of `search_filtered`."""
        scope = Scope(namespace, embedding_model_id, context_hash)
        return await self._connection.arun(
            self._search_meeting(embedding, scope, threshold, expression, limit)
        )

    def _search_meeting(
        self,
        embedding: NDArray[np.float32],
        scope: Scope,
        threshold: float,
        expression: FilterExpression,
        limit: int,
    ) -> Steps[list[Match]]:
        least_cosine(threshold)
        check_limit(limit)
        is_indexed = yield from self._is_indexed(scope.namespace, expression)
        wanted = Filter(None, expression, is_indexed)
        found = yield from self._nearest(embedding, scope, threshold, limit, wanted)
        return [Match(entry, similarity) for entry, similarity in found]

    def _nearest(
        self,
        embedding: NDArray[np.float32],
        scope: Scope,
        threshold: float,
        limit: int,
        wanted: Filter,
        wanted_from: float = 0.0,
    ) -> Steps[list[tuple[CacheEntry, float]]]:
        """Return entries and similarities of `threshold` or more.

        If no similarity reaches `wanted_from`, the entries may be outlines: nobody needs more.
        """
        check_embedding(embedding)
        if self._former is not None:
            yield from self._refuse_former_namespace(scope.namespace)
        dimensions = len(embedding)
        by_engine = self._engine.is_ready(dimensions)
        if not by_engine and self._engine.mode != "plain":
            if not (yield from self._has_entries(scope, embedding)):
                return []
            by_engine = yield from self._engine.prepare(dimensions)
        least = least_cosine(threshold)
        if by_engine:
            nearest = yield from self._engine.nearest(scope, embedding, limit, least, wanted)
            if nearest is not None:
                if not nearest and not self._engine.has_width(scope, dimensions):
                    yield from self._has_entries(scope, embedding)
                return [(entry, similarity_of(cosine)) for entry, cosine in nearest]
        if (yield from self._is_building(scope.namespace)):
            nearest = yield from self._engine.nearest(
                scope, embedding, limit, least, wanted, partial=True
            )
            return [(entry, similarity_of(cosine)) for entry, cosine in nearest or ()]

        expression = wanted.expression
        if expression is not None and any(name in _TEXTS for name, _ in expression.fields()):
            # The copy has no prompts and responses.
            matches = yield from self._search_filtered(
                embedding, scope, threshold, expression, limit, _MOST_FILTERED
            )
            return [(match.entry, match.similarity) for match in matches]

        def look(mirror: Mirror) -> list[Match]:
            if expression is not None:
                return mirror.entries.search_filtered(
                    embedding, *scope, threshold, expression, limit=limit
                )
            return mirror.entries.search_top(
                embedding, *scope, threshold, limit=limit, attributes=wanted.attributes
            )

        return (yield from self._verified(scope, look, wanted_from))

    @override
    def find_exact(
        self,
        prompt: str,
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        *,
        limit: int = 1,
        attributes: Mapping[str, str] | None = None,
    ) -> list[CacheEntry]:
        scope = Scope(namespace, embedding_model_id, context_hash)
        return self._connection.run(self._find_exact(prompt, scope, limit, attributes))

    @override
    async def afind_exact(
        self,
        prompt: str,
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        *,
        limit: int = 1,
        attributes: Mapping[str, str] | None = None,
    ) -> list[CacheEntry]:
        scope = Scope(namespace, embedding_model_id, context_hash)
        return await self._connection.arun(self._find_exact(prompt, scope, limit, attributes))

    def _find_exact(
        self, prompt: str, scope: Scope, limit: int, attributes: Mapping[str, str] | None
    ) -> Steps[list[CacheEntry]]:
        check_limit(limit)
        yield from self._refuse_former_namespace(scope.namespace)
        dimensions = self._engine.any_ready()
        by_engine = dimensions is not None
        if dimensions is None and self._engine.mode != "plain":
            dimensions = yield from self._dimensions(scope)
            if dimensions is None:
                return []
            by_engine = yield from self._engine.prepare(dimensions)
        if dimensions is not None and by_engine:
            found = yield from self._engine.exact(dimensions, scope, prompt, limit, attributes)
            if found is not None:
                return found
        if dimensions is not None and (yield from self._is_building(scope.namespace)):
            found = yield from self._engine.exact(
                dimensions, scope, prompt, limit, attributes, partial=True
            )
            return found or []

        def look(mirror: Mirror) -> list[Match]:
            # The copy has a token in place of the prompt.
            outlines = mirror.entries.find_exact(
                prompt_token(prompt).decode(), *scope, limit=limit, attributes=attributes
            )
            return [Match(outline, 1.0) for outline in outlines]

        verified = yield from self._verified(scope, look)
        return [entry for entry, _ in verified if are_same(entry.prompt, prompt)]

    def _verified(
        self, scope: Scope, look: Callable[[Mirror], list[Match]], wanted_from: float = 0.0
    ) -> Steps[list[tuple[CacheEntry, float]]]:
        """Search a copy and read what it finds; search again if Redis has something else."""
        mirror = self._mirror(scope.namespace)
        tries = 0
        while True:
            tries += 1
            yield from mirror.refresh(self._connection)
            self._make_room(scope.namespace, mirror)
            matches = yield from offload(len(mirror) > _LARGE, partial(look, mirror))
            if not any(reaches(match.similarity, wanted_from) for match in matches):
                return [(match.entry, match.similarity) for match in matches]
            token = scope_token(scope)
            members = [token + encoded(match.entry.id) for match in matches]
            read = yield from self._read(scope.namespace, members)
            stored = {each.entry.id: each for each in read}
            now = self._clock()
            good: list[tuple[CacheEntry, float]] = []
            for match, member in zip(matches, members, strict=True):
                actual, expected = stored.get(match.entry.id), seq_of(match.entry)
                if actual is None:
                    mirror.hide(member, expected)
                elif actual.seq < expected:
                    # Numbers only grow, so a failover has lost this one.
                    mirror.forget()
                elif actual.seq == expected and not has_expired(actual.entry.expires_at, now):
                    good.append((actual.entry, match.similarity))
            if len(good) == len(matches) or tries == _MOST_TRIES:
                return good

    def _is_indexed(self, namespace: str, expression: FilterExpression) -> Steps[bool]:
        """Return whether a namespace's entries have the fields that the index needs for a filter.

        Those of the first format have the tags only.
        """
        now = time.monotonic()
        known, until = self._formats.get(namespace, (False, 0.0))
        if (known and now < until) or self._engine.mode == "plain":
            return True
        if all(kind == "tag" for _, kind in expression.fields()):
            return True
        if now < until:
            return known
        state = self._keys.of(namespace).state
        known = (yield from self._connection.send(b"HGET", state, b"format")) == FORMAT
        with self._lock:
            if len(self._formats) >= _MOST_NAMESPACES:
                self._formats.clear()
            self._formats[namespace] = (known, now + _TRUSTED_SECONDS)
        return known

    def _mirror(self, namespace: str) -> Mirror:
        with self._lock:
            mirror = self._mirrors.get(namespace)
            if mirror is None:
                mirror = Mirror(namespace, self._keys.of(namespace), self._clock)
                self._mirrors[namespace] = mirror
            self._mirrors.move_to_end(namespace)
            return mirror

    def _make_room(self, namespace: str, mirror: Mirror) -> None:
        """Drop the least recently searched copies, but not the one in use."""
        with self._lock:
            if self._mirrors.get(namespace) is not mirror:
                return
            self._mirrored_bytes += mirror.bytes - mirror.counted_bytes
            mirror.counted_bytes = mirror.bytes
            while self._mirrored_bytes > _MIRRORS_BYTES:
                name, oldest = next(iter(self._mirrors.items()))
                if oldest is mirror:
                    return
                del self._mirrors[name]
                self._mirrored_bytes -= oldest.counted_bytes
                oldest.close()

    def _dimensions(self, scope: Scope) -> Steps[int | None]:
        """Return the dimensions of a scope's entries, or None when it has none."""
        state = self._keys.of(scope.namespace).state
        found = yield from self._connection.send(b"HGET", state, b"d" + scope_token(scope))
        return None if found is None else int(found)

    def _has_entries(self, scope: Scope, embedding: NDArray[np.float32]) -> Steps[bool]:
        """Return whether a scope has entries; check that they have a vector's dimensions."""
        dimensions = yield from self._dimensions(scope)
        check_embedding(embedding, dimensions)
        if dimensions is not None:
            self._engine.note_width(scope, dimensions)
        return dimensions is not None

    def _is_building(self, namespace: str) -> Steps[bool]:
        """Return whether a namespace is too large to copy while its index is not complete yet.

        Raises:
            StorageError: It is, and there is no index.
        """
        if self._engine.mode == "plain":
            return False
        size = yield from self._namespace_size(namespace)
        if size <= PLAIN_LIMIT:
            return False
        if self._engine.mode is None:
            raise StorageError(f"Redis: there is no index of {size} entries yet; try again later")
        return True

    # Reading.

    @override
    def get(self, namespace: str, entry_id: str) -> CacheEntry | None:
        found = self._connection.run(self._get(namespace, entry_id))
        return found and found.entry

    @override
    async def aget(self, namespace: str, entry_id: str) -> CacheEntry | None:
        found = await self._connection.arun(self._get(namespace, entry_id))
        return found and found.entry

    def _get(self, namespace: str, entry_id: str) -> Steps[Stored | None]:
        yield from self._refuse_former_namespace(namespace)
        key = self._keys.of(namespace).entry(entry_id)
        reply = yield from self._connection.attempt(b"HGETALL", key)
        stored = self._decoded(namespace, entry_id, reply)
        if stored is None or has_expired(stored.entry.expires_at, self._clock()):
            return None
        return stored

    def _decoded(self, namespace: str, entry_id: str, reply: Any) -> Stored | None:
        """Return the entry in a reply of HGETALL; None, after a warning, if it is no entry."""
        if not isinstance(reply, Exception) and not reply:
            return None
        try:
            if isinstance(reply, Exception):
                raise DamagedError
            return stored_of(namespace, entry_id, pairs(reply))
        except DamagedError:
            warn_of_damage(namespace)
            return None

    def _read(self, namespace: str, members: Sequence[bytes]) -> Steps[list[Stored]]:
        """Return the entries of members, without those that are gone."""
        return (yield from self._read_from(namespace, self._keys.of(namespace), members))

    def _read_from(
        self, namespace: str, keys: NamespaceKeys, members: Sequence[bytes]
    ) -> Steps[list[Stored]]:
        found: list[Stored] = []
        for start in range(0, len(members), _READ_BATCH):
            batch = members[start : start + _READ_BATCH]
            replies = yield from self._connection.evaluate(
                READ, keys[:4], keys.entry_prefix, *batch
            )
            for member, reply in zip(batch, replies, strict=True):
                stored = self._decoded(namespace, decoded(member[TOKEN_LENGTH:]), reply)
                if stored is not None:
                    found.append(stored)
        return found

    @override
    def entries(self, namespace: str) -> Iterator[CacheEntry]:
        """Iterate over the entries a namespace has at the time of the call, first stored first.

        The call reads all of them, in batches. Each entry is whole. An entry that changes during
        the call may come in its old or its new state, or be missing if it was removed.
        """
        return iter(self._connection.run(self._entries(namespace)))

    @override
    async def aentries(self, namespace: str) -> AsyncIterator[CacheEntry]:
        """Asynchronous twin of `entries`; the snapshot is taken when the iteration begins."""
        for entry in await self._connection.arun(self._entries(namespace)):
            yield entry

    def _entries(self, namespace: str) -> Steps[list[CacheEntry]]:
        yield from self._refuse_former_namespace(namespace)
        keys = self._keys.of(namespace)
        found: dict[str, Stored] = {}
        since, until = b"0", None
        while True:
            reply = yield from self._connection.evaluate(
                CHANGES, keys[:4], keys.entry_prefix, b"", since, b"%d" % _BATCH
            )
            if not reply:
                break
            members = cast("list[bytes]", reply[3][::2])
            until = int(reply[2] or 0) if until is None else until
            for stored in (yield from self._read(namespace, members)):
                if stored.first <= until:
                    found.setdefault(stored.entry.id, stored)
            if len(members) < _BATCH:
                break
            since = reply[3][-1]
        now = self._clock()
        ordered = sorted(found.values(), key=lambda stored: stored.first)
        return [stored.entry for stored in ordered if not has_expired(stored.entry.expires_at, now)]

    @override
    def list_entries(
        self,
        namespace: str,
        *,
        cursor: str = "",
        limit: int = 100,
        newest_first: bool = False,
        attributes: Mapping[str, str] | None = None,
        text: str = "",
    ) -> EntryPage:
        listing = Listing(limit, attributes, text)
        return self._connection.run(self._list_entries(namespace, cursor, listing, newest_first))

    @override
    async def alist_entries(
        self,
        namespace: str,
        *,
        cursor: str = "",
        limit: int = 100,
        newest_first: bool = False,
        attributes: Mapping[str, str] | None = None,
        text: str = "",
    ) -> EntryPage:
        """Asynchronous twin of `list_entries`."""
        listing = Listing(limit, attributes, text)
        return await self._connection.arun(
            self._list_entries(namespace, cursor, listing, newest_first)
        )

    def _list_entries(
        self, namespace: str, cursor: str, listing: Listing, newest_first: bool
    ) -> Steps[EntryPage]:
        yield from self._refuse_former_namespace(namespace)
        keys = self._keys.of(namespace)
        position = position_of(cursor, _CURSOR_NAME)
        order = b"newest" if newest_first else b"oldest"
        entries: list[CacheEntry] = []
        while not listing.is_full:
            asked = min(_READ_BATCH, listing.room)
            reply = yield from self._connection.evaluate(
                LIST,
                keys[:4],
                keys.entry_prefix,
                order,
                b"%d" % position.after if position else b"",
                b"%d" % asked,
            )
            if not reply:
                return EntryPage(entries, None)
            members = cast("list[bytes]", reply[1][::2])
            numbers = [int(float(score)) for score in reply[1][1::2]]
            read = yield from self._read(namespace, members)
            stored = {each.entry.id: each for each in read}
            began = position.began if position else int(reply[0])
            for member, number in zip(members, numbers, strict=True):
                if listing.is_full:
                    break
                position = Position(began, number)
                found = stored.get(decoded(member[TOKEN_LENGTH:]))
                # One with another number has changed since, and comes again if oldest come first.
                if (
                    found is None
                    or found.first > began
                    or (found.seq != number and not newest_first)
                    or has_expired(found.entry.expires_at, self._clock())
                ):
                    listing.passes_over()
                elif listing.takes(
                    found.entry.prompt, found.entry.response, found.entry.attributes
                ):
                    entries.append(found.entry)
            else:
                if len(members) < asked:
                    return EntryPage(entries, None)
        return EntryPage(entries, position.cursor(_CURSOR_NAME) if position else None)

    @override
    def namespaces(self) -> list[str]:
        """Return the namespaces that have entries, in alphabetical order.

        It looks at every key of the Redis.
        """
        return self._connection.run(self._namespaces())

    def _namespaces(self) -> Steps[list[str]]:
        found: set[str] = set()
        scan = self._connection.scan(self._keys.namespaces_pattern())
        while batch := (yield from scan.batch()):
            found.update(self._keys.namespace_of(hash_tag(state)) for state in batch)
        for namespace in tuple(found):
            if not (yield from self._namespace_size(namespace)):
                found.remove(namespace)
        return sorted(found)

    @override
    def namespace_size(self, namespace: str) -> int:
        return self._connection.run(self._namespace_size(namespace))

    @override
    async def anamespace_size(self, namespace: str) -> int:
        return await self._connection.arun(self._namespace_size(namespace))

    def _namespace_size(self, namespace: str) -> Steps[int]:
        yield from self._refuse_former_namespace(namespace)
        keys = self._keys.of(namespace)
        now = index_number(self._clock())
        return (yield from self._connection.evaluate(SIZE, keys[:4], keys.entry_prefix, now))

    @override
    def namespace_bytes(self, namespace: str) -> int:
        return self._connection.run(self._namespace_bytes(namespace))

    @override
    async def anamespace_bytes(self, namespace: str) -> int:
        return await self._connection.arun(self._namespace_bytes(namespace))

    def _namespace_bytes(self, namespace: str) -> Steps[int]:
        yield from self._refuse_former_namespace(namespace)
        keys = self._keys.of(namespace)
        total, since = 0, b"0"
        while since:
            now = index_number(self._clock())
            since, size = yield from self._connection.evaluate(
                BYTES, keys[:4], keys.entry_prefix, now, since, b"%d" % _BATCH
            )
            total += size
        return total

    @override
    def model_sizes(self, namespace: str, *, oldest: int | None = None) -> dict[str, int]:
        return self._connection.run(self._model_sizes(namespace, oldest))

    @override
    async def amodel_sizes(self, namespace: str, *, oldest: int | None = None) -> dict[str, int]:
        return await self._connection.arun(self._model_sizes(namespace, oldest))

    def _model_sizes(self, namespace: str, oldest: int | None) -> Steps[dict[str, int]]:
        yield from self._refuse_former_namespace(namespace)
        keys = self._keys.of(namespace)
        sizes: Counter[str] = Counter()
        since, left = b"0", math.inf if oldest is None else oldest
        while since and left > 0:
            now, count = index_number(self._clock()), int(min(_BATCH, left))
            since, *found = yield from self._connection.evaluate(
                MODELS, keys[:4], keys.entry_prefix, now, since, b"%d" % count
            )
            left -= count
            for model, size in zip(found[::2], found[1::2], strict=True):
                sizes[decoded(model)] += size
        return dict(sizes)

    # Removing.

    @override
    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        return self._connection.run(self._delete(namespace, entry_ids))

    @override
    async def adelete(self, namespace: str, entry_ids: Collection[str]) -> int:
        return await self._connection.arun(self._delete(namespace, entry_ids))

    def _delete(self, namespace: str, entry_ids: Collection[str]) -> Steps[int]:
        yield from self._refuse_former_namespace(namespace)
        keys = self._keys.of(namespace)
        ids = [encoded(entry_id) for entry_id in set(entry_ids)]
        count = 0
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            now = index_number(self._clock())
            count += yield from self._connection.evaluate(
                DELETE, keys[:4], keys.entry_prefix, now, *batch
            )
        return count

    @override
    def delete_by_attributes(self, namespace: str, attributes: Mapping[str, str]) -> int:
        return self._connection.run(self._delete_in(namespace, attributes))

    @override
    async def adelete_by_attributes(self, namespace: str, attributes: Mapping[str, str]) -> int:
        return await self._connection.arun(self._delete_in(namespace, attributes))

    @override
    def invalidate_namespace(self, namespace: str) -> int:
        return self._connection.run(self._delete_in(namespace, {}))

    @override
    async def ainvalidate_namespace(self, namespace: str) -> int:
        return await self._connection.arun(self._delete_in(namespace, {}))

    def _delete_in(self, namespace: str, attributes: Mapping[str, str]) -> Steps[int]:
        yield from self._refuse_former_namespace(namespace)
        return (yield from self._delete_matching(self._keys.of(namespace), attributes))

    def _delete_matching(self, keys: NamespaceKeys, attributes: Mapping[str, str]) -> Steps[int]:
        """Remove entries that have attributes, in batches, except those stored after the start."""
        tokens = attribute_tokens(attributes)
        until = (yield from self._connection.send(b"HGET", keys.state, b"seq")) or b"0"
        count, since = 0, b"0"
        while since:
            now = index_number(self._clock())
            since, removed = yield from self._connection.evaluate(
                DELETE_MATCHING,
                keys[:4],
                keys.entry_prefix,
                now,
                since,
                until,
                b"%d" % _BATCH,
                *tokens,
            )
            count += removed
        return count

    @override
    def clear(self) -> None:
        self._connection.run(self._clear())

    @override
    async def aclear(self) -> None:
        await self._connection.arun(self._clear())

    def _clear(self) -> Steps[None]:
        scan = self._connection.scan(self._keys.namespaces_pattern())
        while batch := (yield from scan.batch()):
            for state in batch:
                yield from self._delete_matching(self._keys.of_tag(hash_tag(state)), {})
        # The rest belongs to namespaces whose state Redis has evicted.
        scan = self._connection.scan(self._keys.entries_pattern())
        while batch := (yield from scan.batch()):
            by_tag: dict[bytes, list[bytes]] = {}
            for key in batch:
                by_tag.setdefault(hash_tag(key), []).append(key)
            for same_slot in by_tag.values():
                yield from self._connection.send(b"UNLINK", *same_slot)

    @override
    def entry_key(self, namespace: str, entry_id: str) -> str:
        return decoded(self._keys.of(namespace).entry(entry_id))

    @override
    def search_index(self, namespace: str, dimensions: int) -> Any:
        """Return RedisVL's `SearchIndex` over the index, which has the entries of all caches.

        Raises:
            ImportError: RedisVL is not installed.
            StorageError: Redis has no query engine.
        """
        index = _redisvl("SearchIndex")
        if self.prepare(dimensions) == "plain":
            raise StorageError("Redis: there is no search index without the query engine")
        name = self._keys.index(dimensions).decode()
        return index.from_existing(name, redis_client=self._connection.sync_client())

    @override
    def asearch_index(self, namespace: str, dimensions: int) -> Any:
        """Return RedisVL's `AsyncSearchIndex`; it reads the index's definition synchronously."""
        index = _redisvl("AsyncSearchIndex")
        schema = self.search_index(namespace, dimensions).schema
        return index(schema=schema, **self._connection.redisvl_arguments())

    @override
    def drop_unused_indexes(self) -> None:
        """Remove the search indexes under the prefix, if there are no entries."""
        self._connection.run(self._engine.drop_empty())

    @override
    async def adrop_unused_indexes(self) -> None:
        """Asynchronous twin of `drop_unused_indexes`."""
        await self._connection.arun(self._engine.drop_empty())

    # Records.

    @override
    def records(self, collection: str) -> dict[str, str]:
        return self._connection.run(self._get_records(collection))

    @override
    async def arecords(self, collection: str) -> dict[str, str]:
        return await self._connection.arun(self._get_records(collection))

    def _get_records(self, collection: str) -> Steps[dict[str, str]]:
        yield from self._refuse_former(lambda keys: keys.records(collection))
        reply = yield from self._connection.send(b"HGETALL", self._keys.records(collection))
        return {decoded(key): decoded(text) for key, text in pairs(reply).items()}

    @override
    def record(self, collection: str, key: str) -> str | None:
        return self._connection.run(self._get_record(collection, key))

    @override
    async def arecord(self, collection: str, key: str) -> str | None:
        return await self._connection.arun(self._get_record(collection, key))

    def _get_record(self, collection: str, key: str) -> Steps[str | None]:
        yield from self._refuse_former(lambda keys: keys.records(collection))
        place = (self._keys.records(collection), encoded(key))
        reply = yield from self._connection.send(b"HGET", *place)
        return None if reply is None else decoded(reply)

    @override
    def set_record(self, collection: str, key: str, text: str | None) -> None:
        self._connection.run(self._set_record(collection, key, text))

    @override
    async def aset_record(self, collection: str, key: str, text: str | None) -> None:
        await self._connection.arun(self._set_record(collection, key, text))

    def _set_record(self, collection: str, key: str, text: str | None) -> Steps[None]:
        yield from self._refuse_former(lambda keys: keys.records(collection))
        place = (self._keys.records(collection), encoded(key))
        if text is None:
            yield from self._connection.send(b"HDEL", *place)
        else:
            yield from self._connection.send(b"HSET", *place, encoded(text))

    @override
    def replace_record(self, collection: str, key: str, old: str | None, new: str | None) -> bool:
        return self._connection.run(self._replace_record(collection, key, old, new))

    @override
    async def areplace_record(
        self, collection: str, key: str, old: str | None, new: str | None
    ) -> bool:
        return await self._connection.arun(self._replace_record(collection, key, old, new))

    def _replace_record(
        self, collection: str, key: str, old: str | None, new: str | None
    ) -> Steps[bool]:
        yield from self._refuse_former(lambda keys: keys.records(collection))
        # A text begins with "=", so that nothing is no text.
        texts = [b"" if text is None else b"=" + encoded(text) for text in (old, new)]
        place = (self._keys.records(collection),)
        call = (REPLACE_RECORD, place, encoded(key), *texts)
        return bool((yield from self._connection.evaluate(*call)))

    # The end.

    @override
    def close(self) -> None:
        """Close the synchronous client that was created from the URL.

        Only `aclose` can close an asynchronous one, in its event loop. If there was a URL, every
        other method then raises `StorageError`.
        """
        self._forget()
        self._connection.close()

    @override
    async def aclose(self) -> None:
        """Close the clients created from the URL: the synchronous one and this event loop's."""
        self._forget()
        await self._connection.aclose()

    def _forget(self) -> None:
        with self._lock:
            for mirror in self._mirrors.values():
                mirror.close()
            self._mirrors.clear()
            self._mirrored_bytes = 0


def _redisvl(name: str) -> Any:
    """Return a class of RedisVL's."""
    try:
        return getattr(import_module("redisvl.index"), name)
    except ImportError as error:
        raise ImportError(
            "the index of a cache in Redis is RedisVL's SearchIndex: install redisvl"
        ) from error


def _groups(entries: Sequence[CacheEntry]) -> list[list[CacheEntry]]:
    """Return entries in groups of one namespace each, which one script stores."""
    groups: list[list[CacheEntry]] = []
    for entry in entries:
        last = groups[-1] if groups else []
        if last and last[0].namespace == entry.namespace and len(last) < _STORED_TOGETHER:
            last.append(entry)
        else:
            groups.append([entry])
    return groups
