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
    """A search for the nearest vectors, but for the vector.

    Attributes:
        start: The parts of the command before the vector.
        end: Those after it.
        packed_start: The first, in the form that is sent, and the size of the vector.
        packed_end: The second.
    """

    start: tuple[bytes, ...]
    end: tuple[bytes, ...]
    packed_start: bytes
    packed_end: bytes

    def command(self, vector: bytes) -> Command:
        """Return the command that searches for a vector, float32 in little-endian order."""
        packed = b"%b%b%b" % (self.packed_start, vector, self.packed_end)
        return Command((*self.start, vector, *self.end), packed)


@lru_cache(maxsize=256)
def nearest(
    index: bytes,
    dimensions: int,
    limit: int,
    options: bytes,
    milliseconds: int,
    scope: bytes,
    condition: bytes,
) -> VectorSearch:
    """Return a search for the nearest vectors.

    Args:
        index: The name of the index.
        dimensions: The width of the vectors.
        limit: How many entries to return at most.
        options: Options of the search, each after a space.
        milliseconds: How long it may take.
        scope: The token of the scope.
        condition: What else the entries meet, as a query; empty for nothing.
    """
    end, packed_end = _end(dimensions, limit, milliseconds)
    query = b"(@scope:{%b} %b)=>[KNN %d @%b $vector%b AS distance]" % (
        *(scope, condition, limit, vector_field(dimensions), options),
    )
    start = (b"FT.SEARCH", index, query, b"PARAMS", b"2", b"vector")
    packed_start = b"*%d\r\n%b$%d\r\n" % (
        *(len(start) + 1 + len(end), _packed(start), 4 * dimensions),
    )
    return VectorSearch(start, end, packed_start, packed_end)


@lru_cache(maxsize=64)
def _end(dimensions: int, limit: int, milliseconds: int) -> tuple[tuple[bytes, ...], bytes]:
    """Return what follows the vector, and the same in the form that is sent."""
    end = (
        *(b"SORTBY", b"distance", b"ASC"),
        *(b"LIMIT", b"0", b"%d" % limit),
        *returned(dimensions),
        *limits(milliseconds),
    )
    return end, b"\r\n%b" % _packed(end)


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
