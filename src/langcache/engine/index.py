"""Nearest-neighbour search over float32 vectors: arrays in, arrays out.

A score here is the plain dot product of two vectors of unit length, so a cosine in [-1, 1]; what
it means as a similarity is for the callers to say.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from langcache.engine import hnsw

if TYPE_CHECKING:
    from collections.abc import Iterator

Vectors: TypeAlias = NDArray[np.float32]
Rows: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]

EXCLUDED = float("-inf")
"""The score of a row that is not a candidate."""

TIE = 2e-6
"""Scores this close are equal: the same two vectors give sums that differ in the last bits from
one place in memory to another."""

_BLOCK_BYTES = 16 * 2**20
_SMALL_NUMBERS = 2**19
_GATHER_SHARE = 0.2
_LARGEST_TAIL_SHARE = 1 / 16
_LARGEST_PROBE_SHARE = 1 / 64
_TAIL_OF_OLD_GRAPH = 2048
_MOST_CHANGES = 1024
_STALL_SECONDS = 0.002
_SHORTEST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 1.0


class VectorIndex:
    """Vectors of one width, numbered by row from 0, without gaps.

    The vectors lie in blocks of 16 MiB, of which only the last one grows, by an eighth of the
    whole: adding a vector never copies more than one block, and at most an eighth of the memory
    is spare.

    There are two ways to search. A `Scan` scores every row; of a small index, `scores_now` does
    the same at once. A `Probe` asks a graph, which a large index has when it has been given
    somebody to build it, and scores what the graph finds and what it does not have yet.

    An index is not thread-safe: its caller holds a lock around every call but `Scan.run` and
    `Probe.run`, which is where the time goes in a large index.

    Args:
        dimensions: Width of every vector.
        builder: Who builds the graph, or None for an index without one.
    """

    def __init__(self, dimensions: int, builder: hnsw.GraphBuilder | None = None) -> None:
        self.dimensions = dimensions
        self._block_rows = max(1, _BLOCK_BYTES // (4 * dimensions))
        self._blocks: list[Vectors] = []
        self._size = 0
        self._scans: list[Scan | Probe] = []
        self._builder = builder
        # The one to ask, and perhaps the one that will take its place.
        self._graphs: list[hnsw.Graph] = []

    def __len__(self) -> int:
        return self._size

    def append(self, vector: Vectors) -> None:
        """Add a vector of shape (dimensions,) as the last row; it is copied."""
        self._reserve()
        row = self._size
        self._size += 1
        self._write(row, vector)
        self._appended(row, 1)

    def extend(self, vectors: Vectors) -> None:
        """Add vectors of shape (rows, dimensions) as the last rows; they are copied."""
        added = 0
        while added < len(vectors):
            self._reserve(len(vectors) - added)
            number, offset = divmod(self._size, self._block_rows)
            room = self._blocks[number][offset:]
            part = vectors[added : added + len(room)]
            room[: len(part)] = part
            row = self._size
            for scan in self._scans:
                scan.changed.update(range(row, row + len(part)))
            self._size += len(part)
            added += len(part)
            self._appended(row, len(part))

    def _appended(self, row: int, count: int) -> None:
        for graph in self._graphs:
            graph.append(row, count)
        self._keep_graphs()

    def replace(self, row: int, vector: Vectors) -> None:
        """Put another vector, of shape (dimensions,), in a row; it is copied."""
        # An entry that gets a new response or TTL keeps its vector, and its place in the graph.
        if self._graphs and not np.array_equal(self.vector(row), vector):
            for graph in self._graphs:
                graph.replace(row)
            self._keep_graphs()
        self._write(row, vector)

    def _write(self, row: int, vector: Vectors) -> None:
        block, offset = divmod(row, self._block_rows)
        self._blocks[block][offset] = vector
        for scan in self._scans:
            scan.changed.add(row)

    def vector(self, row: int) -> Vectors:
        """Return a copy of one vector, shape (dimensions,)."""
        block, offset = divmod(row, self._block_rows)
        return self._blocks[block][offset].copy()

    def vectors(self) -> Vectors:
        """Return a copy of all vectors, shape (rows, dimensions)."""
        copy = np.empty((self._size, self.dimensions), np.float32)
        for start, block in self._filled():
            copy[start : start + len(block)] = block
        return copy

    def remove(self, rows: Rows) -> tuple[Rows, Rows]:
        """Remove rows; the last rows that remain move into the gaps.

        Args:
            rows: The rows to remove, ascending and distinct.

        Returns:
            (sources, targets) of equal length: row `sources[i]` is now row `targets[i]`. Whoever
            keeps other columns beside the index moves them alike and then cuts them to `len`.
        """
        kept = self._size - len(rows)
        stays = np.ones(len(rows), np.bool_)
        stays[rows[rows >= kept] - kept] = False
        sources = np.flatnonzero(stays) + kept
        targets = rows[rows < kept]
        for source, target in zip(row_numbers(sources), row_numbers(targets), strict=True):
            block, offset = divmod(source, self._block_rows)
            self._write(target, self._blocks[block][offset])
        self._size = kept
        del self._blocks[-(-kept // self._block_rows) :]
        for graph in self._graphs:
            graph.remove(rows, sources, targets)
        self._keep_graphs()
        return sources, targets

    def clear(self) -> None:
        """Remove all rows."""
        self._size = 0
        self._blocks = []
        self._graphs = []

    def scan(self, query: Vectors, candidates: Mask | None = None) -> Scan:
        """Begin to score every row against a vector.

        Args:
            query: Vector of shape (dimensions,).
            candidates: One flag for each row, or None for all; the others score `EXCLUDED`.
        """
        scan = Scan(self, query, list(self._filled()), candidates)
        self._scans.append(scan)
        return scan

    @property
    def is_small(self) -> bool:
        """Whether to score every row takes no longer than some steps in Python."""
        numbers = self._size * self.dimensions
        return numbers <= _SMALL_NUMBERS and len(self._blocks) == 1 and not self._graphs

    def scores_now(self, query: Vectors, candidates: Mask | None = None) -> Vectors:
        """Score every row of a small index, which has one block, as `scan` and `scores` do."""
        scores = np.empty(self._size, np.float32)
        _score(self._blocks[0][: self._size], query, candidates, scores)
        return scores

    @property
    def has_graph(self) -> bool:
        """Whether there is a graph, which need not be complete."""
        return bool(self._graphs)

    def probe(self, query: Vectors, count: int) -> Probe | None:
        """Begin to look for the rows nearest to a vector; None when a scan is the way to do it.

        Args:
            query: Vector of shape (dimensions,).
            count: How many rows to ask the graph for.
        """
        if not self._graphs:
            return None
        graph = self._graphs[0]
        self._request_work()
        if graph.tail_length > _LARGEST_TAIL_SHARE * self._size:
            return None
        count += count * graph.gone(self._size) // self._size
        if count > _LARGEST_PROBE_SHARE * self._size:
            return None
        probe = Probe(graph, query, count, self._blocks.copy(), self._block_rows)
        self._scans.append(probe)
        return probe

    def end(self, scan: Scan | Probe) -> None:
        """Stop to record changes for a scan or a probe."""
        self._scans.remove(scan)

    def scores(self, scan: Scan) -> tuple[Vectors, Rows]:
        """Return what a scan has found, brought up to date.

        Returns:
            (scores, changed): the score of every row as the index is at this moment, and the rows
            that changed since the scan began. Those are scored whether or not they are
            candidates, as only the caller can tell.
        """
        scores = scan.found
        if not scan.changed and len(scores) == self._size:
            return scores, np.empty(0, np.intp)
        changed = np.array(sorted(row for row in scan.changed if row < self._size), np.intp)
        if len(scores) != self._size:
            # Every row beyond the length of the scan has been added since, so is in `changed`.
            found = scores[: self._size]
            scores = np.empty(self._size, np.float32)
            scores[: len(found)] = found
        for start, block in self._filled():
            first, last = np.searchsorted(changed, (start, start + len(block)))
            rows = changed[first:last]
            scores[rows] = _products(block[rows - start], scan.query)
        return scores, changed

    def candidates(self, probe: Probe) -> tuple[Rows, Vectors, float] | None:
        """Return what a probe has found, brought up to date.

        Returns:
            (rows, scores, edge): distinct rows and their scores, and the score that all other rows
            are below, as far as the graph knows. None when only a scan can tell.
        """
        # Nobody has told a graph that is no longer in use what has changed.
        if probe.found is None or probe.graph not in self._graphs:
            return None
        slots, edge = probe.found
        rows = probe.graph.rows(slots)
        if probe.changed:
            if len(probe.changed) > _MOST_CHANGES:
                return None
            changed = [row for row in probe.changed if row < self._size]
            rows = np.union1d(rows, np.array(changed, np.intp))
        scores = _products(self._gathered(rows), probe.query)
        if len(probe.tail):
            kept = probe.tail < self._size
            kept[probe.tail.searchsorted(rows[np.isin(rows, probe.tail)])] = False
            rows = np.concatenate((rows, probe.tail[kept]))
            scores = np.concatenate((scores, probe.tail_scores[kept]))
        return rows, scores, edge

    def next_batch(self) -> tuple[hnsw.Graph, Rows, Vectors, int] | None:
        """Return what to add next: the graph, slots, their vectors, and where its tail starts then.

        None when there is nothing to add.
        """
        if not self._graphs:
            return None
        newest = self._graphs[-1]
        if newest.tail_length <= hnsw.LARGEST_TAIL:
            self._graphs = [newest]
        graph = self._graphs[0]
        if graph.tail_length <= _TAIL_OF_OLD_GRAPH:
            graph = newest
        if not graph.tail_length:
            return None
        slots, rows, end = graph.next_batch()
        return graph, slots, self._gathered(rows), end

    def _keep_graphs(self) -> None:
        """Have graphs as the number of rows demands, and somebody at work on them if needed."""
        if self._builder is None:
            return
        if not self._graphs:
            if self._size <= hnsw.LEAST_ROWS:
                return
            self._graphs = [hnsw.Graph(self.dimensions, self._size)]
        elif self._size < hnsw.LEAST_ROWS // 2:
            self._graphs = []
        elif self._graphs[-1].gone(self._size) > self._size // 2:
            keeps_old = self._graphs[0].gone(self._size) <= 2 * self._size
            fresh = hnsw.Graph(self.dimensions, self._size)
            self._graphs = [self._graphs[0], fresh] if keeps_old else [fresh]
        self._request_work()

    def _request_work(self) -> None:
        if self._builder and any(graph.tail_length > hnsw.LARGEST_TAIL for graph in self._graphs):
            self._builder.request(self)

    def _gathered(self, rows: Rows) -> Vectors:
        """Return the vectors of some rows, shape (rows, dimensions)."""
        vectors = np.empty((len(rows), self.dimensions), np.float32)
        for place, row in enumerate(row_numbers(rows)):
            block, offset = divmod(row, self._block_rows)
            vectors[place] = self._blocks[block][offset]
        return vectors

    def _filled(self) -> Iterator[tuple[int, Vectors]]:
        """Yield (first row, filled part) of every block."""
        for number, block in enumerate(self._blocks):
            start = number * self._block_rows
            yield start, block[: self._size - start]

    def _reserve(self, count: int = 1) -> None:
        """Make room for one more row at least, and for `count` if they fit in one block."""
        number, offset = divmod(self._size, self._block_rows)
        if number < len(self._blocks):
            block = self._blocks[number]
            if offset < len(block):
                return
            rows = min(self._block_rows, offset + max(count, growth(self._size)))
            grown = np.empty((rows, self.dimensions), np.float32)
            grown[:offset] = block
            # A scan may be reading the old block: it stays as it is, and goes with its last reader.
            self._blocks[number] = grown
        else:
            rows = min(self._block_rows, max(count, growth(self._size)))
            self._blocks.append(np.empty((rows, self.dimensions), np.float32))


class Scan:
    """One pass over an index, made by `VectorIndex.scan`.

    `run` reads the vectors without the caller's lock. A row that is written meanwhile may be
    read half old and half new, so the index notes every row it changes while a scan is open, and
    `VectorIndex.scores` scores those again. The result is what a search under the lock would
    find at that moment, and nobody waits for the product.
    """

    def __init__(
        self,
        index: VectorIndex,
        query: Vectors,
        blocks: list[tuple[int, Vectors]],
        candidates: Mask | None,
    ) -> None:
        self.query = query
        self.changed: set[int] = set()
        self.found: NDArray[np.float32] = np.empty(len(index), np.float32)
        self._blocks = blocks
        self._candidates = candidates

    def run(self) -> None:
        """Score the rows the index had when the scan began."""
        for start, block in self._blocks:
            part = slice(start, start + len(block))
            candidates = None if self._candidates is None else self._candidates[part]
            _score(block, self.query, candidates, self.found[part])


class Probe:
    """A look at the graph of an index, made by `VectorIndex.probe`.

    `run` works without the caller's lock, as does `Scan.run`, and what is written meanwhile is
    noted and scored in the same way.
    """

    def __init__(
        self,
        graph: hnsw.Graph,
        query: Vectors,
        count: int,
        blocks: list[Vectors],
        block_rows: int,
    ) -> None:
        self.graph = graph
        self.query = query
        self.changed: set[int] = set()
        self.found: tuple[Rows, float] | None = None
        self.tail: Rows = graph.tail()
        self.tail_scores: Vectors = np.empty(0, np.float32)
        self._count = count
        self._blocks = blocks
        self._block_rows = block_rows

    def run(self) -> None:
        """Ask the graph, and score what it did not have when the probe began."""
        self.found = self.graph.search(self.query, self._count)
        self.tail = self.tail[self.tail != hnsw.GONE]
        if not self.found or not len(self.tail):
            return
        self.tail.sort(kind="stable")
        self.tail_scores = np.empty(len(self.tail), np.float32)
        numbers, offsets = np.divmod(self.tail, self._block_rows)
        ends = [*row_numbers(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1), len(numbers)]
        start = 0
        for end in ends:
            block = self._blocks[int(numbers[start])]
            first, last = int(offsets[start]), int(offsets[end - 1])
            # What has been added last mostly lies side by side, and need not be copied then.
            dense = last - first == end - start - 1
            part = block[first : last + 1] if dense else block[offsets[start:end]]
            _products(part, self.query, self.tail_scores[start:end])
            start = end


def best_rows(scores: Vectors, updated_at: NDArray[np.float64], limit: int, least: float) -> Rows:
    """Return the rows with the best scores, best first.

    Rows whose scores are within `TIE` of the best among them come latest update first.

    Args:
        scores: Shape (rows,); `EXCLUDED` for rows that are not candidates.
        updated_at: Shape (rows,), any unit.
        limit: How many rows to return at most.
        least: The lowest score to return; above `EXCLUDED`.
    """
    if limit == 1:
        # By far the most common call, and the only one that needs no list of all good rows.
        best = float(scores[scores.argmax()]) if len(scores) else EXCLUDED
        if best < least:
            return np.empty(0, np.intp)
        rows = (scores >= max(best - TIE, least)).nonzero()[0]
        latest = updated_at[rows].argmax() if len(rows) > 1 else 0
        return rows[latest : latest + 1]
    rows = (scores >= least).nonzero()[0]
    if len(rows) > limit:
        found = scores[rows]
        last = float(np.partition(found, len(found) - limit)[len(found) - limit])
        rows = rows[found >= last - TIE]
    descending = -scores[rows]
    order = descending.argsort(kind="stable")
    descending = descending[order]
    rows = rows[order]
    start = 0
    while start < min(limit, len(rows)):
        end = int(descending.searchsorted(float(descending[start]) + TIE, side="right"))
        tied = rows[start:end]
        rows[start:end] = tied[(-updated_at[tied]).argsort(kind="stable")]
        start = end
    return rows[:limit]


def _score(block: Vectors, query: Vectors, candidates: Mask | None, out: Vectors) -> None:
    """Score the rows of a block; those that are not candidates get `EXCLUDED`."""
    if candidates is None:
        _products(block, query, out)
    elif np.count_nonzero(candidates) > _GATHER_SHARE * len(block):
        _products(block, query, out)
        out[~candidates] = EXCLUDED
    else:
        rows = candidates.nonzero()[0]
        out.fill(EXCLUDED)
        out[rows] = _products(block[rows], query)


def row_numbers(rows: Rows) -> list[int]:
    """Return rows as Python numbers, which lists are indexed with faster."""
    return cast("list[int]", rows.tolist())


def growth(size: int) -> int:
    """Return how many rows to add room for when `size` rows are full."""
    return max(1, min(size, 8), size // 8)


def _single_thread_products(block: Vectors, query: Vectors, out: Vectors) -> None:
    if hasattr(np, "vecdot"):
        np.vecdot(block, query, out=out)
    else:  # numpy 1.26
        np.einsum("ij,j->i", block, query, out=out)


class _Products:
    """Computes `block @ query` with the kernel that is fastest at the moment.

    BLAS shares a large product among threads, which is up to three times as fast as one thread
    while there are idle cores. When there are none, its threads wait for each other for whole
    slices of the scheduler: 8 ms and more, seen where one thread needs 0.2 ms. So after a product
    that took that long, the next ones are computed in the caller's thread alone: for 10 ms, and
    for twice as long, up to a second, each time that BLAS stalls again soon after.
    """

    def __init__(self) -> None:
        self._pause = _SHORTEST_PAUSE_SECONDS
        self._resume_at = 0.0

    def __call__(self, block: Vectors, query: Vectors, out: Vectors | None = None) -> Vectors:
        if out is None:
            out = np.empty(len(block), np.float32)
        started = time.perf_counter()
        if started < self._resume_at:
            _single_thread_products(block, query, out)
            return out
        np.matmul(block, query, out=out)
        ended = time.perf_counter()
        if ended - started > _STALL_SECONDS:
            soon = started - self._resume_at < 10 * self._pause
            longer = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
            self._pause = longer if soon else _SHORTEST_PAUSE_SECONDS
            self._resume_at = ended + self._pause
        return out


_products = _Products()
