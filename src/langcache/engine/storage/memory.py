"""The storage backend that keeps everything in the memory of the process."""

from __future__ import annotations

import asyncio
import copy
import math
import threading
import time
from collections import deque
from functools import partial
from itertools import chain, compress, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
from typing_extensions import override

from langcache.engine.index import (
    TIE,
    Mask,
    Probe,
    Rows,
    Scan,
    VectorIndex,
    Vectors,
    best_rows,
    growth,
    row_numbers,
)
from langcache.engine.index_builder import IndexBuilder
from langcache.engine.shared_scan import MOST_SEARCHES, SharedScan
from langcache.engine.storage.base import (
    StorageBackend,
    check_embedding,
    check_embeddings,
    check_entry,
    check_limit,
    entry_bytes,
    has_attributes,
    least_cosine,
    similarity_of,
)
from langcache.engine.storage.entry import CacheEntry, Match, Scope, SearchResult, TopSearch

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Hashable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from numpy.typing import NDArray

_ScopeKey: TypeAlias = tuple[str, str]
"""Embedding model's id, context hash."""

_T = TypeVar("_T")

_Nearest: TypeAlias = "tuple[_Record, Vectors, float]"
"""A record that a search has found, its vector and its cosine."""


# A key is a hash of a prompt or an attribute, for a first, fast comparison.
_NO_KEY = 0
_OVERFLOW_KEY = 1
_FIRST_KEY = 2
_MOST_KEYS = 16
_LOWEST = -2.0
_SAMPLE = 1024
# To score a row takes so much longer than to compare its attributes; and while lists are searched,
# the attributes of so many rows can be compared.
_PRODUCT_COST = 20
_ROWS_FILTERED_DURING_PROBE = 256_000
_RECLAIM_BATCH = 256
_ROWS_PER_CALL = 1024
_QUICK_ENTRIES = 20_000  # to search more takes longer than to hand the search to a thread


