"""The storage backend that keeps everything in the memory of the process."""

from __future__ import annotations

import asyncio
import operator
import secrets
import time
from collections import deque
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from langcache.engine._locks import fork_safe_lock
from langcache.engine.expiry import has_expired
from langcache.engine.search.builder import IndexBuilder
from langcache.engine.search.index import VectorIndex
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage._namespace import Namespace
from langcache.engine.storage._scope_table import Nearest, Record, ScopeTable, Traits, traits_of
from langcache.engine.storage._usage import Usage
from langcache.engine.storage.base import (
    StorageBackend,
    check_embedding,
    check_embeddings,
    check_entry,
    check_limit,
    least_cosine,
    similarity_of,
)
from langcache.engine.storage.entry import (
    CacheEntry,
    EntryPage,
    Match,
    Scope,
    SearchResult,
    StorageUsage,
    TopSearch,
)
from langcache.engine.storage.listing import Listing, Position, position_of

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from numpy.typing import NDArray

    from langcache.engine.search.arrays import Vectors

_RECLAIM_BATCH = 256
_ROWS_PER_CALL = 1024
_STORED_TOGETHER = 32  # while others wait for the lock, for some tenths of a millisecond


class InMemoryStorage(StorageBackend):
    """Entries in memory: the fastest backend, gone with the process.

    Search is exact, over all vectors of the scope, as long as the scope has 50,000 entries or
    fewer. A larger scope gets an inverted file: lists of vectors that are alike, of which a search
    looks at those that its answer should be in. A background thread makes the lists, anew whenever
    there are half as many entries more, and neither storing nor searching waits for it. What is
    found is scored exactly. Still, a few hits in a thousand are missed.

    Storing and deleting take one lock for some microseconds, storing many for some tenths of a
    millisecond at a time, and a search among some 2,500 entries or fewer for some microseconds.
    Among more, a search takes the lock only before and after the work, which is done without it,
    and sees the storage as it is at its end. If hundreds of entries change meanwhile, it searches
    again and keeps the lock. Expired entries are skipped from the moment they expire; later calls
    reclaim their memory little by little.

    What an entry takes besides its texts is its vector, 5 bytes per dimension, up to an eighth of
    that to spare, and some 500 bytes, which includes the id.

    Storing copies embedding, attributes and metadata, and what is returned is a copy again, so
    nobody can change an entry that is stored.

    Args:
        clock: Returns the present moment, in seconds since the epoch.
        max_entries: The largest number of entries of all namespaces; None for no limit. To make
            room, those are removed that were not used for the longest time: stored, changed, or
            marked as a hit (see `mark_used`).
        max_bytes: The most bytes of memory that the entries may take, as `usage` counts them; None
            for no limit.
        exact: Whether every search looks at all vectors, whatever their number.
        tuning: The constants of the index; for tests.

    Raises:
        TypeError: A limit is not an int.
        ValueError: A limit is below 1.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        exact: bool = False,
        tuning: IndexTuning = IndexTuning(),  # noqa: B008 - it cannot be changed
    ) -> None:
        self._clock = clock
        self._tuning = tuning
        self._lock = fork_safe_lock()
        self._builder = None if exact else IndexBuilder(self._lock)
        self._namespaces: dict[str, Namespace] = {}
        # The tables, in the order in which their expired entries are reclaimed.
        self._tables: deque[ScopeTable] = deque()
        self._calls_to_skip = 0
        limits = (max_entries, max_bytes)
        self._usage = None if limits == (None, None) else Usage(max_entries, max_bytes)
        self._changes = 0  # how many records were stored
        self._cursor_name = secrets.token_hex(4)

    @property
    @override
    def is_shared(self) -> bool:
        return False

    @override
    def is_quick(self, scope: Scope) -> bool:
        """Return whether the scope has 20,000 entries or fewer.

        False in a subclass, whose methods may block.
        """
        if type(self) is not InMemoryStorage:
            return False
        namespace = self._namespaces.get(scope.namespace)
        table = namespace and namespace.tables.get(scope)
        return not table or len(table.records) <= self._tuning.quick_rows

    @override
    def version(self, scope: Scope) -> object | None:
        """Return an object that is another one as soon as an entry of the scope changes.

        None for a scope without entries, and as long as one that has expired is still there.
        """
        table = self._find_table(scope)
        if not table or has_expired(table.next_expiry, self._clock()):
            return None
        return table.version

    @property
    @override
    def usage(self) -> StorageUsage | None:
        """What all entries take together; None without a limit."""
        with self._lock:
            return self._usage and self._usage.snapshot()

    @override
    def mark_used(self, namespace: str, entry_ids: Collection[str]) -> None:
        if not self._usage:
            return
        with self._lock:
            found = self._namespaces.get(namespace)
            for id in entry_ids if found else ():
                record = found and found.records.get(id)
                if record:
                    self._usage.use(record)

    @override
    def remove_expired(self) -> None:
        with self._lock:
            self._reclaim_all(self._clock())

    # Storing

    @override
    def store(self, entry: CacheEntry) -> None:
        self._store_instead(entry, lambda _: True)

    @override
    def store_many(self, entries: Iterable[CacheEntry]) -> None:
        for scope, some in groupby(entries, lambda entry: entry.scope):
            while block := list(islice(some, _STORED_TOGETHER)):
                if len(block) == 1 or not self._add_new(scope, block):
                    for entry in block:
                        InMemoryStorage.store(self, entry)  # SQLite's would write it once more

    @override
    def store_distinct(self, entries: Sequence[CacheEntry], other_ids: Sequence[str]) -> list[str]:
        ids: list[str] = []
        for entry, other_id in zip(entries, other_ids, strict=True):
            if self._store_instead(entry, partial(_is_same_question, entry)):
                ids.append(entry.id)
            else:
                self.store(replace(entry, id=other_id))
                ids.append(other_id)
        return ids

    @override
    def edit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> CacheEntry | None:
        while found := self._get(namespace, entry_id):
            record, vector = found
            entry = record.entry(vector)
            changed = change(entry)
            if changed is entry or self._store_instead(changed, partial(operator.is_, record)):
                return changed
        return None

    def _store_instead(self, entry: CacheEntry, replaces: Callable[[Record | None], bool]) -> bool:
        """Store an entry if it may replace the record of its id, and return whether it may."""
        check_entry(entry)
        record = Record(entry)
        traits = traits_of(entry)
        with self._lock:
            now = self._clock()
            self._reclaim_in_turn(now)
            namespace = self._find_or_begin(entry.namespace)
            old = namespace.records.get(entry.id)
            if not replaces(old if old and not has_expired(old.expires_at, now) else None):
                return False
            self._make_room(entry, record, now)
            namespace = self._find_or_begin(entry.namespace)
            self._changes += 1
            record.number = record.first = self._changes
            table = namespace.store(record, entry.scope, traits, entry.embedding, now)
            self._namespaces[namespace.name] = namespace
            if table:
                self._tables.append(table)
        return True

    def _add_new(self, scope: Scope, entries: Sequence[CacheEntry]) -> bool:
        """Store entries of a scope at once if that comes to the same as one after the other.

        It does if they are sound, their ids are new, and nothing has to be removed for them. It
        takes less than half the time.

        Returns:
            Whether they are stored.
        """
        ids = {entry.id for entry in entries}
        if len(ids) < len(entries) or not self._are_new(scope.namespace, ids):
            return False
        try:
            for entry in entries:
                check_entry(entry)
            records = [Record(entry) for entry in entries]
            vectors = np.array([entry.embedding for entry in entries])
        except ValueError:
            return False
        rows = [(record, traits_of(entry)) for record, entry in zip(records, entries, strict=True)]
        dimensions = vectors.shape[1]
        with self._lock:
            now = self._clock()
            namespace = self._find_or_begin(scope.namespace)
            table = namespace.tables.get(scope)
            if (
                (table and table.index.dimensions != dimensions)
                or not namespace.records.keys().isdisjoint(ids)
                or any(has_expired(record.expires_at, now) for record in records)
                or not (self._usage is None or self._usage.has_room(records, dimensions))
            ):
                return False
            for _ in entries:
                self._reclaim_in_turn(now)
            namespace = self._find_or_begin(scope.namespace)
            table = namespace.tables.get(scope)
            if not table:
                table = namespace.begin_table(scope, dimensions)
                self._tables.append(table)
            for record in records:
                self._changes += 1
                record.number = record.first = self._changes
            namespace.add(table, rows, vectors)
            self._namespaces[scope.namespace] = namespace
        return True

    def _are_new(self, namespace: str, ids: Collection[str]) -> bool:
        with self._lock:
            found = self._find(namespace)
            return not found or found.records.keys().isdisjoint(ids)

    # Searching

    @override
    def search(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
    ) -> SearchResult | None:
        search = TopSearch(embedding, namespace, embedding_model_id, context_hash, threshold)
        (nearest,) = self._nearest([search], lowest=True)
        if not nearest:
            return None
        record, vector, cosine = nearest[0]
        hit = record.entry(vector) if cosine >= least_cosine(threshold) else None
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
        scope = (namespace, embedding_model_id, context_hash)
        search = TopSearch(embedding, *scope, threshold, limit, attributes)
        (nearest,) = self._nearest([search])
        return _matches(nearest)

    @override
    def search_top_together(self, searches: Sequence[TopSearch]) -> list[list[Match]]:
        """Do several searches, in less time than one after the other.

        Searches of one scope share one scan of its vectors, as long as the scope has no inverted
        file.

        Args:
            searches: The searches, each with a scope of its own.

        Returns:
            For each search, what `search_top` would return.

        Raises:
            ValueError: As `search_top` does, for any of them.
        """
        if len(searches) == 1:
            return [_matches(each) for each in self._nearest(searches)]
        groups: dict[tuple[object, ...], list[int]] = {}
        for number, search in enumerate(searches):
            # The parts of its scope; `search.scope` takes four times as long.
            key = search[1:4], getattr(search.embedding, "shape", ())
            groups.setdefault(key, []).append(number)
        found: list[list[Match]] = [[] for _ in searches]
        most = self._tuning.searches_together
        for numbers in groups.values():
            for start in range(0, len(numbers), most):
                some = numbers[start : start + most]
                nearest = self._nearest([searches[number] for number in some])
                for number, each in zip(some, nearest, strict=True):
                    found[number] = _matches(each)
        return found

    @override
    async def asearch_top_together(self, searches: Sequence[TopSearch]) -> list[list[Match]]:
        return await asyncio.to_thread(self.search_top_together, searches)

    def _nearest(
        self, searches: Sequence[TopSearch], *, lowest: bool = False
    ) -> list[list[Nearest]]:
        """Return the best entries for each of some searches of one scope.

        Args:
            searches: The searches; their embeddings have the same shape.
            lowest: Whether entries below the threshold are wanted, too. In an inverted file, there
                may be better ones below the threshold than those returned.
        """
        leasts: list[float] = []
        for search in searches:
            leasts.append(least_cosine(search.threshold))
            check_limit(search.limit)
        with self._lock:
            table = self._find_table(searches[0].scope)
            vectors = _checked(searches, table.index.dimensions if table else None)
            if not table:
                return [[] for _ in searches]
            index = table.index
            found = table.search(vectors, searches, leasts, lowest)
            if index.is_small:
                found.run()
            else:
                self._lock.release()
                try:
                    found.run()
                finally:
                    self._lock.acquire()
                if not index.catch_up(found):
                    found = table.search(vectors, searches, leasts, lowest)
                    found.run()
            now = self._clock()
            some_expired = has_expired(table.next_expiry, now)
            if some_expired:
                table.drop_expired(found, now)
            nearest: list[list[Nearest]] = []
            for number, search in enumerate(searches):
                best = table.best(found, number, search)
                nearest.append(best)
            if some_expired:
                self._reclaim(table, now)
        return nearest

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
            table = self._find_table(Scope(namespace, embedding_model_id, context_hash))
            if not table:
                return []
            found = [
                (record, table.index.vector(record.row))
                for record in table.exact(prompt, limit, attributes, self._clock())
            ]
        return [record.entry(vector) for record, vector in found]

    # Reading

    @override
    def get(self, namespace: str, entry_id: str) -> CacheEntry | None:
        found = self._get(namespace, entry_id)
        return found and found[0].entry(found[1])

    def _get(self, namespace: str, entry_id: str) -> tuple[Record, Vectors] | None:
        with self._lock:
            found = self._find(namespace)
            record = found and found.records.get(entry_id)
            if not record or has_expired(record.expires_at, self._clock()):
                return None
            return record, record.table.index.vector(record.row)

    @override
    def entries(self, namespace: str) -> Iterator[CacheEntry]:
        """Iterate over the entries a namespace has at the time of the call, first stored first.

        Changes made during the iteration do not show in it: the call copies all vectors of the
        namespace, under the lock.
        """
        with self._lock:
            now = self._clock()
            found = self._find(namespace)
            if not found:
                return iter(())
            vectors = {scope: table.index.vectors() for scope, table in found.tables.items()}
            rows = [
                (record, vectors[record.table.scope], record.row)
                for record in found.records.values()
                if not has_expired(record.expires_at, now)
            ]
        return (record.entry(matrix[row].copy()) for record, matrix, row in rows)

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
        position = position_of(cursor, self._cursor_name)
        listing = Listing(limit, attributes, text)
        after = position and position.after
        asked = listing.room
        with self._lock:
            began = position.began if position else self._changes
            found = self._find(namespace)
            records = (
                found.listed(after, newest_first, attributes, asked, self._clock()) if found else []
            )
        # A record does not change, so it can be read without the lock.
        wanted: list[Record] = []
        looked_at = 0
        for record in records:
            if listing.is_full:
                break
            looked_at += 1
            after = record.number
            if record.first > began:
                listing.passes_over()
            elif listing.takes(record.prompt, record.response, record.attribute_dict()):
                wanted.append(record)
        ended = looked_at == len(records) < asked
        with self._lock:
            found = self._find(namespace)
            present = [
                (record, record.table.index.vector(record.row))
                for record in wanted
                if found and found.records.get(record.id) is record
            ]
        return EntryPage(
            [record.entry(vector) for record, vector in present],
            None if ended else Position(began, after or 0).cursor(self._cursor_name),
        )

    @override
    def namespace_size(self, namespace: str) -> int:
        with self._lock:
            now = self._clock()
            found = self._find(namespace)
            return found.size(now) if found else 0

    @override
    def model_sizes(self, namespace: str, *, oldest: int | None = None) -> dict[str, int]:
        """Return the number of entries of each embedding model; all are counted at once."""
        del oldest
        with self._lock:
            now = self._clock()
            found = self._find(namespace)
            sizes: dict[str, int] = {}
            for scope, table in found.tables.items() if found else ():
                model = scope.embedding_model_id
                sizes[model] = sizes.get(model, 0) + table.size(now)
        return sizes

    @override
    def namespace_bytes(self, namespace: str) -> int:
        """Return how many bytes the texts and vectors of a namespace's entries take."""
        with self._lock:
            now = self._clock()
            found = self._find(namespace)
            return found.bytes(now) if found else 0

    @override
    def namespaces(self) -> list[str]:
        """Return the namespaces that have entries, in the order of their first ones."""
        with self._lock:
            now = self._clock()
            return [name for name, found in self._namespaces.items() if found.size(now)]

    @override
    def record(self, collection: str, key: str) -> str | None:
        return self._records.get(collection, {}).get(key)

    @override
    def replace_record(self, collection: str, key: str, old: str | None, new: str | None) -> bool:
        with self._lock:
            return super().replace_record(collection, key, old, new)

    @override
    def may_have_records(self, collection: str) -> bool:
        return bool(self._records.get(collection))

    @override
    async def arecord(self, collection: str, key: str) -> str | None:
        return self.record(collection, key)

    # Removing

    @override
    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        with self._lock:
            found = self._find(namespace)
            if not found:
                return 0
            now = self._clock()
            records = [found.records[id] for id in set(entry_ids) if id in found.records]
            return self._remove(found, records, now)

    @override
    def delete_by_attributes(self, namespace: str, attributes: Mapping[str, str]) -> int:
        if not attributes:
            return self.invalidate_namespace(namespace)
        with self._lock:
            found = self._find(namespace)
            if not found:
                return 0
            return self._remove(found, found.with_attributes(attributes), self._clock())

    @override
    def invalidate_namespace(self, namespace: str) -> int:
        with self._lock:
            now = self._clock()
            found = self._namespaces.pop(namespace, None)
            if not found:
                return 0
            size = found.size(now)
            found.clear()
        return size

    @override
    def clear(self) -> None:
        with self._lock:
            for namespace in self._namespaces.values():
                namespace.clear()
            self._namespaces = {}
            self._tables.clear()

    @override
    def close(self) -> None:
        """Stop the background thread."""
        if self._builder:
            self._builder.close()

    def _remove(self, namespace: Namespace, records: list[Record], now: float) -> int:
        """Remove records and return how many of them had not expired."""
        namespace.remove(records)
        if not namespace.records:
            del self._namespaces[namespace.name]
        return sum(not has_expired(record.expires_at, now) for record in records)

    def _reclaim(self, table: ScopeTable, now: float) -> None:
        """Remove expired records of a scope, but not so many that anybody has to wait for it."""
        if not has_expired(table.next_expiry, now):
            return
        expired = table.expired(now, _RECLAIM_BATCH)
        if expired:
            self._remove(self._namespaces[table.scope.namespace], expired, now)
        if len(expired) < _RECLAIM_BATCH:
            table.update_next_expiry()

    def _reclaim_all(self, now: float) -> None:
        """Remove all records that have expired."""
        for table in list(self._tables):
            while table.records and has_expired(table.next_expiry, now):
                self._reclaim(table, now)

    def _make_room(self, entry: CacheEntry, record: Record, now: float) -> None:
        if self._usage and not self._usage.has_room([record], len(entry.embedding)):
            self._evict(self._victims([(entry, record)], now), now)

    def _victims(self, entries: Sequence[tuple[CacheEntry, Record]], now: float) -> list[Record]:
        """Return the records to remove so that entries fit; expired ones are removed at once.

        Raises:
            StorageFullError: The entries do not fit alone.
        """
        usage = self._usage
        if not usage:
            return []
        # Of several entries with one id, the last one stays.
        new = {
            (entry.namespace, entry.id): (record, len(entry.embedding)) for entry, record in entries
        }
        for expired_are_gone in (False, True):
            replaced = [
                old
                for (name, id) in new
                if (found := self._namespaces.get(name)) and (old := found.records.get(id))
            ]
            victims = usage.victims(new.values(), replaced)
            if not victims or expired_are_gone:
                return victims
            self._reclaim_all(now)
        return []

    def _evict(self, victims: Sequence[Record], now: float) -> None:
        for record in victims:
            found = self._namespaces.get(record.table.scope.namespace)
            if found and found.records.get(record.id) is record:
                self._remove(found, [record], now)
                if self._usage:
                    self._usage.evict(1)

    def _reclaim_in_turn(self, now: float) -> None:
        """Reclaim from one scope after the other, so also from those that nobody searches.

        Looking through a large scope takes a while, so it is done once in so many calls.
        """
        if self._calls_to_skip:
            self._calls_to_skip -= 1
        elif self._tables:
            table = self._tables.popleft()
            self._reclaim(table, now)
            if has_expired(table.next_expiry, now):
                self._tables.appendleft(table)
            elif table.records:
                self._tables.append(table)
                self._calls_to_skip = len(table.records) // _ROWS_PER_CALL

    # Finding what the lock protects

    def _find(self, namespace: str) -> Namespace | None:
        """Return a namespace if it has entries."""
        self._check_usable()
        return self._namespaces.get(namespace)

    def _find_table(self, scope: Scope) -> ScopeTable | None:
        """Return the table of a scope if it has entries."""
        namespace = self._find(scope.namespace)
        return namespace and namespace.tables.get(scope)

    def _find_or_begin(self, namespace: str) -> Namespace:
        return self._find(namespace) or Namespace(namespace, self._new_index, self._usage)

    def _new_index(self, dimensions: int) -> VectorIndex:
        return VectorIndex(dimensions, self._builder, self._tuning)

    # For subclasses

    def _check_usable(self) -> None:
        """Refuse whatever is about to be done, under the lock."""

    def _ids_with_attributes(self, namespace: str, attributes: Mapping[str, str]) -> list[str]:
        """Return the ids of the entries that have all the attributes (at least one).

        Some of the entries may have expired.
        """
        with self._lock:
            found = self._find(namespace)
            return [record.id for record in found.with_attributes(attributes)] if found else []

    def _load(self, entries: Iterable[CacheEntry]) -> None:
        """Add entries of new ids and sound times, in half the time that `store` would take.

        Raises:
            ValueError: As `store` does for an embedding; some entries may have been added then.
        """
        groups: dict[ScopeTable, list[tuple[Record, Traits, Vectors]]] = {}
        with self._lock:
            for entry in entries:
                namespace = self._find_or_begin(entry.namespace)
                self._namespaces[namespace.name] = namespace
                table = namespace.tables.get(entry.scope)
                if not table:
                    table = namespace.begin_table(entry.scope, len(entry.embedding))
                    self._tables.append(table)
                record = Record(entry)
                self._changes += 1
                record.number = record.first = self._changes
                namespace.records[record.id] = record
                if self._usage:
                    self._usage.add(record, len(entry.embedding))
                groups.setdefault(table, []).append((record, traits_of(entry), entry.embedding))
            for table, group in groups.items():
                vectors = np.stack([vector for _, _, vector in group])
                check_embeddings(vectors, table.index.dimensions)
                table.extend([(record, traits) for record, traits, _ in group], vectors)

    def _has_room(self, entry: CacheEntry) -> bool:
        """Return whether an entry's scope has entries and they have as many dimensions as it.

        Raises:
            ValueError: They have other dimensions, and they have not all expired.
        """
        with self._lock:
            table = self._find_table(entry.scope)
            if not table:
                return False
            if table.size(self._clock()):
                check_embedding(entry.embedding, table.index.dimensions)
            return table.index.dimensions == len(entry.embedding)


def _is_same_question(entry: CacheEntry, record: Record | None) -> bool:
    """Return whether a record, if there is one, has an entry's prompt and attributes."""
    return record is None or (
        record.prompt == entry.prompt and record.attribute_dict() == entry.attributes
    )


def _checked(searches: Sequence[TopSearch], dimensions: int | None) -> Vectors:
    """Return the embeddings of searches, shape (searches, dimensions).

    Raises:
        ValueError: One of them is not as `check_embedding` asks.
    """
    if len(searches) == 1:
        embedding = searches[0].embedding
        check_embedding(embedding, dimensions)
        return embedding[np.newaxis]
    embeddings = np.array([search.embedding for search in searches])
    check_embeddings(embeddings, dimensions)
    return embeddings


def _matches(nearest: Iterable[Nearest]) -> list[Match]:
    return [
        Match(record.entry(vector), similarity_of(cosine)) for record, vector, cosine in nearest
    ]
