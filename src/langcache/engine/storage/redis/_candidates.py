"""What the query engine has found for a vector: ranked here, and decoded only if it is returned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from langcache.engine._utf8 import decoded
from langcache.engine.expiry import has_expired
from langcache.engine.storage.ranking import TIE, best_of_few
from langcache.engine.storage.redis._codec import (
    VECTOR,
    DamagedError,
    entry_of,
    updated_at_of,
)
from langcache.engine.storage.redis._keys import vector_field
from langcache.engine.storage.redis._local_copy import warn_of_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from langcache.engine.storage.entry import CacheEntry, Scope

Document: TypeAlias = tuple[bytes, Mapping[bytes, bytes]]
"""A key and the fields that were found under it; none if the key has expired since."""


class Candidates:
    """The entries in a scope that the engine has found for a vector.

    Args:
        found: The documents.
        prefix: What the keys of entries in the scope's namespace begin with.
        scope: The scope.
        embedding: The vector.
        now: The present moment, in seconds since the epoch.
    """

    def __init__(
        self,
        found: Iterable[Document],
        prefix: bytes,
        scope: Scope,
        embedding: NDArray[np.float32],
        now: float,
    ) -> None:
        self._scope = scope
        self._prefix = prefix
        self._dimensions = len(embedding)
        self._now = now
        name = vector_field(self._dimensions)

        def cosines() -> list[float]:
            return [
                float(np.frombuffer(fields[name], VECTOR).dot(embedding))
                for _, fields in self._documents
            ]

        self._documents = [document for document in found if document[1]]
        try:
            self._cosines = cosines()
        except (KeyError, ValueError):
            self._documents = [each for each in self._documents if self._has_vector(each)]
            self._cosines = cosines()
        self.least_cosine: float = min(self._cosines, default=math.inf)
        """The cosine of the farthest."""
        self.are_equal: bool = self.least_cosine >= max(self._cosines, default=math.inf) - TIE
        """Whether all are equally similar."""
        self.has_others = False
        """Whether some are known not to be wanted."""

    def best(
        self, limit: int, least: float, accepts: Callable[[CacheEntry], bool]
    ) -> list[tuple[CacheEntry, float]]:
        """Return the best entries and their cosines, in the order of `search_top`.

        Args:
            limit: How many to return at most.
            least: The least cosine.
            accepts: Says whether an entry is wanted.
        """
        rows = range(len(self._documents))
        best = best_of_few(self._cosines, self._updated_at, rows, limit, least)
        entries = {row: self._entry(row, accepts) for row in best}
        if not all(entries.values()):
            entries |= {row: self._entry(row, accepts) for row in rows if row not in entries}
            good = [row for row in rows if entries[row]]
            best = best_of_few(self._cosines, self._updated_at, good, limit, least)
        return [(entry, self._cosines[row]) for row in best if (entry := entries[row])]

    def _has_vector(self, document: Document) -> bool:
        """Return whether a document has a vector of the right width; warn if not."""
        vector = document[1].get(vector_field(self._dimensions), b"")
        if len(vector) == self._dimensions * VECTOR.itemsize:
            return True
        warn_of_damage(self._scope.namespace)
        return False

    def _entry(self, row: int, accepts: Callable[[CacheEntry], bool]) -> CacheEntry | None:
        """Return the entry in a document, unless it has expired or is not wanted."""
        entry = entry_in(self._documents[row], self._prefix, self._scope, self._dimensions)
        if entry is not None and has_expired(entry.expires_at, self._now):
            return None
        if entry is None or not accepts(entry):
            self.has_others = True
            return None
        return entry

    def _updated_at(self, row: int) -> float:
        try:
            return updated_at_of(self._documents[row][1])
        except DamagedError:
            return -math.inf


def entry_in(document: Document, prefix: bytes, scope: Scope, dimensions: int) -> CacheEntry | None:
    """Return the entry in a document of a scope; None, after a warning, if it is no entry.

    Args:
        document: The key and the fields.
        prefix: What the keys of entries in the scope's namespace begin with.
        scope: The scope.
        dimensions: The width of its vectors.
    """
    key, fields = document
    try:
        if not key.startswith(prefix):
            raise DamagedError
        return entry_of(scope, decoded(key[len(prefix) :]), dimensions, fields)
    except (DamagedError, UnicodeDecodeError):
        warn_of_damage(scope.namespace)
        return None
