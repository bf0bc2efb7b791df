"""An approximate index over the vectors of a large `VectorIndex`, and the thread that builds it."""

from __future__ import annotations

import atexit
import importlib
import logging
import math
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from langcache.engine.index import Rows, VectorIndex, Vectors

LEAST_ROWS = 30_000
"""An index with more rows than this gets a graph, and loses it with less than half of them."""

QUANTISED = 0.01
"""Scores of the graph, whose vectors have 8 bits for each number, are off by less than this."""

LARGEST_TAIL = 256
"""With so many vectors that the graph does not have, it is time to add them."""

GONE = -1
"""Stands for the row of a slot that belongs to none."""

_BATCH = 32
_CONNECTIVITY = 24
_EXPANSION_ADD = 128
# So many candidates are followed in a search among 100,000 vectors, and more among more: else it
# would find fewer and fewer of the nearest. There is a limit, for the sake of time.
_EXPANSION_SEARCH = 192
_LARGEST_EXPANSION_SEARCH = 512
_logger = logging.getLogger(__name__)


class Graph:
    """An HNSW graph over vectors that may change places.

    Each vector that is written, into whichever row, gets the next *slot*, a number that stays the
    same when the vector moves to another row. The graph knows vectors by their slots only. What
    is removed or replaced stays in it, and its slot belongs to no row any more. Slots are added
    to the graph in their order, so those from one slot on, the *tail*, are not in it yet.

    The caller holds a lock around every call, but not around `add` and `search`, where the time
    goes. Those may be called from any thread.

    Args:
        dimensions: Width of every vector.
        rows: How many rows there are.
    """

    def __init__(self, dimensions: int, rows: int) -> None:
        self._slots = np.arange(rows, dtype=np.intp)  # of each row
        self._rows = np.arange(rows, dtype=np.intp)  # of each slot
        self._next_slot = rows
        self._tail_start = 0
        self._dimensions = dimensions
        self._graph: Any = None
        self._size = 0
        self._growing = False
        # usearch does one thing at a time with one index, but lets the builder have it again and
        # again while searches wait. With two locks the builder waits for its turn like everybody.
        self._queue = threading.Lock()
        self._access = threading.Lock()

    def append(self, row: int, count: int) -> None:
        """Note vectors in new rows from a row on."""
        end = self._next_slot + count
        self._slots = _with_room(self._slots, row + count)
        self._rows = _with_room(self._rows, end)
        self._slots[row : row + count] = np.arange(self._next_slot, end)
        self._rows[self._next_slot : end] = np.arange(row, row + count)
        self._next_slot = end

    def replace(self, row: int) -> None:
        """Note another vector in a row."""
        self._rows[self._slots[row]] = GONE
        self.append(row, 1)

    def remove(self, rows: Rows, sources: Rows, targets: Rows) -> None:
        """Note that rows are gone and some of the last ones have moved, as `VectorIndex.remove`."""
        self._rows[self._slots[rows]] = GONE
        moved = self._slots[sources]
        self._rows[moved] = targets
        self._slots[targets] = moved

    def gone(self, rows: int) -> int:
        """Return how many slots belong to no row, when there are so many rows."""
        return self._next_slot - rows

    @property
    def tail_length(self) -> int:
        """How many slots are not in the graph, counting those that belong to no row."""
        return self._next_slot - self._tail_start

    def tail(self) -> Rows:
        """Return the rows of the tail, in any order, and some `GONE` among them."""
        return np.array(self._rows[self._tail_start : self._next_slot])

    def rows(self, slots: Rows) -> Rows:
        """Return the rows of those slots that belong to one."""
        rows = self._rows[slots]
        return rows[rows != GONE]

    def next_batch(self) -> tuple[Rows, Rows, int]:
        """Return what to add next.

        Returns:
            (slots, rows, end): some slots, their rows, and where the tail starts when they have
            been added.
        """
        # Skipping slots that are gone takes next to no time, so many of them may be in between.
        ahead = self._rows[self._tail_start : min(self._next_slot, self._tail_start + 64 * _BATCH)]
        found = np.flatnonzero(ahead != GONE)[:_BATCH]
        end = self._tail_start + (int(found[-1]) + 1 if len(found) == _BATCH else len(ahead))
        return found + self._tail_start, ahead[found], end

    def added(self, end: int) -> None:
        """Note that the tail starts at a slot."""
        self._tail_start = end

    def add(self, slots: Rows, vectors: Vectors) -> None:
        """Add vectors of shape (slots, dimensions); a search that waits goes between any two."""
        if self._graph is None:
            self._graph = _new_graph(self._dimensions)
        for slot, vector in zip(slots, _quantised(vectors), strict=True):
            with self._queue:
                self._access.acquire()
            try:
                # usearch doubles its tables, which takes 0.1 s at half a million vectors.
                self._growing = self._size >= self._graph.capacity
                self._graph.add(int(slot), vector, threads=1)
                self._size += 1
            finally:
                self._growing = False
                self._access.release()

    def search(self, query: Vectors, count: int) -> tuple[Rows, float] | None:
        """Find the slots nearest to a vector, of which some may belong to no row.

        Args:
            query: Vector of shape (dimensions,).
            count: How many to find.

        Returns:
            (slots, edge): what is not among the slots scores less than `edge + QUANTISED`, as far
            as the graph knows. None when there is no telling at the moment.
        """
        if self._growing or self._size == 0:
            return None
        quantised = _quantised(query)
        with self._queue:
            self._access.acquire()
        try:
            size = self._size
            self._graph.expansion_search = _expansion(size)
            found = self._graph.search(quantised, count, threads=1)
        finally:
            self._access.release()
        slots = found.keys.astype(np.intp)
        if len(slots) < min(count, size):
            return None
        edge = 1.0 - float(found.distances[-1]) if len(slots) < size else -np.inf
        return slots, edge