class InMemoryStorage(StorageBackend):
    """Entries in memory: the fastest backend, gone with the process.

    Search is exact, over all vectors of the scope, as long as the scope has 50,000 entries or
    fewer. A larger one gets an inverted file: lists of vectors that are alike, of which a search
    looks at those that its answer should be in. A thread in the background makes the lists, anew
    whenever there are half as many entries more, and neither storing nor searching waits for it.
    What is found is scored exactly. Still, a few hits in a thousand are missed.

    Storing and deleting take one lock for some microseconds, and so does a search among some 2,500
    entries or fewer. Among more, a search takes the lock only before and after the work, which is
    done without it, and sees the storage as it is at its end. Expired entries are skipped from the
    moment they expire, and their memory is reclaimed little by little by what is done next.

    What an entry takes besides its texts is its vector, 5 bytes per dimension, up to an eighth of
    that to spare, and some 500 bytes, which includes the id.

    Storing copies embedding, attributes and metadata, and what is returned is a copy again, so
    nobody can change an entry that is stored.

    Args:
        clock: Returns the present moment, in seconds since the epoch.
        exact: Whether every search looks at all vectors, whatever their number.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, exact: bool = False) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._builder = None if exact else IndexBuilder(self._lock)
        self._namespaces: dict[str, _Namespace] = {}
        self._scopes: deque[_Scope] = deque()
        self._calls_to_skip = 0

    @override
    def is_quick(self, scope: Scope) -> bool:
        """Return whether the scope has 20,000 entries or fewer.

        False in a subclass, whose methods may block.
        """
        if type(self) is not InMemoryStorage:
            return False
        holder = self._namespaces.get(scope.namespace)
        found = holder and holder.scopes.get(scope[1:])
        return not found or len(found.records) <= _QUICK_ENTRIES

    @override
    def store(self, entry: CacheEntry) -> None:
        self._store_instead(entry, None)

    @override
    def edit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> CacheEntry | None:
        while found := self._get(namespace, entry_id):
            record, vector = found
            entry = record.entry(vector)
            changed = change(entry)
            if changed is entry or self._store_instead(changed, record):
                return changed
        return None

    def _store_instead(self, entry: CacheEntry, old: _Record | None) -> bool:
        """Store an entry; if `old` is given, only as long as that is the record of its id."""
        check_entry(entry)
        record = _Record(entry)
        traits = _traits(entry)
        with self._lock:
            now = self._clock()
            self._reclaim_in_turn(now)
            holder = self._find_or_begin(entry.namespace)
            if old and holder.records.get(entry.id) is not old:
                return False
            scope_key = (entry.embedding_model_id, entry.context_hash)
            scope = holder.store(record, scope_key, traits, entry.embedding, now)
            self._namespaces[holder.name] = holder
            if scope:
                self._scopes.append(scope)
        return True

    @override
    def search(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
    ) -> SearchResult | None:
        least = least_cosine(threshold)
        key = (embedding_model_id, context_hash)
        found = self._nearest(embedding, namespace, key, 1, _LOWEST, wanted=least)
        if not found:
            return None
        record, vector, cosine = found[0]
        hit = record.entry(vector) if cosine >= least else None
        return SearchResult(hit, similarity_of(cosine))

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
        least = least_cosine(threshold)
        check_limit(limit)
        key = (embedding_model_id, context_hash)
        return _as_matches(self._nearest(embedding, namespace, key, limit, least, attributes))

    @override
    def search_top_together(self, searches: Sequence[TopSearch]) -> list[list[Match]]:
        """Do several searches, in less time than one after the other.

        Those of one scope share the look at its vectors, as long as all of them are looked at. It
        pays for whoever has many searches to do at once, as a server does.

        Args:
            searches: The searches, each in a scope of its own choice.

        Returns:
            For each search, what `search_top` would return.

        Raises:
            ValueError: As `search_top` does, for any of them.
        """
        groups: dict[tuple[str | int, ...], list[int]] = {}
        for number, search in enumerate(searches):
            scope = search.namespace, search.embedding_model_id, search.context_hash
            groups.setdefault((*scope, *search.embedding.shape), []).append(number)
        found: dict[int, list[Match]] = {}
        for numbers in groups.values():
            for start in range(0, len(numbers), MOST_SEARCHES):
                some = numbers[start : start + MOST_SEARCHES]
                of_scope = self._search_scope([searches[each] for each in some])
                found.update(zip(some, of_scope, strict=True))
        return [found[number] for number in range(len(searches))]

    @override
    async def asearch_top_together(self, searches: Sequence[TopSearch]) -> list[list[Match]]:
        return await asyncio.to_thread(self.search_top_together, searches)

    def _search_scope(self, searches: Sequence[TopSearch]) -> Iterator[list[Match]]:
        """Yield what each of some searches of one scope finds."""
        found = self._nearest_together(searches) if len(searches) > 1 else None
        for number, search in enumerate(searches):
            nearest = found[number] if found else None
            if nearest is None:
                embedding, namespace, model_id, context_hash, threshold, limit, attributes = search
                yield self.search_top(
                    embedding,
                    namespace,
                    model_id,
                    context_hash,
                    threshold,
                    limit=limit,
                    attributes=attributes,
                )
            else:
                yield _as_matches(nearest)

    def _nearest_together(
        self, searches: Sequence[TopSearch]
    ) -> Sequence[list[_Nearest] | None] | None:
        """Return what `_nearest` would for each search; None where it has to be asked."""
        first = searches[0]
        leasts: list[float] = []
        for search in searches:
            leasts.append(least_cosine(search.threshold))
            check_limit(search.limit)
        with self._lock:
            holder = self._find(first.namespace)
            scope = holder and holder.scopes.get((first.embedding_model_id, first.context_hash))
            if not scope:
                return None
            vectors = np.array([search.embedding for search in searches])
            check_embeddings(vectors, scope.index.dimensions)
            scan = scope.index.scan_together(vectors, leasts)
            if scan is None:
                return None
            best = partial(scope.best_together, scan, searches, leasts)
            if scope.index.is_small:
                scan.run()
                return self._found(scope, best)
            scope.index.watch(scan)
        return self._run_watched(scope, scan, best)

    def _nearest(
        self,
        embedding: Vectors,
        namespace: str,
        key: _ScopeKey,
        limit: int,
        least: float,
        attributes: Mapping[str, str] | None = None,
        *,
        wanted: float | None = None,
    ) -> list[_Nearest]:
        """Return record, vector and cosine of the best entries whose cosine is at least `least`.

        There may be better ones than those returned below the cosine `wanted`, `least` if None.
        """
        while True:
            with self._lock:
                holder = self._find(namespace)
                scope = holder and holder.scopes.get(key)
                check_embedding(embedding, scope.index.dimensions if scope else None)
                if not scope:
                    return []
                sure_from = least if wanted is None else wanted
                search = scope.search(embedding, limit, sure_from, attributes)
                best = partial(scope.best, search, limit, least, attributes)
                if scope.index.is_small:
                    search.run()
                    return self._found(scope, best) or []
                scope.index.watch(search)
            found = self._run_watched(scope, search, best)
            if found is not None:
                return found

    def _run_watched(
        self, scope: _Scope, search: Scan | Probe | SharedScan, best: Callable[[float], _T]
    ) -> _T:
        """Run a search that its index watches, without the lock, and return what it finds."""
        try:
            search.run()
            with self._lock:
                return self._found(scope, best)
        finally:
            with self._lock:
                scope.index.unwatch(search)

    def _found(self, scope: _Scope, best: Callable[[float], _T]) -> _T:
        """Return what is the best at the present moment, and reclaim what has expired."""
        now = self._clock()
        found = best(now)
        self._reclaim(scope, now)
        return found

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
        check_limit(limit)
        with self._lock:
            holder = self._find(namespace)
            scope = holder and holder.scopes.get((embedding_model_id, context_hash))
            if not scope:
                return []
            found = [
                (record, scope.index.vector(record.row))
                for record in scope.exact(prompt, limit, attributes, self._clock())
            ]
        return [record.entry(vector) for record, vector in found]

    @override
    def get(self, namespace: str, entry_id: str) -> CacheEntry | None:
        found = self._get(namespace, entry_id)
        return found and found[0].entry(found[1])

    def _get(self, namespace: str, entry_id: str) -> tuple[_Record, Vectors] | None:
        with self._lock:
            holder = self._find(namespace)
            record = holder and holder.records.get(entry_id)
            if not record or record.expires_at <= self._clock():
                return None
            return record, record.scope.index.vector(record.row)

    @override
    def entries(self, namespace: str) -> Iterator[CacheEntry]:
        """Iterate over the entries a namespace has at the time of the call, first stored first.

        Changes made during the iteration do not show in it: the call copies all vectors of the
        namespace, under the lock.
        """
        with self._lock:
            now = self._clock()
            holder = self._find(namespace)
            if not holder:
                return iter(())
            vectors = {key: scope.index.vectors() for key, scope in holder.scopes.items()}
            found = [
                (record, vectors[record.scope.key], record.row)
                for record in holder.records.values()
                if record.expires_at > now
            ]
        return (record.entry(matrix[row].copy()) for record, matrix, row in found)

    @override
    def namespace_size(self, namespace: str) -> int:
        with self._lock:
            now = self._clock()
            holder = self._find(namespace)
            return holder.size(now) if holder else 0

    @override
    def namespace_bytes(self, namespace: str) -> int:
        """Return how many bytes the texts and vectors of a namespace's entries take."""
        with self._lock:
            now = self._clock()
            holder = self._find(namespace)
            return sum(scope.bytes(now) for scope in holder.scopes.values()) if holder else 0

    @override
    def record(self, collection: str, key: str) -> str | None:
        return self._records.get(collection, {}).get(key)

    @override
    async def arecord(self, collection: str, key: str) -> str | None:
        return self.record(collection, key)

    @override
    def close(self) -> None:
        """Stop what is done in the background."""
        if self._builder:
            self._builder.close()

    @override
    def namespaces(self) -> list[str]:
        """Return the namespaces that have entries, in the order of their first ones."""
        with self._lock:
            now = self._clock()
            return [name for name, holder in self._namespaces.items() if holder.size(now)]

    @override
    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        with self._lock:
            holder = self._find(namespace)
            if not holder:
                return 0
            now = self._clock()
            records = [holder.records[id] for id in set(entry_ids) if id in holder.records]
            return self._remove(holder, records, now)

    @override
    def delete_by_attributes(self, namespace: str, attributes: Mapping[str, str]) -> int:
        if not attributes:
            return self.invalidate_namespace(namespace)
        with self._lock:
            holder = self._find(namespace)
            if not holder:
                return 0
            return self._remove(holder, holder.with_attributes(attributes), self._clock())

    def _find(self, namespace: str) -> _Namespace | None:
        """Return a namespace if it has entries."""
        self._check_usable()
        return self._namespaces.get(namespace)

    def _find_or_begin(self, namespace: str) -> _Namespace:
        return self._find(namespace) or _Namespace(namespace, self._builder)

    def _check_usable(self) -> None:
        """Refuse whatever is about to be done, under the lock; for subclasses."""

    def _ids_with_attributes(self, namespace: str, attributes: Mapping[str, str]) -> list[str]:
        """Return the ids of the entries that have all the attributes (at least one).

        Some of the entries may have expired.
        """
        with self._lock:
            holder = self._find(namespace)
            return [record.id for record in holder.with_attributes(attributes)] if holder else []

    def _load(self, entries: Iterable[CacheEntry]) -> None:
        """Add entries of new ids and sound times, in half the time that `store` would take.

        Raises:
            ValueError: As `store` does for an embedding; some entries may have been added then.
        """
        groups: dict[_Scope, list[tuple[_Record, _Traits, Vectors]]] = {}
        with self._lock:
            for entry in entries:
                holder = self._find_or_begin(entry.namespace)
                self._namespaces[holder.name] = holder
                key = (entry.embedding_model_id, entry.context_hash)
                scope = holder.scopes.get(key)
                if not scope:
                    scope = holder.begin_scope(key, len(entry.embedding))
                    self._scopes.append(scope)
                record = _Record(entry)
                holder.records[record.id] = record
                groups.setdefault(scope, []).append((record, _traits(entry), entry.embedding))
            for scope, group in groups.items():
                vectors = np.stack([vector for _, _, vector in group])
                check_embeddings(vectors, scope.index.dimensions)
                scope.extend([(record, traits) for record, traits, _ in group], vectors)

    def _has_room(self, entry: CacheEntry) -> bool:
        """Return whether an entry's scope has entries and they have as many dimensions as it.

        Raises:
            ValueError: They have not, and they have not all expired.
        """
        with self._lock:
            holder = self._find(entry.namespace)
            scope = holder and holder.scopes.get((entry.embedding_model_id, entry.context_hash))
            if not scope:
                return False
            if scope.size(self._clock()):
                check_embedding(entry.embedding, scope.index.dimensions)
            return scope.index.dimensions == len(entry.embedding)

    def _remove(self, holder: _Namespace, records: list[_Record], now: float) -> int:
        """Remove records and return how many of them had not expired."""
        holder.remove(records)
        # A search may still hold a namespace that has been invalidated and begun anew since.
        if not holder.records and self._namespaces.get(holder.name) is holder:
            del self._namespaces[holder.name]
        return sum(record.expires_at > now for record in records)

    def _reclaim(self, scope: _Scope, now: float) -> None:
        """Remove expired records of a scope, but not so many that anybody has to wait for it."""
        if now < scope.next_expiry:
            return
        expired = scope.expired(now, _RECLAIM_BATCH)
        self._remove(scope.namespace, expired, now)
        if len(expired) < _RECLAIM_BATCH:
            scope.update_next_expiry()

    def _reclaim_in_turn(self, now: float) -> None:
        """Reclaim from one scope after the other, so also from those that nobody searches.

        To look through a large scope takes a while, so it is done once in so many calls.
        """
        if self._calls_to_skip:
            self._calls_to_skip -= 1
        elif self._scopes:
            scope = self._scopes.popleft()
            self._reclaim(scope, now)
            if now >= scope.next_expiry:
                self._scopes.appendleft(scope)
            elif scope.records:
                self._scopes.append(scope)
                self._calls_to_skip = len(scope.records) // _ROWS_PER_CALL

    @override
    def invalidate_namespace(self, namespace: str) -> int:
        with self._lock:
            now = self._clock()
            holder = self._namespaces.pop(namespace, None)
            if not holder:
                return 0
            size = holder.size(now)
            holder.clear()
        return size

    @override
    def clear(self) -> None:
        with self._lock:
            for holder in self._namespaces.values():
                holder.clear()
            self._namespaces = {}
            self._scopes.clear()


