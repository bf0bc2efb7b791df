"""What the entries in memory take, which of them were used last, and how many may stay."""

from __future__ import annotations

import sys
from collections import OrderedDict
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

from langcache.engine.storage.entry import StorageUsage
from langcache.engine.storage.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from langcache.engine.storage._scope_table import Record

# Measured: the record, its places in the tables and in the order of use, and what the allocator
# adds.
_OVERHEAD_BYTES = 600
# A vector and its codes take 5 bytes per dimension; tables have up to an eighth to spare.
_BYTES_PER_DIMENSION = 6


class Usage:
    """The entries of a storage in the order of their use, and the limits of their number and size.

    Not thread-safe.

    Args:
        max_entries: The largest number of entries; None for no limit.
        max_bytes: The most bytes that they may take; None for no limit.

    Raises:
        TypeError: A limit is not an int.
        ValueError: A limit is below 1.
    """

    def __init__(self, max_entries: int | None, max_bytes: int | None) -> None:
        self._max_entries = _checked("max_entries", max_entries)
        self._max_bytes = _checked("max_bytes", max_bytes)
        self._costs: OrderedDict[Record, int] = OrderedDict()
        self._bytes = 0
        self._evictions = 0
        self._suspended = False

    def snapshot(self) -> StorageUsage:
        """Return the numbers of this moment."""
        return StorageUsage(
            entries=len(self._costs),
            bytes=self._bytes,
            max_entries=None if self._suspended else self._max_entries,
            max_bytes=None if self._suspended else self._max_bytes,
            evictions=self._evictions,
        )

    def add(self, record: Record, dimensions: int) -> None:
        """Count a record that was stored, which is a use of it."""
        cost = _cost(record, dimensions)
        self._costs[record] = cost
        self._bytes += cost

    def remove(self, record: Record) -> None:
        """Count a record no more."""
        self._bytes -= self._costs.pop(record, 0)

    def use(self, record: Record) -> None:
        """Make a record the one that was used last."""
        if record in self._costs:
            self._costs.move_to_end(record)

    def order_by_update(self) -> None:
        """Take the records for used when they were stored or changed last."""
        items = sorted(self._costs.items(), key=lambda item: item[0].updated_at)
        self._costs = OrderedDict(items)

    def suspend(self) -> None:
        """Apply no limits any more."""
        self._suspended = True

    def evict(self, number: int) -> None:
        """Count records that were removed to make room."""
        self._evictions += number

    def has_room(self, records: Sequence[Record], dimensions: int) -> bool:
        """Return whether some more records fit even if they replace no others."""
        size = sum(_cost(record, dimensions) for record in records)
        return not self._exceeds(len(self._costs) + len(records), self._bytes + size)

    def victims(
        self, entries: Iterable[tuple[Record, int]] = (), replaced: Iterable[Record] = ()
    ) -> list[Record]:
        """Return the records to remove so that some more fit, those used longest ago first.

        Args:
            entries: The records to be stored, and the numbers of their dimensions.
            replaced: The records that they replace, which are not removed.

        Raises:
            StorageFullError: The records do not fit alone.
        """
        new = [_cost(record, dimensions) for record, dimensions in entries]
        if self._exceeds(len(new), sum(new)):
            raise StorageFullError(
                f"storage: {len(new)} entries of {sum(new)} bytes are more than max_entries="
                f"{self._max_entries} and max_bytes={self._max_bytes} allow; nothing has changed"
            )
        kept = set(replaced)
        number = len(self._costs) - len(kept) + len(new)
        size = self._bytes - sum(self._costs.get(record, 0) for record in kept) + sum(new)
        found: list[Record] = []
        records: Iterator[tuple[Record, int]] = iter(self._costs.items())
        while self._exceeds(number, size):
            record, cost = next(records)
            if record not in kept:
                found.append(record)
                number, size = number - 1, size - cost
        return found

    def _exceeds(self, entries: int, size: int) -> bool:
        if self._suspended:
            return False
        too_many = self._max_entries is not None and entries > self._max_entries
        return too_many or (self._max_bytes is not None and size > self._max_bytes)


def _checked(name: str, limit: object) -> int | None:
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, SupportsIndex):
        raise TypeError(f"{name}: must be an int or None, got {type(limit).__name__}")
    number = index(limit)
    if number < 1:
        raise ValueError(f"{name}: must be at least 1, got {number}")
    return number


def _cost(record: Record, dimensions: int) -> int:
    texts = (record.id, record.prompt, record.response, *record.attributes)
    return (
        _OVERHEAD_BYTES
        + _BYTES_PER_DIMENSION * dimensions
        + sum(map(sys.getsizeof, texts))
        + 16 * len(record.attributes)
        + (0 if record.metadata is None else _size(dict(record.metadata)))
    )


def _size(value: object) -> int:
    """Return the size of a value of metadata, with what it holds."""
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return size + sum(_size(name) + _size(each) for name, each in items)
    if isinstance(value, (list, tuple, set, frozenset)):
        return size + sum(map(_size, cast("Iterable[object]", value)))
    return size