class GraphBuilder:
    """Builds the graphs of a storage's indexes, in a thread that lives as long as there is work.

    Args:
        lock: Held by the storage around every call to an index.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._indexes: deque[VectorIndex] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def request(self, index: VectorIndex) -> None:
        """Ask for an index to be worked on; the caller holds the lock."""
        if self._closed:
            return
        if index not in self._indexes:
            self._indexes.append(index)
        # In a forked process the thread of its parent is not alive.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=_build, args=(weakref.ref(self),), name="langcache-graph", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:
                # The process ends, or may not have more threads. Search stays exact.
                self._thread = None

    def close(self) -> None:
        """Stop, and wait for the thread; the caller does not hold the lock."""
        with self._lock:
            self._closed = True
            self._indexes.clear()
            thread = self._thread
        if thread and thread is not threading.current_thread():
            thread.join()

    def step(self) -> bool:
        """Do some milliseconds of work; return whether there may be more."""
        with self._lock:
            while self._indexes:
                index = self._indexes[0]
                batch = index.next_batch()
                if batch:
                    break
                self._indexes.popleft()
            else:
                # Under the lock, so that nobody relies on a thread that is about to end.
                self._thread = None
                return False
        graph, slots, vectors, end = batch
        try:
            graph.add(slots, vectors)
        except Exception:
            _logger.exception("cannot build an index, so searches stay exact and slow")
            with self._lock:
                self._closed = True
                self._indexes.clear()
                self._thread = None
            return False
        with self._lock:
            graph.added(end)
        return True


def _build(builder: weakref.ref[GraphBuilder]) -> None:
    """Work as long as there is work and a builder; keep neither alive between two steps."""
    while True:
        with _building:
            present = None if _ended else builder()
            if present is None or not present.step():
                return
            del present


# Held during a step: one thread of the process builds at a time, and none when it forks or ends,
# as a child would find the locks taken, and a thread that is in usearch at the end would crash.
_building = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_building.acquire,
        after_in_parent=_building.release,
        after_in_child=_building.release,
    )
_ended = False


@atexit.register
def _end() -> None:
    global _ended  # noqa: PLW0603 - the process ends once
    with _building:
        _ended = True


def _new_graph(dimensions: int) -> Any:
    # Imported here because few caches need it.
    usearch = cast("Any", importlib.import_module("usearch.index"))
    return usearch.Index(
        ndim=dimensions,
        metric="cos",
        dtype="i8",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
    )


def _expansion(size: int) -> int:
    scaled = int(_EXPANSION_SEARCH * math.sqrt(size / 100_000))
    return min(max(scaled, _EXPANSION_SEARCH), _LARGEST_EXPANSION_SEARCH)


def _quantised(vectors: Vectors) -> NDArray[np.int8]:
    """Return vectors with 8 bits for each number; cosines do not mind that lengths differ."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    return np.rint(vectors * (127.0 / largest)).astype(np.int8)


def _with_room(column: Rows, length: int) -> Rows:
    """Return a column of at least a length, which may be the column itself."""
    if len(column) >= length:
        return column
    grown = np.empty(length + length // 8 + 64, column.dtype)
    grown[: len(column)] = column
    return grown
