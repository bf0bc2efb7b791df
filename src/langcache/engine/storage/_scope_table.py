"""The entries of one scope in memory: their records, their columns and their index."""

from __future__ import annotations

import copy
import math
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from langcache.engine.expiry import has_expired, have_expired
from langcache.engine.same_prompt import folded
from langcache.engine.search.arrays import Mask, Rows, Vectors, row_numbers
from langcache.engine.search.blocks import growth
from langcache.engine.search.index import Search, VectorIndex, Wanted
from langcache.engine.storage.base import entry_bytes, has_attributes
from langcache.engine.storage.entry import CacheEntry, Scope, TopSearch
from langcache.engine.storage.ranking import TIE, best_rows

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

# A key is a hash of a prompt or an attribute, for a first, fast comparison.
_NO_KEY = 0
_OVERFLOW_KEY = 1
_FIRST_KEY = 2
_MOST_KEYS = 16
_LOWEST = -2.0
_SAMPLE = 1024
_PRODUCT_COST = 20  # scoring a row takes so many times as long as comparing its attributes


class Record:
    """An entry without its vector, which is in a row of the scope's index.

    Only `row` changes once the record is stored, so it can be read without the lock if its vector
    was copied under it.
    """

    __slots__ = (
        "attributes",
        "created_at",
        "expires_at",
        "first",
        "id",
        "metadata",
        "number",
        "prompt",
        "response",
        "row",
        "table",
        "updated_at",
    )

    table: ScopeTable
    row: int
    number: int  # of the change that stored it
    first: int  # that of the change that first stored its id

    def __init__(self, entry: CacheEntry) -> None:
        self.id = entry.id
        self.prompt = entry.prompt
        self.response = entry.response
        # One flat tuple takes half the memory of a dict.
        self.attributes = tuple(chain.from_iterable(entry.attributes.items()))
        self.metadata: Mapping[str, Any] | None = entry.metadata
        if entry.metadata is not None:
            try:
                self.metadata = copy.deepcopy(entry.metadata)
            except RecursionError:
                raise ValueError("metadata: must not be nested so deeply") from None
        self.created_at = entry.created_at
        self.updated_at = entry.updated_at
        self.expires_at = math.inf if entry.expires_at is None else entry.expires_at

    def attribute_dict(self) -> dict[str, str]:
        """Return the attributes by name."""
        values = iter(self.attributes)
        return dict(zip(values, values, strict=True))

    def matches(self, attributes: Mapping[str, str] | None) -> bool:
        """Return whether the record has all the attributes."""
        if not attributes:
            return True
        # Most records that do not match lack a value. That is found out sooner than by a dict.
        for value in attributes.values():
            if value not in self.attributes:
                return False
        return has_attributes(self.attribute_dict(), attributes)

    def entry(self, vector: Vectors) -> CacheEntry:
        """Return the entry.

        Args:
            vector: A copy of its vector.
        """
        scope = self.table.scope
        return CacheEntry(
            id=self.id,
            prompt=self.prompt,
            response=self.response,
            embedding=vector,
            namespace=scope.namespace,
            embedding_model_id=scope.embedding_model_id,
            context_hash=scope.context_hash,
            attributes=self.attribute_dict(),
            metadata=None if self.metadata is None else copy.deepcopy(self.metadata),
            created_at=self.created_at,
            updated_at=self.updated_at,
            expires_at=None if self.expires_at == math.inf else self.expires_at,
        )


Nearest: TypeAlias = tuple[Record, Vectors, float]
"""A record that was found, a copy of its vector, and its cosine."""


class Traits(NamedTuple):
    """What a table keeps of an entry in columns, besides its times.

    Attributes:
        keys: The key of its prompt and those of its attributes.
        bytes: As `entry_bytes` counts them.
    """

    keys: list[int]
    bytes: int


def traits_of(entry: CacheEntry) -> Traits:
    """Return the traits of an entry."""
    keys = [_key(folded(entry.prompt))]
    if len(entry.attributes) > _MOST_KEYS:
        # One such entry must not make all others pay for so many columns.
        keys.append(_OVERFLOW_KEY)
    else:
        keys.extend(_key(attribute) for attribute in entry.attributes.items())
    return Traits(keys, entry_bytes(entry))


