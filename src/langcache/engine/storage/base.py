"""What a storage backend is: the methods to implement, and the rules that all backends share."""

import asyncio
import itertools
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langcache.engine._steps import Steps, arun, call, run
from langcache.engine._utf8 import encoded
from langcache.engine.filters import FilterExpression
from langcache.engine.same_prompt import folded
from langcache.engine.storage.entry import (
    CacheEntry,
    EntryPage,
    Match,
    Scope,
    SearchResult,
    StorageUsage,
    TopSearch,
)
from langcache.engine.storage.index_view import AsyncIndexView, IndexView
from langcache.engine.storage.ranking import best_rows

_SLACK = 1e-6
_FLOAT32 = np.dtype(np.float32)  # to compare with `np.float32` itself takes twice as long
_LENGTH_TOLERANCE = 1e-3
_BATCH = 256
_LEAST_FETCHED = 16
_FETCH_GROWTH = 4


class StorageBackend(ABC):
    """Keeps entries and finds them again.

    A new backend implements the seven abstract methods. The others use these; a backend overrides
    those that it can do faster. Every method has an asynchronous twin, with an `a` before its name,
    which runs the method in a thread; a backend with asynchronous I/O overrides the twins. All
    methods may be called from several threads at once.

    A search has a scope: a namespace, an embedding model's id and a context hash. Only entries of
    the same scope are candidates. An entry that has expired, which it has from the moment
    `expires_at` on, is never returned and never counted.

    A similarity is (1 + cosine) / 2, in [0, 1]. A similarity that is below a threshold by 1e-6 or
    less still reaches it, so that rounding cannot make an identical vector miss the threshold 1.
    Similarities within 1e-6 of each other are equal.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes may change what is stored; True unless a backend knows better."""
        return True

    def is_quick(self, scope: Scope) -> bool:
        """Return whether a call for this scope takes no longer than handing it to a thread.

        If so, an event loop may call the synchronous methods: they do no I/O, and the scope has few
        entries. The answer is for now; it may change with the next entry.
        """
        del scope
        return False

    def version(self, scope: Scope) -> object | None:
        """Return an object that is another one as soon as an entry of the scope changes.

        As long as it is the same, no entry has been stored, removed or has expired, so a search
        finds what it found before. It does no I/O and waits for nothing, so an event loop may call
        it.

        Returns:
            The object, to be compared by `is`; None if it is not known whether anything changes.
        """
        del scope
        return None

    @property
    def usage(self) -> StorageUsage | None:
        """What all entries take together; None if the backend does not count it."""
        return None

    def mark_used(self, namespace: str, entry_ids: Collection[str]) -> None:  # noqa: B027
        """Note that entries were hits, for a backend that removes those used longest ago.

        It does no I/O. Unknown ids are ignored.
        """

    def remove_expired(self) -> None:  # noqa: B027 - most backends do it by themselves
        """Remove what has expired by now, so that setting the clock back does not bring it back."""

    @abstractmethod
    def store(self, entry: CacheEntry) -> None:
        """Keep an entry; one of the same id in the same namespace is replaced.

        Raises:
            ValueError: The embedding or a time is not what `CacheEntry` asks for, or the
                embedding has not as many dimensions as the others of its scope. Nothing has
                changed then.
        """

    @abstractmethod
    def search(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
    ) -> SearchResult | None:
        """Find the entry of a scope whose embedding is most similar to a vector.

        Args:
            embedding: Vector of length 1, shape (dimensions,).
            namespace: The scope's namespace.
            embedding_model_id: The scope's embedding model.
            context_hash: The scope's context hash.
            threshold: The least similarity of a hit, in [0, 1].

        Returns:
            The best entry, the most recently updated one of several that are equal; the best
            similarity alone when it is below the threshold; None when the scope has no entry.

        Raises:
            ValueError: The vector or the threshold is not as described above.
        """

    @abstractmethod
    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        """Remove entries by their ids and return how many there were; unknown ids are ignored."""

    @abstractmethod
    def invalidate_namespace(self, namespace: str) -> int:
        """Remove all entries of a namespace and return how many there were."""

    @abstractmethod
    def clear(self) -> None:
        """Remove all entries of all namespaces."""

    @abstractmethod
    def namespace_size(self, namespace: str) -> int:
        """Return the number of entries in a namespace."""

    @abstractmethod
    def entries(self, namespace: str) -> Iterator[CacheEntry]:
        """Iterate over the entries of a namespace at the time of the call, first stored first.

        The iteration does not show later changes.
        """

    def store_many(self, entries: Iterable[CacheEntry]) -> None:
        """Store entries, one after the other.

        A backend overrides this if it can store them in fewer round trips.

        Args:
            entries: The entries. Of two that have the same id and namespace, the later one stays.

        Raises:
            ValueError: As `store` does, for any of them; others may have been stored.
        """
        for entry in entries:
            self.store(entry)

    def store_distinct(self, entries: Sequence[CacheEntry], other_ids: Sequence[str]) -> list[str]:
        """Store entries as `store_many` does, but replace none with another prompt or attributes.

        If such an entry has the id of a new one, the new one gets its other id, and replaces what
        has that.

        This implementation may replace an entry that another thread or process stores between
        reading and storing. A backend that can prevent that overrides it, and so does one that can
        store in fewer round trips.

        Args:
            entries: The entries.
            other_ids: For each entry, the id to store it under if its own is taken.

        Returns:
            The ids the entries have, in their order.

        Raises:
            ValueError: As `store_many` does.
        """
        distinct = with_free_ids(entries, other_ids, self.get)
        self.store_many(distinct)
        return [entry.id for entry in distinct]

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
        """Return one page of the entries of a namespace, in the order of their last change.

        The work for a page is bounded, so a page may have fewer entries than `limit`, even none,
        although more follow: go on until there is no cursor.

        Oldest first, an entry that was there when the listing began and is there when it ends comes
        at least once; one that changes meanwhile may come again. Newest first, an entry that
        changes meanwhile may be missing. Entries first stored after the listing began do not come.

        Args:
            namespace: The namespace.
            cursor: The cursor of the page before, for the same arguments; "" for the first page.
            limit: How many entries to return at most; 1 or more.
            newest_first: Whether the entry that was changed last comes first.
            attributes: Attributes that an entry must have, with these values; it may have others.
            text: A text that the prompt or the response must contain, ignoring case.

        Raises:
            NotImplementedError: This backend cannot list entries in pages.
            ValueError: The cursor is not one of this storage, or the limit is below 1.
        """
        del namespace, cursor, limit, newest_first, attributes, text
        raise NotImplementedError(
            f"{type(self).__name__}: cannot list entries in pages; override list_entries"
        )

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
        """Find the entries of a scope that are most similar to a vector.

        Args:
            embedding: Vector of length 1, shape (dimensions,).
            namespace: The scope's namespace.
            embedding_model_id: The scope's embedding model.
            context_hash: The scope's context hash.
            threshold: The least similarity, in [0, 1].
            limit: How many entries to return at most; 1 or more.
            attributes: Attributes that an entry must have, with these values; it may have others.
                None and the empty mapping require nothing.

        Returns:
            At most `limit` matches, best first; the most recently updated first among equals.

        Raises:
            ValueError: The vector, the threshold or the limit is not as described above.
        """
        check_embedding(embedding)
        least = least_cosine(threshold)
        check_limit(limit)
        scope = Scope(namespace, embedding_model_id, context_hash)
        candidates = [
            entry
            for entry in self.entries(namespace)
            if entry.scope == scope and has_attributes(entry.attributes, attributes)
        ]
        if not candidates:
            return []
        check_embedding(embedding, len(candidates[0].embedding))
        cosines = np.array([entry.embedding.dot(embedding) for entry in candidates], np.float32)
        updated_at = np.array([entry.updated_at for entry in candidates])
        return [
            Match(candidates[row], similarity_of(float(cosines[row])))
            for row in best_rows(cosines, updated_at, limit, least)
        ]

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

        This implementation looks at the entries that `search_top` finds, at more and more of them.
        A backend overrides it if it can do better. It may then look at the nearest entries only, if
        they are many.

        Args:
            embedding: Vector of length 1, shape (dimensions,).
            namespace: The scope's namespace.
            embedding_model_id: The scope's embedding model.
            context_hash: The scope's context hash.
            threshold: The least similarity, in [0, 1].
            expression: What an entry must meet; see `meets`.
            limit: How many entries to return at most; 1 or more.

        Returns:
            At most `limit` matches, best first; the most recently updated first among equals.

        Raises:
            ValueError: The vector, the threshold or the limit is not as described above.
        """
        scope = Scope(namespace, embedding_model_id, context_hash)
        return run(self._search_filtered(embedding, scope, threshold, expression, limit))

    def _search_filtered(
        self,
        embedding: NDArray[np.float32],
        scope: Scope,
        threshold: float,
        expression: FilterExpression,
        limit: int,
        most: float = math.inf,
    ) -> Steps[list[Match]]:
        """Search as `search_filtered` does, among the `most` nearest."""
        check_limit(limit)
        fetched = max(_LEAST_FETCHED, 2 * limit)
        attributes = expression.required_attributes()
        while True:
            found = yield from call(
                self.search_top,
                self.asearch_top,
                embedding,
                *scope,
                threshold,
                limit=fetched,
                attributes=attributes,
            )
            matches = [match for match in found if meets(match.entry, expression)][:limit]
            if len(matches) == limit or len(found) < fetched or fetched >= most:
                return matches
            fetched *= _FETCH_GROWTH

    def search_top_together(self, searches: Sequence[TopSearch]) -> list[list[Match]]:
        """Do several searches.

        A backend overrides this if it can do them in less time than one after the other.

        Args:
            searches: The searches, each with a scope of its own.

        Returns:
            For each search, what `search_top` would return.

        Raises:
            ValueError: As `search_top` does, for any of them.
        """
        return [
            self.search_top(
                search.embedding,
                *search.scope,
                search.threshold,
                limit=search.limit,
                attributes=search.attributes,
            )
            for search in searches
        ]

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
        """Find the entries of a scope that have a given prompt, ignoring case.

        Args:
            prompt: The whole prompt. Two prompts are equal when `str.casefold` makes them so.
            namespace: The scope's namespace.
            embedding_model_id: The scope's embedding model.
            context_hash: The scope's context hash.
            limit: How many entries to return at most; 1 or more.
            attributes: As in `search_top`.

        Returns:
            At most `limit` entries, the most recently updated first.

        Raises:
            ValueError: The limit is below 1.
        """
        check_limit(limit)
        wanted = folded(prompt)
        scope = Scope(namespace, embedding_model_id, context_hash)
        found = [
            entry
            for entry in self.entries(namespace)
            if entry.scope == scope
            and folded(entry.prompt) == wanted
            and has_attributes(entry.attributes, attributes)
        ]
        found.sort(key=lambda entry: entry.updated_at, reverse=True)
        return found[:limit]

    def get(self, namespace: str, entry_id: str) -> CacheEntry | None:
        """Return an entry by its id, or None."""
        return next((entry for entry in self.entries(namespace) if entry.id == entry_id), None)

    def delete_by_attributes(self, namespace: str, attributes: Mapping[str, str]) -> int:
        """Remove the entries of a namespace that have the given attributes.

        Args:
            namespace: The namespace.
            attributes: Attributes that an entry must have, with these values. The empty mapping
                removes all entries.

        Returns:
            How many entries were removed.
        """
        return self.delete(
            namespace,
            [
                entry.id
                for entry in self.entries(namespace)
                if has_attributes(entry.attributes, attributes)
            ],
        )

    def edit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> CacheEntry | None:
        """Replace an entry by what a function makes of it.

        This implementation may undo a change that another thread or process makes between reading
        and storing. A backend that can prevent that overrides it. For one that does not,
        `SemanticCache` makes one edit after the other, within its process.

        Args:
            namespace: The namespace.
            entry_id: The entry's id.
            change: Takes the entry and returns the one to store, with the same id and namespace;
                or the same object if there is nothing to change. It must be quick, and may be
                called more than once.

        Returns:
            The entry as it is now, or None when there is no entry of this id.

        Raises:
            ValueError: The changed entry is not one that `store` takes. Nothing has changed.
        """
        entry = self.get(namespace, entry_id)
        if entry is None:
            return None
        changed = change(entry)
        if changed is not entry:
            self.store(changed)
        return changed

    def namespaces(self) -> list[str]:
        """Return the namespaces that have entries, as far as the backend can list them.

        A backend that does not override this lists none.
        """
        return []

    def namespace_bytes(self, namespace: str) -> int:
        """Return how many bytes the texts and vectors of a namespace's entries take.

        It looks at every entry.
        """
        return sum(map(entry_bytes, self.entries(namespace)))

    def model_sizes(self, namespace: str, *, oldest: int | None = None) -> dict[str, int]:
        """Return the number of entries of each embedding model in a namespace.

        It looks at every entry, unless a backend knows better.

        Args:
            namespace: The namespace.
            oldest: Look only at so many entries, those stored first or changed longest ago; None
                for all.
        """
        entries = itertools.islice(self.entries(namespace), oldest)
        return dict(Counter(entry.embedding_model_id for entry in entries))

    def records(self, collection: str) -> dict[str, str]:
        """Return the records of a collection: the texts that were set, by their keys.

        Records are what a cache or a server keeps beside its entries, such as the fields it
        declares. `clear` and `invalidate_namespace` do not remove them. This implementation keeps
        them in memory; a backend that outlives the process overrides `records` and `set_record`.
        """
        return dict(self._records.get(collection, {}))

    def record(self, collection: str, key: str) -> str | None:
        """Return one record of a collection, or None when there is none with this key."""
        return self.records(collection).get(key)

    def may_have_records(self, collection: str) -> bool:
        """Return False if it is known without any I/O that a collection has no records."""
        del collection
        return True

    def set_record(self, collection: str, key: str, text: str | None) -> None:
        """Keep a text in a collection, in place of the one with its key, or None to remove it."""
        records = self._records.setdefault(collection, {})
        if text is None:
            records.pop(key, None)
        else:
            records[key] = text

    def replace_record(self, collection: str, key: str, old: str | None, new: str | None) -> bool:
        """Replace a text in a collection if it is still the old one; None stands for no text.

        Of all who replace one text at the same time, one succeeds. A backend of your own has to
        override this method for that; here, the others may overwrite what the first one wrote.

        Returns:
            Whether it was the old one.
        """
        if self.record(collection, key) != old:
            return False
        self.set_record(collection, key, new)
        return True

    def entry_key(self, namespace: str, entry_id: str) -> str | None:
        """Return the key under which other programs find an entry, or None if there is none."""
        del namespace, entry_id
        return None

    def search_index(self, namespace: str, dimensions: int) -> Any:
        """Return an object for the index of a cache, with `name`, `exists()` and `info()`."""
        del dimensions
        return IndexView(namespace, self.namespace_size)

    def asearch_index(self, namespace: str, dimensions: int) -> Any:
        """Return an object as `search_index` does, with asynchronous methods."""
        del dimensions
        return AsyncIndexView(namespace, self.anamespace_size)

    def drop_unused_indexes(self) -> None:  # noqa: B027 - most backends have none
        """Remove the indexes over entries if there are no entries at all; they come back later."""

    @cached_property
    def _records(self) -> dict[str, dict[str, str]]:
        return {}

    def close(self) -> None:  # noqa: B027 - most backends hold nothing to release
        """Release connections and files. A closed backend must not be used again."""

    async def astore(self, entry: CacheEntry) -> None:
        """Asynchronous twin of `store`."""
        await asyncio.to_thread(self.store, entry)

    async def astore_many(self, entries: Iterable[CacheEntry]) -> None:
        """Asynchronous twin of `store_many`."""
        await asyncio.to_thread(self.store_many, entries)

    async def astore_distinct(
        self, entries: Sequence[CacheEntry], other_ids: Sequence[str]
    ) -> list[str]:
        """Asynchronous twin of `store_distinct`."""
        return await asyncio.to_thread(self.store_distinct, entries, other_ids)

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
        return await asyncio.to_thread(
            self.list_entries,
            namespace,
            cursor=cursor,
            limit=limit,
            newest_first=newest_first,
            attributes=attributes,
            text=text,
        )

    async def asearch(
        self,
        embedding: NDArray[np.float32],
        namespace: str,
        embedding_model_id: str,
        context_hash: str,
        threshold: float,
    ) -> SearchResult | None:
        """Asynchronous twin of `search`."""
        return await asyncio.to_thread(
            self.search, embedding, namespace, embedding_model_id, context_hash, threshold
        )

    async def adelete(self, namespace: str, entry_ids: Collection[str]) -> int:
        """Asynchronous twin of `delete`."""
        return await asyncio.to_thread(self.delete, namespace, entry_ids)

    async def ainvalidate_namespace(self, namespace: str) -> int:
        """Asynchronous twin of `invalidate_namespace`."""
        return await asyncio.to_thread(self.invalidate_namespace, namespace)

    async def aclear(self) -> None:
        """Asynchronous twin of `clear`."""
        await asyncio.to_thread(self.clear)

    async def anamespace_size(self, namespace: str) -> int:
        """Asynchronous twin of `namespace_size`."""
        return await asyncio.to_thread(self.namespace_size, namespace)

    async def aentries(self, namespace: str) -> AsyncIterator[CacheEntry]:
        """Asynchronous twin of `entries`; the snapshot is taken when the iteration begins."""
        entries = await asyncio.to_thread(self.entries, namespace)
        while batch := await asyncio.to_thread(list, itertools.islice(entries, _BATCH)):
            for entry in batch:
                yield entry

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
        """Asynchronous twin of `search_top`."""
        return await asyncio.to_thread(
            self.search_top,
            embedding,
            namespace,
            embedding_model_id,
            context_hash,
            threshold,
            limit=limit,
            attributes=attributes,
        )

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
        return await arun(self._search_filtered(embedding, scope, threshold, expression, limit))

    async def asearch_top_together(self, searches: Sequence[TopSearch]) -> list[list[Match]]:
        """Asynchronous twin of `search_top_together`."""
        return [
            await self.asearch_top(
                search.embedding,
                *search.scope,
                search.threshold,
                limit=search.limit,
                attributes=search.attributes,
            )
            for search in searches
        ]

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
        """Asynchronous twin of `find_exact`."""
        return await asyncio.to_thread(
            self.find_exact,
            prompt,
            namespace,
            embedding_model_id,
            context_hash,
            limit=limit,
            attributes=attributes,
        )

    async def aget(self, namespace: str, entry_id: str) -> CacheEntry | None:
        """Asynchronous twin of `get`."""
        return await asyncio.to_thread(self.get, namespace, entry_id)

    async def adelete_by_attributes(self, namespace: str, attributes: Mapping[str, str]) -> int:
        """Asynchronous twin of `delete_by_attributes`."""
        return await asyncio.to_thread(self.delete_by_attributes, namespace, attributes)

    async def aedit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> CacheEntry | None:
        """Asynchronous twin of `edit`."""
        return await asyncio.to_thread(self.edit, namespace, entry_id, change)

    async def anamespaces(self) -> list[str]:
        """Asynchronous twin of `namespaces`."""
        return await asyncio.to_thread(self.namespaces)

    async def anamespace_bytes(self, namespace: str) -> int:
        """Asynchronous twin of `namespace_bytes`."""
        return await asyncio.to_thread(self.namespace_bytes, namespace)

    async def amodel_sizes(self, namespace: str, *, oldest: int | None = None) -> dict[str, int]:
        """Asynchronous twin of `model_sizes`."""
        return await asyncio.to_thread(self.model_sizes, namespace, oldest=oldest)

    async def arecords(self, collection: str) -> dict[str, str]:
        """Asynchronous twin of `records`."""
        return await asyncio.to_thread(self.records, collection)

    async def arecord(self, collection: str, key: str) -> str | None:
        """Asynchronous twin of `record`."""
        return await asyncio.to_thread(self.record, collection, key)

    async def aset_record(self, collection: str, key: str, text: str | None) -> None:
        """Asynchronous twin of `set_record`."""
        await asyncio.to_thread(self.set_record, collection, key, text)

    async def areplace_record(
        self, collection: str, key: str, old: str | None, new: str | None
    ) -> bool:
        """Asynchronous twin of `replace_record`."""
        return await asyncio.to_thread(self.replace_record, collection, key, old, new)

    async def adrop_unused_indexes(self) -> None:
        """Asynchronous twin of `drop_unused_indexes`."""
        await asyncio.to_thread(self.drop_unused_indexes)

    async def aclose(self) -> None:
        """Asynchronous twin of `close`."""
        await asyncio.to_thread(self.close)


# The rules that all backends share, for authors of backends.


def similarity_of(cosine: float) -> float:
    """Return the similarity for a cosine: (1 + cosine) / 2, no less than 0 and no more than 1."""
    similarity = (1.0 + cosine) / 2.0
    if 0.0 <= similarity <= 1.0:  # nearly always; two function calls would take longer
        return similarity
    return min(1.0, max(0.0, similarity))


def distance_of(similarity: float) -> float:
    """Return the distance, 1 - cosine, for a similarity, (1 + cosine) / 2."""
    return 2.0 * (1.0 - similarity)


def similarity_at(distance: float) -> float:
    """Return the similarity, (1 + cosine) / 2, for a distance, 1 - cosine."""
    return 1.0 - distance / 2.0


def least_cosine(threshold: float) -> float:
    """Return the least cosine whose similarity reaches a threshold in [0, 1].

    Raises:
        ValueError: The threshold is not a number in [0, 1].
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold: must be from 0 to 1, got {threshold}")
    return 2.0 * (threshold - _SLACK) - 1.0


