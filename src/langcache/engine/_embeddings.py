"""The entries of an embeddings cache, the interface of their storage, and one in memory."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from langcache.engine._locks import fork_safe_lock
from langcache.engine._steps import Steps, arun, run
from langcache.engine._utf8 import encoded
from langcache.engine.expiry import has_expired, moment_of_expiry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

_T = TypeVar("_T")

_FIRST_SWEEP = 64


@dataclass(slots=True, eq=False, repr=False)
class EmbeddingRecord:
    """An entry. Only `expires_at` changes after it has been stored."""

    entry_id: str
    content: bytes | str
    model_name: str
    embedding: NDArray[np.floating[Any]]
    metadata: dict[str, Any] | None
    inserted_at: float = 0.0
    expires_at: float | None = None

    def entry(self) -> dict[str, Any]:
        """Return the entry as the cache returns it."""
        metadata = {} if self.metadata is None else {"metadata": copy.deepcopy(self.metadata)}
        return {
            "entry_id": self.entry_id,
            "content": self.content,
            "model_name": self.model_name,
            "embedding": self.embedding.tolist(),
            "inserted_at": self.inserted_at,
            **metadata,
        }

    def size(self) -> int:
        """Return the size of content and metadata, in UTF-8, and of the vector, in bytes."""
        content = self.content
        size = len(content if isinstance(content, bytes) else encoded(content))
        if self.metadata is not None:
            size += len(encoded(repr(self.metadata)))
        return size + self.embedding.nbytes


class EmbeddingsStore(Protocol):
    """A storage of records by key, without the expired ones."""

    def run(self, steps: Steps[_T]) -> _T:
        """Run an operation in the caller's thread."""
        ...

    async def arun(self, steps: Steps[_T]) -> _T:
        """Run an operation asynchronously."""
        ...

    def read(self, keys: list[str], ttl: int | None) -> Steps[list[EmbeddingRecord | None]]:
        """Return the record of each key, and restart their time to live with `ttl`, if any."""
        ...

    def write(self, records: Mapping[str, EmbeddingRecord]) -> Steps[None]:
        """Store records by key.

        Raises:
            ValueError: A record cannot be stored here. Nothing has changed in this case.
        """
        ...

    def are_there(self, keys: list[str], ttl: int | None = None) -> Steps[list[bool]]:
        """Return whether each key has a record; `ttl` is as in `read`."""
        ...

    def remove(self, keys: list[str]) -> Steps[None]:
        """Remove records."""
        ...

    def clear(self) -> Steps[None]:
        """Remove all records."""
        ...

    def totals(self) -> Steps[tuple[int, int]]:
        """Return the number of records and their total size in bytes."""
        ...

    def close(self) -> Steps[None]:
        """Close connections."""
        ...


class MemoryEmbeddings:
    """Records in memory. No operation blocks.

    Args:
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = fork_safe_lock()
        self._records: dict[str, EmbeddingRecord] = {}
        self._sweep_at = _FIRST_SWEEP

    def run(self, steps: Steps[_T]) -> _T:
        """Run an operation in the caller's thread."""
        return run(steps)

    async def arun(self, steps: Steps[_T]) -> _T:
        """Run an operation in the event loop, which no operation blocks."""
        return await arun(steps)

    def read(self, keys: list[str], ttl: int | None) -> Steps[list[EmbeddingRecord | None]]:
        """See `EmbeddingsStore`."""
        yield from ()
        with self._lock:
            return self._live(keys, ttl)

    def write(self, records: Mapping[str, EmbeddingRecord]) -> Steps[None]:
        """See `EmbeddingsStore`."""
        yield from ()
        with self._lock:
            self._records.update(records)
            if len(self._records) >= self._sweep_at:
                self._sweep()
                self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._records))

    def are_there(self, keys: list[str], ttl: int | None = None) -> Steps[list[bool]]:
        """See `EmbeddingsStore`."""
        yield from ()
        with self._lock:
            return [record is not None for record in self._live(keys, ttl)]

    def remove(self, keys: list[str]) -> Steps[None]:
        """See `EmbeddingsStore`."""
        yield from ()
        with self._lock:
            for key in keys:
                self._records.pop(key, None)

    def clear(self) -> Steps[None]:
        """See `EmbeddingsStore`."""
        yield from ()
        with self._lock:
            self._records.clear()

    def totals(self) -> Steps[tuple[int, int]]:
        """See `EmbeddingsStore`."""
        yield from ()
        with self._lock:
            self._sweep()
            return len(self._records), sum(record.size() for record in self._records.values())

    def close(self) -> Steps[None]:
        """Do nothing; the records stay."""
        yield from ()

    def _live(self, keys: list[str], ttl: int | None) -> list[EmbeddingRecord | None]:
        now = self._clock()
        found = [self._records.get(key) for key in keys]
        live = [
            record if record and not has_expired(record.expires_at, now) else None
            for record in found
        ]
        if ttl is not None:
            for record in live:
                if record is not None:
                    record.expires_at = moment_of_expiry(now, ttl)
        return live

    def _sweep(self) -> None:
        """Remove expired records."""
        now = self._clock()
        expired = [
            key for key, record in self._records.items() if has_expired(record.expires_at, now)
        ]
        for key in expired:
            del self._records[key]