def _as_matches(nearest: Iterable[_Nearest]) -> list[Match]:
    return [
        Match(record.entry(vector), similarity_of(cosine)) for record, vector, cosine in nearest
    ]


class _Record:
    """An entry without its vector, which is in a row of a scope's index.

    Nothing but `row` changes once it is stored, so a record can be read without the lock when its
    vector has been copied under it.
    """

    __slots__ = (
        "attributes",
        "created_at",
        "expires_at",
        "id",
        "metadata",
        "prompt",
        "response",
        "row",
        "scope",
        "updated_at",
    )

    scope: _Scope
    row: int

    def __init__(self, entry: CacheEntry) -> None:
        self.id = entry.id
        self.prompt = entry.prompt
        self.response = entry.response
        # One flat tuple takes half the memory of a dict.
        self.attributes = tuple(chain.from_iterable(entry.attributes.items()))
        self.metadata: Mapping[str, Any] | None = copy.deepcopy(entry.metadata)
        self.created_at = entry.created_at
        self.updated_at = entry.updated_at
        self.expires_at = math.inf if entry.expires_at is None else entry.expires_at

    def attribute_dict(self) -> dict[str, str]:
        values = iter(self.attributes)
        return dict(zip(values, values, strict=True))

    def matches(self, attributes: Mapping[str, str] | None) -> bool:
        if not attributes:
            return True
        # Most records that don't match lack a value, which is found out sooner than by a dict.
        for value in attributes.values():
            if value not in self.attributes:
                return False
        return has_attributes(self.attribute_dict(), attributes)

    def entry(self, vector: Vectors) -> CacheEntry:
        model_id, context_hash = self.scope.key
        return CacheEntry(
            id=self.id,
            prompt=self.prompt,
            response=self.response,
            embedding=vector,
            namespace=self.scope.namespace.name,
            embedding_model_id=model_id,
            context_hash=context_hash,
            attributes=self.attribute_dict(),
            metadata=None if self.metadata is None else copy.deepcopy(self.metadata),
            created_at=self.created_at,
            updated_at=self.updated_at,
            expires_at=None if self.expires_at == math.inf else self.expires_at,
        )


