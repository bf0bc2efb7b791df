"""How often each entry was a hit, and when last."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_ENTRIES = 100_000


class HitCount(NamedTuple):
    """How often an entry was a hit.

    Attributes:
        hits: How often, since this process counts it.
        last_hit_at: When it was one last, in seconds since the epoch.
    """

    hits: int
    last_hit_at: float


class HitCounts:
    """The hits of the entries that were hits most recently, in this process since its start.

    Not thread-safe: for the event loop. An entry that is deleted and stored again keeps its count.

    Args:
        most: For how many entries to count; beyond, the one that was a hit least recently goes.
    """

    def __init__(self, most: int = _MOST_ENTRIES) -> None:
        self._most = most
        self._counts: OrderedDict[tuple[str, str], HitCount] = OrderedDict()

    def add(self, cache_id: str, entry_ids: Iterable[str], now: float) -> None:
        """Count a hit for each of some entries."""
        for entry_id in entry_ids:
            place = cache_id, entry_id
            known = self._counts.pop(place, None)
            self._counts[place] = HitCount(known.hits + 1 if known else 1, now)
            if len(self._counts) > self._most:
                self._counts.popitem(last=False)

    def of(self, cache_id: str, entry_id: str) -> HitCount | None:
        """Return the count of an entry; None if it has none."""
        return self._counts.get((cache_id, entry_id))
