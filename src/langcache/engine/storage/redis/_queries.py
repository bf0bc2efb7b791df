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


class Nearest(NamedTuple):
    """Searches for the nearest vectors, which differ in the vector and in what they search.

    Attributes:
        index_name: The name of the index.
        dimensions: The width of the vectors.
        limit: How many entries to return at most.
        options: Options of the search, each after a space.
        milliseconds: How long a search may take.
    """

    index_name: bytes
    dimensions: int
    limit: int
    options: bytes
    milliseconds: bytes

    def command(self, scope: bytes, condition: bytes, vector: bytes) -> Command:
        """Return the command of one search.

        Args:
            scope: The token of the scope.
            condition: What else the entries meet, as a query; empty for nothing.
            vector: The vector, float32 in little-endian order.
        """
        around = _around(self)
        query = b"(@scope:{%b} %b)=>%b" % (scope, condition, around.nearest)
        packed = b"%b$%d\r\n%b%b%b%b" % (
            *(around.packed_start, len(query), query),
            *(around.packed_middle, vector, around.packed_end),
        )
        return Command((*around.start, query, *around.middle, vector, *around.end), packed)


class _Around(NamedTuple):
    """What is before the query, between it and the vector, and after the vector."""

    nearest: bytes
    start: tuple[bytes, ...]
    middle: tuple[bytes, ...]
    end: tuple[bytes, ...]
    packed_start: bytes
    packed_middle: bytes
    packed_end: bytes


@lru_cache(maxsize=64)
def _around(search: Nearest) -> _Around:
    limit, field = b"%d" % search.limit, vector_field(search.dimensions)
    start = (b"FT.SEARCH", search.index_name)
    middle = (b"PARAMS", b"2", b"vector")
    end = (
        *(b"SORTBY", b"distance", b"ASC"),
        *(b"LIMIT", b"0", limit),
        *returned(search.dimensions),
        *limits(search.milliseconds),
    )
    return _Around(
        b"[KNN %b @%b $vector%b AS distance]" % (limit, field, search.options),
        *(start, middle, end),
        b"*%d\r\n%b" % (len(start) + len(middle) + len(end) + 2, _packed(start)),
        b"\r\n%b$%d\r\n" % (_packed(middle), 4 * search.dimensions),
        b"\r\n%b" % _packed(end),
    )


def _packed(parts: tuple[bytes, ...]) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in parts)


@lru_cache(maxsize=16)
def returned(dimensions: int) -> tuple[bytes, ...]:
    """Return what a search says of the fields that it returns."""
    fields = entry_fields(dimensions)
    return b"RETURN", b"%d" % len(fields), *fields


def limits(milliseconds: bytes) -> tuple[bytes, ...]:
    """Return how long a search may take and the version of its language, which are at the end."""
    return b"TIMEOUT", milliseconds, b"DIALECT", b"2"