def reaches(similarity: float, threshold: float) -> bool:
    """Return whether a similarity reaches a threshold, both in [0, 1], by the rule above."""
    return similarity >= threshold - _SLACK


def entry_bytes(entry: CacheEntry) -> int:
    """Return how many bytes an entry's texts take in UTF-8, and its vector.

    The texts are prompt, response, attributes and, as `repr` writes it, metadata.
    """
    texts = [entry.prompt, entry.response, *entry.attributes, *entry.attributes.values()]
    if entry.metadata is not None:
        texts.append(repr(entry.metadata))
    sizes = (len(text) if text.isascii() else len(encoded(text)) for text in texts)
    return entry.embedding.nbytes + sum(sizes)


def is_same_question(entry: CacheEntry, other: CacheEntry) -> bool:
    """Return whether two entries have the same prompt and the same attributes."""
    return entry.prompt == other.prompt and entry.attributes == other.attributes


def with_free_ids(
    entries: Sequence[CacheEntry],
    other_ids: Sequence[str],
    get: Callable[[str, str], CacheEntry | None],
) -> list[CacheEntry]:
    """Return entries with the ids that `StorageBackend.store_distinct` gives them.

    Args:
        entries: The entries.
        other_ids: For each, the id it gets if its own is taken.
        get: Returns the stored entry of a namespace and an id, or None.
    """
    placed: dict[tuple[str, str], CacheEntry] = {}
    distinct: list[CacheEntry] = []
    for entry, other_id in zip(entries, other_ids, strict=True):
        place = (entry.namespace, entry.id)
        known = placed.get(place) or get(*place)
        is_free = known is None or is_same_question(known, entry)
        new = entry if is_free else replace(entry, id=other_id)
        placed[new.namespace, new.id] = new
        distinct.append(new)
    return distinct


