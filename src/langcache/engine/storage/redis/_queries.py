"""The queries for the nearest vectors, packed as the protocol sends them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from langcache.engine.storage.redis._codec import entry_fields
from langcache.engine.storage.redis._keys import vector_field

_KEPT = 128


class Command(NamedTuple):
    """A command to send.

    Attributes:
        parts: Its name and its arguments.
        packed: The same in the form that is sent; None if the client has to pack it.
    """

    parts: tuple[bytes, ...]
    packed: bytes | None = None


class Nearest(NamedTuple):
    """What a query for the nearest vectors depends on, besides the vector.

    Attributes:
        index_name: The name of the index.
        dimensions: The width of the vectors.
        scope: The token of the scope.
        condition: What else the entries meet, as a query; empty for nothing.
        limit: How many entries to return at most.
        options: Options of the search, each after a space.
        milliseconds: How long the search may take.
    """

    index_name: bytes
    dimensions: int
    scope: bytes
    condition: bytes
    limit: int
    options: bytes
    milliseconds: bytes

    def command(self, vector: bytes) -> Command:
        """Return the command for a vector, float32 in little-endian order."""
        before, after, packed_before, packed_after = _around(self)
        packed = b"".join((packed_before, vector, packed_after))
        return Command((*before, vector, *after), packed)


@lru_cache(maxsize=_KEPT)
def _around(nearest: Nearest) -> tuple[tuple[bytes, ...], tuple[bytes, ...], bytes, bytes]:
    """Return the arguments before and after the vector, and both packed."""
    dimensions, count = nearest.dimensions, b"%d" % nearest.limit
    field = vector_field(dimensions)
    knn = b"KNN %b @%b $vector%b AS distance" % (count, field, nearest.options)
    before = (
        *(b"FT.SEARCH", nearest.index_name),
        b"(@scope:{%b} %b)=>[%b]" % (nearest.scope, nearest.condition, knn),
        *(b"PARAMS", b"2", b"vector"),
    )
    after = (
        *(b"SORTBY", b"distance", b"ASC"),
        *(b"LIMIT", b"0", count),
        *returned(dimensions),
        *limits(nearest.milliseconds),
    )
    start = b"*%d\r\n%b$%d\r\n" % (len(before) + 1 + len(after), _packed(before), 4 * dimensions)
    return before, after, start, b"\r\n" + _packed(after)


def _packed(parts: tuple[bytes, ...]) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in parts)


@lru_cache(maxsize=16)
def returned(dimensions: int) -> tuple[bytes, ...]:
    """Return what a query says of the fields that it returns."""
    fields = entry_fields(dimensions)
    return b"RETURN", b"%d" % len(fields), *fields


def limits(milliseconds: bytes) -> tuple[bytes, ...]:
    """Return the end of every query: how long it may take, and the version of the language."""
    return b"TIMEOUT", milliseconds, b"DIALECT", b"2"
