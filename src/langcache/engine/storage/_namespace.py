"""The entries of one namespace in memory: its records and the tables of its scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from langcache.engine.expiry import has_expired
from langcache.engine.storage._scope_table import Record, ScopeTable, Traits
from langcache.engine.storage.base import check_embedding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langcache.engine.search.arrays import Vectors
    from langcache.engine.search.index import VectorIndex
    from langcache.engine.storage._usage import Usage
    from langcache.engine.storage.entry import Scope


class Namespace:
    """The records of a namespace by id, in the order they were first stored, and its tables.

    Args:
        name: The namespace.
        make_index: Takes a number of dimensions and returns an empty index.
        usage: Counts the records, or None.
    """

    def __init__(
        self, name: str, make_index: Callable[[int], VectorIndex], usage: Usage | None = None
    ) -> None:
        self.name = name
        self._usage = usage
        self.records: dict[str, Record] = {}
        self.tables: dict[Scope, ScopeTable] = {}
        self._make_index = make_index

    def begin_table(self, scope: Scope, dimensions: int) -> ScopeTable:
        """Begin a table for a scope that has none, or has a table of other dimensions."""
        table = self.tables[scope] = ScopeTable(scope, self._make_index(dimensions))
        return table

    def size(self, now: float) -> int:
        """Return the number of entries."""
        return sum(table.size(now) for table in self.tables.values())

    def bytes(self, now: float) -> int:
        """Return how many bytes the entries take."""
        return sum(table.bytes(now) for table in self.tables.values())

    def store(
        self, record: Record, scope: Scope, traits: Traits, vector: Vectors, now: float
    ) -> ScopeTable | None:
        """Store a record, in place of the one of its id, and return its table if it is new."""
        old = self.records.get(record.id)
        if old and has_expired(old.expires_at, now):
            self.remove([old])
            old = None
        table = self.tables.get(scope)
        if table and table.index.dimensions != len(vector):
            self.remove(table.expired(now))
            if table.records:
                check_embedding(vector, table.index.dimensions)
            table = None
        if old:
            record.first = old.first
        if old and table and old.table is table:
            table.replace(old.row, record, traits, vector)
            self._keep(record, len(vector), old)
            return None
        target = table or self.begin_table(scope, len(vector))
        target.extend([(record, traits)], vector[np.newaxis])
        self._keep(record, len(vector), old)
        if old:
            self._remove_rows(old.table, [old.row])
        return None if table else target

    def add(
        self, table: ScopeTable, rows: Sequence[tuple[Record, Traits]], vectors: Vectors
    ) -> None:
        """Store records of new ids in a table."""
        table.extend(rows, vectors)
        for record, _ in rows:
            self._keep(record, table.index.dimensions, None)

    def _keep(self, record: Record, dimensions: int, old: Record | None) -> None:
        self.records[record.id] = record
        if self._usage:
            if old:
                self._usage.remove(old)
            self._usage.add(record, dimensions)

    def remove(self, records: Sequence[Record]) -> None:
        """Remove records."""
        rows: dict[ScopeTable, list[int]] = {}
        for record in records:
            del self.records[record.id]
            if self._usage:
                self._usage.remove(record)
            rows.setdefault(record.table, []).append(record.row)
        for table, table_rows in rows.items():
            self._remove_rows(table, table_rows)

    def with_attributes(self, attributes: Mapping[str, str]) -> list[Record]:
        """Return the records that have all the attributes (at least one), expired ones too."""
        return [
            record for table in self.tables.values() for record in table.with_attributes(attributes)
        ]

    def listed(
        self,
        after: int | None,
        newest_first: bool,
        attributes: Mapping[str, str] | None,
        limit: int,
        now: float,
    ) -> list[Record]:
        """Return the records that come next in the order of their numbers, as a table does it."""
        found = [
            record
            for table in self.tables.values()
            for record in table.listed(after, newest_first, attributes, limit, now)
        ]
        found.sort(key=lambda record: record.number, reverse=newest_first)
        return found[:limit]

    def clear(self) -> None:
        """Remove all records."""
        if self._usage:
            for record in self.records.values():
                self._usage.remove(record)
        for table in self.tables.values():
            table.clear()
        self.records = {}
        self.tables = {}

    def _remove_rows(self, table: ScopeTable, rows: Sequence[int]) -> None:
        table.remove(rows)
        if not table.records:
            del self.tables[table.scope]