class _Namespace:
    """The records of a namespace by id, in the order they were first stored, and its scopes."""

    def __init__(self, name: str, builder: IndexBuilder | None) -> None:
        self.name = name
        self.records: dict[str, _Record] = {}
        self.scopes: dict[_ScopeKey, _Scope] = {}
        self._builder = builder

    def begin_scope(self, key: _ScopeKey, dimensions: int) -> _Scope:
        scope = self.scopes[key] = _Scope(self, key, VectorIndex(dimensions, self._builder))
        return scope

    def size(self, now: float) -> int:
        return sum(scope.size(now) for scope in self.scopes.values())

    def store(
        self,
        record: _Record,
        scope_key: _ScopeKey,
        traits: _Traits,
        vector: Vectors,
        now: float,
    ) -> _Scope | None:
        """Store a record, in place of the one of its id, and return its scope if it is new."""
        old = self.records.get(record.id)
        if old and old.expires_at <= now:
            self.remove([old])
            old = None
        scope = self.scopes.get(scope_key)
        if scope and scope.index.dimensions != len(vector):
            # What has expired must not have a say.
            self.remove(scope.expired(now))
            if scope.records:
                check_embedding(vector, scope.index.dimensions)
            scope = None
        if old and scope and old.scope is scope:
            scope.replace(old.row, record, traits, vector)
            self.records[record.id] = record
            return None
        target = scope or self.begin_scope(scope_key, len(vector))
        target.append(record, traits, vector)
        self.records[record.id] = record
        if old:
            self._cut(old.scope, [old.row])
        return None if scope else target

    def remove(self, records: Sequence[_Record]) -> None:
        rows: dict[_Scope, list[int]] = {}
        for record in records:
            del self.records[record.id]
            rows.setdefault(record.scope, []).append(record.row)
        for scope, scope_rows in rows.items():
            self._cut(scope, scope_rows)

    def with_attributes(self, attributes: Mapping[str, str]) -> list[_Record]:
        """Return the records that have all the attributes (at least one), expired ones too."""
        return [
            record for scope in self.scopes.values() for record in scope.with_attributes(attributes)
        ]

    def clear(self) -> None:
        for scope in self.scopes.values():
            scope.clear()
        self.records = {}
        self.scopes = {}

    def _cut(self, scope: _Scope, rows: list[int]) -> None:
        scope.remove(np.array(sorted(rows), np.intp))
        if not scope.records:
            del self.scopes[scope.key]


