"""Commands that search, packed in part as the protocol sends them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from langcache.engine.storage.redis._codec import entry_fields
from langcache.engine.storage.redis._keys import vector_field


class Command(NamedTuple):
    """A command to send.

    Attributes:
        parts: Its name and its arguments.
        packed: The same in the form that is sent; None if the client has to pack it.
    """

    parts: tuple[bytes, ...]
    packed: bytes | None = None


class VectorSearch(NamedTuple):
    """What searches for the nearest vectors have in common.

    Attributes:
        nearest: The part of the query that is about the vector.
        start: The arguments before the query.
        middle: Those between it and the vector.
        end: Those after the vector.
        packed_start: The first, in the form that is sent.
        packed_middle: The second, and the size of the vector.
        packed_end: The third.
    """

    nearest: bytes
    start: tuple[bytes, ...]
    middle: tuple[bytes, ...]
    end: tuple[bytes, ...]
    packed_start: bytes
    packed_middle: bytes
    packed_end: bytes

    def command(self, scope: bytes, condition: bytes, vector: bytes) -> Command:
        """Return the command of one search.

        Args:
            scope: The token of the scope.
            condition: What else the entries meet, as a query; empty for nothing.
            vector: The vector, float32 in little-endian order.
        """
        query = b"(@scope:{%b} %b)=>%b" % (scope, condition, self.nearest)
        packed = b"%b$%d\r\n%b\r\n%b%b%b" % (
            *(self.packed_start, len(query), query),
            *(self.packed_middle, vector, self.packed_end),
        )
        return Command((*self.start, query, *self.middle, vector, *self.end), packed)


@lru_cache(maxsize=64)
def nearest(
    index: bytes, dimensions: int, limit: int, options: bytes, milliseconds: int
) -> VectorSearch:
    """Return what searches for the nearest vectors have in common.

    Args:
        index: The name of the index.
        dimensions: The width of the vectors.
        limit: How many entries to return at most.
        options: Options of the search, each after a space.
        milliseconds: How long a search may take.
    """
    start = (b"FT.SEARCH", index)
    middle = (b"PARAMS", b"2", b"vector")
    end = (
        *(b"SORTBY", b"distance", b"ASC"),
        *(b"LIMIT", b"0", b"%d" % limit),
        *returned(dimensions),
        *limits(milliseconds),
    )
    return VectorSearch(
        b"[KNN %d @%b $vector%b AS distance]" % (limit, vector_field(dimensions), options),
        *(start, middle, end),
        b"*%d\r\n%b" % (len(start) + len(middle) + len(end) + 2, _packed(start)),
        b"%b$%d\r\n" % (_packed(middle), 4 * dimensions),
        b"\r\n%b" % _packed(end),
    )


def _packed(parts: tuple[bytes, ...]) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in parts)


@lru_cache(maxsize=16)
def returned(dimensions: int) -> tuple[bytes, ...]:
    """Return what a search says of the fields that it returns."""
    fields = entry_fields(dimensions)
    return b"RETURN", b"%d" % len(fields), *fields


def limits(milliseconds: int) -> tuple[bytes, ...]:
    """Return how long a search may take and the version of its language, which are at the end."""
    return b"TIMEOUT", b"%d" % milliseconds, b"DIALECT", b"2"