class ScopeTable:
    """The entries of a scope: a record and a row of the index for each.

    There is a column for each property that a search checks, so that it need not look at every
    record.

    Args:
        scope: The scope.
        index: An empty index.

    Attributes:
        records: By row.
        version: Another object after each change; see `StorageBackend.version`.
        next_expiry: No record expires before this moment; infinity if none ever does.
    """

    def __init__(self, scope: Scope, index: VectorIndex) -> None:
        self.scope = scope
        self.index = index
        self.records: list[Record] = []
        self._expires_at = np.empty(0)
        self._updated_at = np.empty(0)
        self._bytes = np.empty(0, np.int64)
        self._numbers = np.empty(0, np.int64)
        # The first line has the keys of the prompts, the others those of the first attributes, the
        # second ones and so on. Comparing them all is faster than sets of rows.
        self._keys = np.empty((1, 0), np.uint32)
        self._overflows = False  # whether there was ever a record with more attributes than keys
        self.version = object()
        self.next_expiry = math.inf

    # Writing

    def extend(self, rows: Sequence[tuple[Record, Traits]], vectors: Vectors) -> None:
        """Add records; their vectors are copied."""
        self.version = object()
        self._reserve(max(len(traits.keys) for _, traits in rows), len(rows))
        self.index.extend(vectors)
        for record, traits in rows:
            self.records.append(record)
            self._write(len(self.records) - 1, record, traits)

    def replace(self, row: int, record: Record, traits: Traits, vector: Vectors) -> None:
        """Put another record in a row."""
        self.version = object()
        self._reserve(len(traits.keys))
        self.index.replace(row, vector)
        self.records[row] = record
        self._write(row, record, traits)

    def remove(self, rows: Sequence[int]) -> None:
        """Remove the records of some rows."""
        self.version = object()
        sources, targets = self.index.remove(np.array(sorted(rows), np.intp))
        for source, target in zip(row_numbers(sources), row_numbers(targets), strict=True):
            record = self.records[source]
            record.row = target
            self.records[target] = record
        for column in (
            self._expires_at,
            self._updated_at,
            self._bytes,
            self._numbers,
            self._keys,
        ):
            column[..., targets] = column[..., sources]
        del self.records[len(self.index) :]

    def clear(self) -> None:
        """Remove all records."""
        self.version = object()
        self.index.clear()
        self.records = []
        self.next_expiry = math.inf

    def _reserve(self, width: int, more: int = 0) -> None:
        """Make room for so many keys, and for so many more rows."""
        width = max(width, len(self._keys))
        rows = len(self._expires_at)
        missing = len(self.records) + more - rows
        if missing > 0:
            rows += max(missing, growth(rows))
            self._expires_at = _grown(self._expires_at, (rows,))
            self._updated_at = _grown(self._updated_at, (rows,))
            self._bytes = _grown(self._bytes, (rows,))
            self._numbers = _grown(self._numbers, (rows,))
        if (width, rows) != self._keys.shape:
            self._keys = _grown(self._keys, (width, rows))

    def _write(self, row: int, record: Record, traits: Traits) -> None:
        record.table = self
        record.row = row
        self._expires_at[row] = record.expires_at
        self._updated_at[row] = record.updated_at
        self._bytes[row] = traits.bytes
        self._numbers[row] = record.number
        keys = traits.keys
        self._keys[: len(keys), row] = keys
        self._keys[len(keys) :, row] = _NO_KEY
        self._overflows |= _OVERFLOW_KEY in keys
        self.next_expiry = min(self.next_expiry, record.expires_at)

    # Expiry

    def size(self, now: float) -> int:
        """Return the number of records that have not expired."""
        expired = self._expired(now)
        return len(self.records) - (0 if expired is None else int(np.count_nonzero(expired)))

    def bytes(self, now: float) -> int:
        """Return how many bytes the records take that have not expired."""
        taken = self._bytes[: len(self.records)]
        expired = self._expired(now)
        return int(taken.sum() if expired is None else taken[~expired].sum())

    def expired(self, now: float, limit: int | None = None) -> list[Record]:
        """Return the records that have expired, or some of them."""
        mask = self._expired(now)
        rows = np.flatnonzero(mask)[:limit] if mask is not None else np.empty(0, np.intp)
        return [self.records[row] for row in row_numbers(rows)]

    def update_next_expiry(self) -> None:
        """Compute `next_expiry` anew."""
        self.next_expiry = float(self._expires_at[: len(self.records)].min(initial=math.inf))

    def _expired(self, now: float) -> Mask | None:
        """Return a flag for each row, or None if no record has expired."""
        if not has_expired(self.next_expiry, now):
            return None
        return have_expired(self._expires_at[: len(self.records)], now)

    # Searching

    def search(
        self, vectors: Vectors, searches: Sequence[TopSearch], leasts: Sequence[float], lowest: bool
    ) -> Search:
        """Begin some searches.

        Args:
            vectors: What is searched for, shape (searches, dimensions).
            searches: The searches.
            leasts: For each of them, the least cosine of a hit.
            lowest: Whether entries of a lower cosine are wanted, too.
        """
        wanted: list[Wanted] = []
        for search, least in zip(searches, leasts, strict=True):
            rows, filtered = None, False
            if search.attributes:
                if len(searches) == 1:
                    rows = self._preselected(search.attributes)
                filtered = rows is None
            lowest_score = _LOWEST if lowest else least
            wanted.append(Wanted(search.limit, lowest_score, least, rows, filtered, search.nearest))
        return self.index.search(vectors, wanted)

    def _preselected(self, attributes: Mapping[str, str]) -> Rows | None:
        """Return the rows that have the attributes; None if filtering what is found is faster."""
        if self.index.has_lists:
            rows = len(self.records)
            sample = np.arange(0, rows, -(-rows // _SAMPLE))
            share = float(self._matching(attributes, sample).mean())
            if rows * (1 + _PRODUCT_COST * share) >= self.index.tuning.rows_filtered:
                return None
        return self._matching(attributes).nonzero()[0]

    def drop_expired(self, search: Search, now: float) -> None:
        """Drop the records that have expired from what searches have found."""
        search.found = [
            found.only(~have_expired(self._expires_at[found.rows], now)) for found in search.found
        ]

    def best(self, search: Search, number: int, asked: TopSearch) -> list[Nearest]:
        """Return the best of what was found for one search.

        Args:
            search: The searches, which have run.
            number: The number of the search.
            asked: The search.
        """
        found, wanted = search.found[number], search.wanted[number]
        if wanted.filtered and asked.attributes:
            found = found.only(self._matching(asked.attributes, found.rows))
        asked_vector = search.vectors[number]
        while len(found.rows):
            rows = self.index.contenders(search, number, found, TIE)
            if len(rows) == 1:
                # By far the most common case. It comes to the same as the other one.
                record = self.records[int(rows[0])]
                vector = self.index.vector(record.row)
                score = float(vector.dot(asked_vector))
                is_wanted = wanted.nearest or score >= wanted.least
                nearest = [(record, vector, score)] if is_wanted else []
            else:
                scores = self.index.products(rows, asked_vector)
                order = best_rows(scores, self._updated_at[rows], wanted.limit, wanted.least)
                if wanted.nearest and not order:
                    order = [int(scores.argmax())]
                best = [(int(rows[each]), float(scores[each])) for each in order]
                nearest = [
                    (self.records[row], self.index.vector(row), score) for row, score in best
                ]
            if not asked.attributes:
                return nearest
            # Keys are equal by chance, or the row has changed during the search.
            wrong = [record.row for record, _, _ in nearest if not record.matches(asked.attributes)]
            if not wrong:
                return nearest
            found = found.only(~np.isin(found.rows, wrong))
        return []

    def exact(
        self, prompt: str, limit: int, attributes: Mapping[str, str] | None, now: float
    ) -> list[Record]:
        """Return the records of a prompt, the latest first."""
        wanted = folded(prompt)
        mask = self._keys[0, : len(self.records)] == _key(wanted)
        if attributes:
            mask &= self._matching(attributes)
        expired = self._expired(now)
        if expired is not None:
            mask &= ~expired
        rows = mask.nonzero()[0]
        if len(rows) > 1:
            rows = rows[(-self._updated_at[rows]).argsort(kind="stable")]
        found: list[Record] = []
        for record in map(self.records.__getitem__, row_numbers(rows)):
            if folded(record.prompt) == wanted and record.matches(attributes):
                found.append(record)
                if len(found) == limit:
                    break
        return found

    def with_attributes(self, attributes: Mapping[str, str]) -> list[Record]:
        """Return the records that have all the attributes (at least one), expired ones too."""
        rows = row_numbers(self._matching(attributes).nonzero()[0])
        return [
            record for record in map(self.records.__getitem__, rows) if record.matches(attributes)
        ]

    def listed(
        self,
        after: int | None,
        newest_first: bool,
        attributes: Mapping[str, str] | None,
        limit: int,
        now: float,
    ) -> list[Record]:
        """Return the records that come next in the order of their numbers.

        Args:
            after: The number of the record before them; None for none.
            newest_first: Whether the largest number comes first.
            attributes: Attributes that a record must have; by chance it does not.
            limit: How many records to return at most.
            now: The present moment.
        """
        numbers = self._numbers[: len(self.records)]
        order = -numbers if newest_first else numbers
        mask = self._matching(attributes) if attributes else np.ones(len(order), np.bool_)
        if after is not None:
            mask &= order > (-after if newest_first else after)
        expired = self._expired(now)
        if expired is not None:
            mask &= ~expired
        rows = mask.nonzero()[0]
        if len(rows) > limit:
            rows = rows[np.argpartition(order[rows], limit)[:limit]]
        return [self.records[row] for row in row_numbers(rows)]

    def _matching(self, attributes: Mapping[str, str], rows: Rows | None = None) -> Mask:
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
            for each in row_numbers((keys[0] == _OVERFLOW_KEY).nonzero()[0]):
                row = each if rows is None else rows[each]
                mask[each] = self.records[row].matches(attributes)
        return mask


def _key(value: Hashable) -> int:
    """Return 32 bits that are equal for equal values, and rarely for others."""
    return hash(value) % (2**32 - _FIRST_KEY) + _FIRST_KEY


_Column = TypeVar("_Column", bound=np.generic)


def _grown(column: NDArray[_Column], shape: tuple[int, ...]) -> NDArray[_Column]:
    """Return a copy of a column with more room, zero where it is new."""
    grown = np.zeros(shape, column.dtype)
    grown[tuple(slice(length) for length in column.shape)] = column
    return grown