def has_attributes(attributes: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    """Return whether all wanted attributes are there, with the wanted values."""
    return not wanted or all(attributes.get(name) == value for name, value in wanted.items())


_OWN_FIELDS: dict[str, Callable[[CacheEntry], str]] = {
    "prompt": lambda entry: entry.prompt,
    "response": lambda entry: entry.response,
    "inserted_at": lambda entry: repr(float(entry.created_at)),
    "updated_at": lambda entry: repr(float(entry.updated_at)),
}


def meets(entry: CacheEntry, expression: FilterExpression) -> bool:
    """Return whether an entry meets a filter expression.

    The fields of an entry are its attributes, `prompt` and `response`, and `inserted_at` and
    `updated_at` in seconds since the epoch.
    """
    fields = dict(entry.attributes)
    for name, _ in expression.fields():
        if name in _OWN_FIELDS:
            fields[name] = _OWN_FIELDS[name](entry)
    return expression.matches(fields)


def check_limit(limit: int) -> None:
    """Check that a number of results is at least 1.

    Raises:
        ValueError: It is not.
    """
    if limit < 1:
        raise ValueError(f"limit: must be at least 1, got {limit}")


def check_entry(entry: CacheEntry) -> None:
    """Check what a backend relies on in an entry: its embedding and its times.

    Raises:
        ValueError: The embedding is not as `check_embedding` asks, or a time is not a number.
    """
    check_embedding(entry.embedding)
    for name, moment in (("updated_at", entry.updated_at), ("expires_at", entry.expires_at)):
        if moment is not None and math.isnan(moment):
            raise ValueError(f"{name}: must be a number of seconds, got {moment}")


def check_embedding(embedding: NDArray[np.float32], dimensions: int | None = None) -> None:
    """Check that an array is a float32 vector of length 1, and optionally its dimensions.

    The length may be off by about 0.0005, which leaves room for embedders that compute in half
    precision.

    Raises:
        ValueError: It is something else.
    """
    dtype = getattr(embedding, "dtype", type(embedding).__name__)
    if dtype is not _FLOAT32 and dtype != _FLOAT32:
        raise ValueError(f"embedding: must be an array of float32, got {dtype}")
    if embedding.ndim != 1:
        raise ValueError(f"embedding: must have shape (dimensions,), got {embedding.shape}")
    if dimensions is not None and len(embedding) != dimensions:
        raise ValueError(f"embedding: must have {dimensions} dimensions, got {len(embedding)}")
    # Overflow and invalid numbers make the length infinite or undefined. `vdot` does not warn of
    # them, unlike `dot`, and silencing a warning takes longer than the product.
    squared_length = float(np.vdot(embedding, embedding))
    if not abs(squared_length - 1.0) <= _LENGTH_TOLERANCE:
        length = math.sqrt(squared_length)
        raise ValueError(f"embedding: must be finite and of length 1, got length {length:.6g}")


def check_embeddings(embeddings: NDArray[np.float32], dimensions: int | None = None) -> None:
    """Check that the rows of an array, at least one, are as `check_embedding` asks.

    Raises:
        ValueError: One of them is something else.
    """
    squared_lengths = np.einsum("ij,ij->i", embeddings, embeddings)
    check_embedding(embeddings[np.abs(squared_lengths - 1.0).argmax()], dimensions)