class _Scope:
    """The entries that a search looks at.

    Beside the vectors there is a column for each property that a search must check without a
    look at every record.
    """

    def __init__(self, namespace: _Namespace, key: _ScopeKey, index: VectorIndex) -> None:
        self.namespace = namespace
        self.key = key
        self.index = index
        self.records: list[_Record] = []
        self._expires_at = np.empty(0)
        self._updated_at = np.empty(0)
        self._bytes = np.empty(0, np.int64)
        # Row 0: the keys of the prompts. Then those of the first attributes, the second ones, and
        # so on: to compare them all is faster than sets of rows, and they take no upkeep.
        self._keys = np.empty((1, 0), np.uint32)
        self._overflows = False  # whether there was ever a record with more attributes than keys
        self.next_expiry = math.inf

    def size(self, now: float) -> int:
        """Return the number of records that have not expired."""
        expired = self._expired(now)
        return len(self.records) - (0 if expired is None else int(np.count_nonzero(expired)))

    def bytes(self, now: float) -> int:
        """Return how many bytes the records take that have not expired."""
        taken = self._bytes[: len(self.records)]
        expired = self._expired(now)
        return int(taken.sum() if expired is None else taken[~expired].sum())

    def append(self, record: _Record, traits: _Traits, vector: Vectors) -> None:
        self.index.append(vector)
        self._append(record, traits)

    def extend(self, rows: Sequence[tuple[_Record, _Traits]], vectors: Vectors) -> None:
        self.index.extend(vectors)
        for record, traits in rows:
            self._append(record, traits)

    def _append(self, record: _Record, traits: _Traits) -> None:
        self._reserve(len(traits.keys))
        self.records.append(record)
        self._write(len(self.records) - 1, record, traits)

    def replace(self, row: int, record: _Record, traits: _Traits, vector: Vectors) -> None:
        self._reserve(len(traits.keys))
        self.index.replace(row, vector)
        self.records[row] = record
        self._write(row, record, traits)

    def _reserve(self, width: int) -> None:
        """Make room for so many keys, and for one more row when there is none."""
        width = max(width, len(self._keys))
        rows = len(self._expires_at)
        if rows == len(self.records):
            rows += growth(rows)
            self._expires_at = _grown(self._expires_at, (rows,))
            self._updated_at = _grown(self._updated_at, (rows,))
            self._bytes = _grown(self._bytes, (rows,))
        if (width, rows) != self._keys.shape:
            self._keys = _grown(self._keys, (width, rows))

    def _write(self, row: int, record: _Record, traits: _Traits) -> None:
        record.scope = self
        record.row = row
        self._expires_at[row] = record.expires_at
        self._updated_at[row] = record.updated_at
        self._bytes[row] = traits.bytes
        keys = traits.keys
        self._keys[: len(keys), row] = keys
        self._keys[len(keys) :, row] = _NO_KEY
        self._overflows |= _OVERFLOW_KEY in keys
        self.next_expiry = min(self.next_expiry, record.expires_at)

    def remove(self, rows: Rows) -> None:
        sources, targets = self.index.remove(rows)
        for source, target in zip(row_numbers(sources), row_numbers(targets), strict=True):
            record = self.records[source]
            record.row = target
            self.records[target] = record
        for column in (self._expires_at, self._updated_at, self._bytes, self._keys):
            column[..., targets] = column[..., sources]
        del self.records[len(self.index) :]

    def clear(self) -> None:
        self.index.clear()
        self.records = []
        self.next_expiry = math.inf

    def expired(self, now: float, limit: int | None = None) -> list[_Record]:
        """Return the records that have expired, or some of them."""
        mask = self._expired(now)
        rows = np.flatnonzero(mask)[:limit] if mask is not None else np.empty(0, np.intp)
        return [self.records[row] for row in row_numbers(rows)]

    def _expired(self, now: float) -> Mask | None:
        """Return a flag for each row, or None when no record has expired."""
        if now < self.next_expiry:
            return None
        return self._expires_at[: len(self.records)] <= now

    def update_next_expiry(self) -> None:
        self.next_expiry = float(self._expires_at[: len(self.records)].min(initial=math.inf))

    def with_attributes(self, attributes: Mapping[str, str]) -> list[_Record]:
        """Return the records that have all the attributes, expired ones too."""
        rows = row_numbers(np.flatnonzero(self.matching(attributes)))
        return [
            record for record in map(self.records.__getitem__, rows) if record.matches(attributes)
        ]

    def matching(self, attributes: Mapping[str, str], rows: Rows | None = None) -> Mask:
        """Flag the rows that have all the attributes (at least one), and by chance a few others.

        Args:
            attributes: The attributes.
            rows: The rows to look at, or None for all.
        """
        keys = self._keys[1:, : len(self.records)] if rows is None else self._keys[1:, rows]
        mask = np.ones(keys.shape[1], np.bool_)
        for attribute in attributes.items():
            mask &= (keys == _key(attribute)).any(axis=0)
        if self._overflows:
            for place in row_numbers((keys[0] == _OVERFLOW_KEY).nonzero()[0]):
                row = place if rows is None else rows[place]
                mask[place] = self.records[row].matches(attributes)
        return mask

    def search(
        self, embedding: Vectors, limit: int, least: float, attributes: Mapping[str, str] | None
    ) -> Scan | Probe:
        """Begin to look for the best rows, in the way that is the quickest."""
        if not (self.index.has_lists and attributes and self._is_quick_to_filter(attributes)):
            probe = self.index.probe(embedding, least, limit, filtered=bool(attributes))
            if probe:
                return probe
        return self.index.scan(embedding, self.matching(attributes) if attributes else None)

    def _is_quick_to_filter(self, attributes: Mapping[str, str]) -> bool:
        """Return whether to score all rows that have the attributes is as quick as a probe."""
        rows = len(self.records)
        sample = np.arange(0, rows, -(-rows // _SAMPLE))
        share = float(self.matching(attributes, sample).mean())
        return rows * (1 + _PRODUCT_COST * share) < _ROWS_FILTERED_DURING_PROBE

    def best(
        self,
        search: Scan | Probe,
        limit: int,
        least: float,
        attributes: Mapping[str, str] | None,
        now: float,
    ) -> list[_Nearest] | None:
        """Return the best of what a search has found; None when only another search can tell."""
        candidates = self.index.candidates(search, least)
        if candidates is None:
            return None
        if now >= self.next_expiry:
            candidates = candidates.only(self._expires_at[candidates.rows] > now)
        if attributes and candidates.checked < len(candidates.rows):
            matching = np.ones(len(candidates.rows), np.bool_)
            unchecked = candidates.rows[candidates.checked :]
            matching[candidates.checked :] = self.matching(attributes, unchecked)
            candidates = candidates.only(matching)
        while True:
            found, scores = self.index.best(search, candidates, self._updated_at, limit, least)
            rows = row_numbers(found)
            wrong = [row for row in rows if not self.records[row].matches(attributes)]
            if not wrong:
                cosines = cast("list[float]", scores.tolist())
                return [
                    (self.records[row], self.index.vector(row), cosine)
                    for row, cosine in zip(rows, cosines, strict=True)
                ]
            candidates = candidates.only(~np.isin(candidates.rows, wrong))

    def best_together(
        self,
        scan: SharedScan,
        searches: Sequence[TopSearch],
        leasts: Sequence[float],
        now: float,
    ) -> Sequence[list[_Nearest] | None] | None:
        """Return the best of what a scan has found for each search; None where it can't tell."""
        candidates = self.index.found_together(scan)
        if candidates is None:
            return None
        # What may be the best rows of each search, those of all in one list.
        rows: list[int] = []
        places: list[int] = []
        owned: list[range] = []
        for place, (search, own) in enumerate(zip(searches, candidates, strict=True)):
            likely = self._likely_best(own, search, 2 * scan.error + TIE, now)
            owned.append(range(len(rows), len(rows) + len(likely)))
            rows += likely
            places += [place] * len(likely)
        vectors, scores = self.index.scored(rows, scan.queries.vectors[places])
        cosines = cast("list[float]", scores.tolist())
        found: list[list[_Nearest] | None] = []
        for place, (search, own) in enumerate(zip(searches, owned, strict=True)):
            if place in scan.crowded:
                found.append(None)
                continue
            best: Sequence[int] = own
            if len(own) > 1:
                updated_at = self._updated_at[rows[own.start : own.stop]]
                own_scores = scores[own.start : own.stop]
                offsets = best_rows(own_scores, updated_at, search.limit, leasts[place])
                best = [own[offset] for offset in row_numbers(offsets)]
            elif own and cosines[own[0]] < leasts[place]:
                best = ()
            found.append(
                [(self.records[rows[each]], vectors[each].copy(), cosines[each]) for each in best]
            )
        return found

    def _likely_best(
        self, candidates: list[tuple[float, int]], search: TopSearch, slack: float, now: float
    ) -> list[int]:
        """Return the rows that may be among the best that a search may find.

        Args:
            candidates: Approximate score and row of those that may be found.
            search: The search.
            slack: How much less the score of one of the best may seem than that of another row.
            now: The present moment.
        """
        if search.attributes or now >= self.next_expiry:
            records = [self.records[row] for _, row in candidates]
            kept = [each.matches(search.attributes) and each.expires_at > now for each in records]
            candidates = list(compress(candidates, kept))
        if len(candidates) <= search.limit:
            return [row for _, row in candidates]
        least = sorted(candidates)[-search.limit][0] - slack
        return [row for score, row in candidates if score >= least]

    def exact(
        self, prompt: str, limit: int, attributes: Mapping[str, str] | None, now: float
    ) -> list[_Record]:
        folded = prompt.casefold()
        mask = self._keys[0, : len(self.records)] == _key(folded)
        if attributes:
            mask &= self.matching(attributes)
        expired = self._expired(now)
        if expired is not None:
            mask &= ~expired
        rows = mask.nonzero()[0]
        if len(rows) > 1:
            rows = rows[(-self._updated_at[rows]).argsort(kind="stable")]
        records = (self.records[row] for row in row_numbers(rows))
        found = (
            record
            for record in records
            if record.prompt.casefold() == folded and record.matches(attributes)
        )
        return list(islice(found, limit))


class _Traits(NamedTuple):
    """What a scope keeps of an entry in columns, besides its times.

    Attributes:
        keys: The key of its prompt and those of its attributes.
        bytes: As `entry_bytes` counts them.
    """

    keys: list[int]
    bytes: int


def _traits(entry: CacheEntry) -> _Traits:
    keys = [_key(entry.prompt.casefold())]
    if len(entry.attributes) > _MOST_KEYS:
        # One such entry must not make every other one pay for so many columns.
        keys.append(_OVERFLOW_KEY)
    else:
        keys.extend(_key(attribute) for attribute in entry.attributes.items())
    return _Traits(keys, entry_bytes(entry))


def _key(value: Hashable) -> int:
    """Return 32 bits that are equal for equal values, and rarely for others."""
    return hash(value) % (2**32 - _FIRST_KEY) + _FIRST_KEY


_Column = TypeVar("_Column", bound=np.generic)


def _grown(column: NDArray[_Column], shape: tuple[int, ...]) -> NDArray[_Column]:
    """Return a copy of a column with more room, zero where it is new."""
    grown = np.zeros(shape, column.dtype)
    grown[tuple(slice(length) for length in column.shape)] = column
    return grown
