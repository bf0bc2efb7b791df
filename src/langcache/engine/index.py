"""Nearest-neighbour search over float32 vectors: arrays in, arrays out.

A score here is the plain dot product of two vectors of unit length, so a cosine in [-1, 1]; what
it means as a similarity is for the callers to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from langcache.engine import inverted_file
from langcache.engine.quantised import Codes, Packed, Query, encoded
from langcache.engine.shared_scan import SharedScan
from langcache.engine.watcher import Watcher

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from langcache.engine.index_builder import IndexBuilder
    from langcache.engine.inverted_file import InvertedFile

Vectors: TypeAlias = NDArray[np.float32]
Rows: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]

EXCLUDED = float("-inf")
"""The score of a row that is not a candidate."""

TIE = 2e-6
"""Scores this close are equal: the same two vectors give sums that differ in the last bits from
one place in memory to another."""

_BLOCK_BYTES = 8 * 2**20
_SMALL_NUMBERS = 2**20
_SELECTIVE_SHARE = 1 / 8
_LARGEST_LIMIT_SHARE = 1 / 128
_FEW_ROWS = 64
_BUILD_BATCH = 128
_LARGEST_GROWTH = 1.5
_FEW_TOGETHER = 4  # in a small index, fewer searches take less time one by one
_MOST_CHANGED = 64


class VectorIndex:
    """Vectors of one width, numbered by row from 0, without gaps.

    The vectors lie in blocks of 8 MiB, of which only the last one grows, by an eighth of the
    whole: adding a vector never copies more than one block, and at most an eighth of the memory
    is spare.

    A search finds by the codes of the vectors, 8 bits for each number, which rows may belong to
    the best, and scores those exactly. There are two ways to do the first step. A `Scan` looks at
    every row, so nothing is missed. A `Probe` looks at the lists of an inverted file where the best
    should be, which a large index has when it has been given somebody to build it.

    An index is not thread-safe: its caller holds a lock around every call but `build` and the
    `run` of a search, which is where the time goes in a large index.

    Args:
        dimensions: Width of every vector.
        builder: Who builds the inverted file, or None for an index that always scans.
    """

    def __init__(self, dimensions: int, builder: IndexBuilder | None = None) -> None:
        self.dimensions = dimensions
        self._block_rows = max(1, _BLOCK_BYTES // (4 * dimensions))
        self._blocks: list[_Block] = []
        self._size = 0
        self._error = 0.0
        self._watchers: list[Watcher] = []
        # Of a small index that has not changed between two searches.
        self._packed: Packed | None = None
        self._is_steady = False
        self._builder = builder
        # The one to search, and the one that is being filled to take its place.
        self._lists: InvertedFile | None = None
        self._unfinished: InvertedFile | None = None

    def __len__(self) -> int:
        return self._size

    def append(self, vector: Vectors) -> None:
        """Add a vector of shape (dimensions,) as the last row; it is copied."""
        self.extend(vector[np.newaxis])

    def extend(self, vectors: Vectors) -> None:
        """Add vectors of shape (rows, dimensions) as the last rows; they are copied."""
        added = 0
        while added < len(vectors):
            self._reserve(len(vectors) - added)
            number, offset = divmod(self._size, self._block_rows)
            part = vectors[added : added + len(self._blocks[number].vectors) - offset]
            self._size += len(part)
            added += len(part)
            self._write(self._size - len(part), part)
        self._keep_lists()

    def replace(self, row: int, vector: Vectors) -> None:
        """Put another vector, of shape (dimensions,), in a row; it is copied."""
        # An entry that gets a new response or TTL keeps its vector.
        if np.array_equal(self.vector(row), vector):
            self._note(row)
            return
        self._take_from_lists(row)
        self._write(row, vector[np.newaxis])

    def _write(self, row: int, vectors: Vectors) -> None:
        """Write vectors to rows of one block, from a row on, which are in no list."""
        codes, scales, error = encoded(vectors)
        self._error = max(self._error, error)
        number, offset = divmod(row, self._block_rows)
        self._blocks[number].write(offset, vectors, codes, scales)
        self._unpack()
        for watcher in self._watchers:
            watcher.changed.update(range(row, row + len(vectors)))
        for lists in self._all_lists():
            for place, list_number in enumerate(lists.numbers_of(codes)):
                lists.add(row + place, codes[place], float(scales[place]), list_number)

    def _note(self, row: int) -> None:
        for watcher in self._watchers:
            watcher.changed.add(row)

    def _take_from_lists(self, row: int) -> None:
        for lists in self._all_lists():
            moved = lists.remove(row)
            if moved is not None:
                self._note(moved)

    def vector(self, row: int) -> Vectors:
        """Return a copy of one vector, shape (dimensions,)."""
        block, offset = divmod(row, self._block_rows)
        return self._blocks[block].vectors[offset].copy()

    def vectors(self) -> Vectors:
        """Return a copy of all vectors, shape (rows, dimensions)."""
        copy = np.empty((self._size, self.dimensions), np.float32)
        for start, vectors in self._filled():
            copy[start : start + len(vectors)] = vectors
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
        for row in row_numbers(rows):
            self._take_from_lists(row)
        for source, target in zip(row_numbers(sources), row_numbers(targets), strict=True):
            number, offset = divmod(source, self._block_rows)
            target_number, target_offset = divmod(target, self._block_rows)
            self._blocks[target_number].copy_row(target_offset, self._blocks[number], offset)
            for lists in self._all_lists():
                lists.move(source, target)
            self._note(target)
        self._cut(kept)
        del self._blocks[-(-kept // self._block_rows) :]
        self._keep_lists()
        return sources, targets

    def clear(self) -> None:
        """Remove all rows."""
        self._cut(0)
        self._blocks = []
        self._error = 0.0
        self._lists = self._unfinished = None

    def _cut(self, size: int) -> None:
        self._size = size
        self._unpack()
        for watcher in self._watchers:
            watcher.shrunk = True

    @property
    def is_small(self) -> bool:
        """Whether to scan it takes no longer than some steps in Python."""
        return self._size * self.dimensions <= _SMALL_NUMBERS and self._lists is None

    @property
    def has_lists(self) -> bool:
        """Whether there is an inverted file to probe."""
        return self._lists is not None

    def scan(self, vector: Vectors, candidates: Mask | None = None) -> Scan:
        """Begin to look at every row.

        Args:
            vector: Vector of shape (dimensions,), of length 1.
            candidates: One flag for each row, or None for all: only the others may be found.
        """
        few = None
        if candidates is not None:
            rows = candidates.nonzero()[0]
            if len(rows) <= _SELECTIVE_SHARE * self._size:
                few = rows
        query = Query(vector)
        error = query.error(self._error)
        packed = self._pack() if few is None and self.is_small else None
        blocks, block_rows = self._blocks, self._block_rows
        return Scan(query, error, blocks, block_rows, self._size, candidates, few, packed)

    def _pack(self) -> Packed | None:
        """Return the codes, packed, if it is to be expected that they are searched again."""
        if not self._is_steady:
            self._is_steady = True
        elif self._packed is None and len(self._blocks) == 1:
            self._packed = self._blocks[0].packed(self._size)
        return self._packed

    def _unpack(self) -> None:
        self._packed = None
        self._is_steady = False

    def probe(self, vector: Vectors, least: float, limit: int, *, filtered: bool) -> Probe | None:
        """Begin to look where the best rows should be; None when a scan is the way to do it.

        Args:
            vector: Vector of shape (dimensions,), of length 1.
            least: The least score of interest.
            limit: How many rows are wanted.
            filtered: Whether some rows may not be found, so that more must be looked at.
        """
        if self._lists is None or limit > _LARGEST_LIMIT_SHARE * self._size:
            return None
        query = Query(vector)
        wanted = None if filtered else limit
        return Probe(query, query.error(self._error), self._lists, least, wanted)

    def scan_together(self, vectors: Vectors, leasts: Sequence[float]) -> SharedScan | None:
        """Begin to look at every row for several vectors at once.

        Args:
            vectors: Shape (vectors, dimensions), each of length 1.
            leasts: For each vector, the least score of interest.

        Returns:
            The scan, or None when one search after the other takes less time.
        """
        few = self.is_small and len(vectors) < _FEW_TOGETHER
        if few or self._lists or not self._size:
            return None
        blocks = (
            block.first_coded(self._size - number * self._block_rows)
            for number, block in enumerate(self._blocks)
        )
        return SharedScan(vectors, leasts, self._error, [*filter(None, blocks)])

    def found_together(self, scan: SharedScan) -> list[list[tuple[float, int]]] | None:
        """Return what a scan has found, brought up to date.

        Args:
            scan: A scan that has run.

        Returns:
            For each of its vectors, about the score of every row that may score so much, and the
            row; None when only other searches can tell.
        """
        if len(scan.changed) > _MOST_CHANGED:
            return None
        if not scan.changed and not scan.shrunk:
            return scan.found
        # A row beyond the end has been removed; one that was added, or moved, has changed.
        found = [
            [(score, row) for score, row in each if row < self._size and row not in scan.changed]
            for each in scan.found
        ]
        for row in (row for row in scan.changed if row < self._size):
            scores = _dots(scan.queries.vectors, self.vector(row))
            for each, score in zip(found, cast("list[float]", scores.tolist()), strict=True):
                each.append((score, row))
        return found

    def watch(self, watcher: Watcher) -> None:
        """Begin to note in a search what changes, until `unwatch`."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Stop to note in a search what changes."""
        self._watchers.remove(watcher)

    def candidates(self, search: Scan | Probe, least: float) -> Candidates | None:
        """Return what a search has found, brought up to date.

        Args:
            search: A search that has run.
            least: The least score of interest.

        Returns:
            Every row that may score so much, once; None when only another search can tell.
        """
        floor = least - search.error
        if isinstance(search, Probe):
            # Nobody has told lists that are no longer in use what has changed.
            if search.lists is not self._lists:
                return None
            chunks, places = (search.scores >= floor).nonzero()
            rows = search.lists.rows(search.chunks)[chunks, places].astype(np.intp)
            scores = search.scores[chunks, places]
            known = rows >= 0
            if not known.all():
                rows, scores = rows[known], scores[known]
        else:
            rows = places = (search.scores >= floor).nonzero()[0]
            if search.few is not None:
                rows = search.few[places]
            elif search.mask is not None:
                rows = places = rows[search.mask[rows]]
            scores = search.scores[places]
        checked = isinstance(search, Scan)
        if not search.changed and not search.shrunk:
            return Candidates(rows, scores, len(rows) if checked else 0)
        # A row beyond the end has been removed; one that was added, or moved, has changed.
        changed = np.array([row for row in search.changed if row < self._size], np.intp)
        same = ~np.isin(rows, changed) & (rows < self._size)
        rows, scores = rows[same], scores[same]
        return Candidates(
            np.concatenate((rows, changed)),
            np.concatenate((scores, self._products(changed, search.query.vector))),
            len(rows) if checked else 0,
        )

    def best(
        self,
        search: Scan | Probe,
        candidates: Candidates,
        updated_at: NDArray[np.float64],
        limit: int,
        least: float,
    ) -> tuple[Rows, Vectors]:
        """Return the best of the candidates, best first, and their exact scores.

        Args:
            search: The search that has found them.
            candidates: The candidates that may be found.
            updated_at: For each row of the index, any unit.
            limit: How many rows to return at most.
            least: The least score to return.
        """
        rows, approximate, _ = candidates
        if len(rows) > limit:
            last = approximate.max() if limit == 1 else np.partition(approximate, -limit)[-limit]
            # Both that one and the others may be off.
            rows = rows[approximate >= float(last) - 2 * search.error - TIE]
        vector = search.query.vector
        if len(rows) == 1:
            # By far the most common case.
            number, offset = divmod(int(rows[0]), self._block_rows)
            score = self._blocks[number].vectors[offset].dot(vector)
            found = slice(0, 1 if score >= least else 0)
            return rows[found], np.array([score])[found]
        scores = self._products(rows, vector)
        places = best_rows(scores, updated_at[rows], limit, least)
        return rows[places], scores[places]

    def scored(self, rows: Sequence[int], vectors: Vectors) -> tuple[Vectors, Vectors]:
        """Return a copy of the vectors of rows, and their exact scores.

        Args:
            rows: As many rows as there are vectors.
            vectors: What each row is scored against, shape (vectors, dimensions).
        """
        gathered = self._gathered(np.array(rows, np.intp))
        return gathered, np.einsum("ij,ij->i", gathered, vectors)

    def build(self, lock: threading.Lock) -> Iterator[None]:
        """Make an inverted file for the rows there are, and use it; the caller has no lock.

        Args:
            lock: Held by the caller around all other calls.

        Yields:
            After each step of some milliseconds.
        """
        lists: InvertedFile | None = None
        try:
            with lock:
                if not self.wants_lists:
                    return
                size = self._size
            sample: list[Codes] = []
            chosen = np.random.default_rng(0).permutation(size)[: inverted_file.sample_size(size)]
            for start in range(0, len(chosen), _BUILD_BATCH):
                with lock:
                    rows = chosen[start : start + _BUILD_BATCH]
                    vectors = self._gathered(rows[rows < self._size])
                sample.append(encoded(vectors).codes)
                yield
            codes = np.concatenate(sample)
            count = min(inverted_file.lists_for(size), len(codes))
            if count == 0:
                return
            centroids = yield from inverted_file.training(codes, count)
            del sample, codes
            with lock:
                lists = self._unfinished = inverted_file.InvertedFile(centroids, self._size)
            while self._fill(lists, lock):
                yield
        finally:
            with lock:
                if lists is not None and self._unfinished is lists:
                    self._unfinished = None

    def _fill(self, lists: InvertedFile, lock: threading.Lock) -> bool:
        """Put some rows in lists; when all are in them, use these and return False."""
        with lock:
            if self._unfinished is not lists:
                return False
            rows = lists.unplaced(self._size, _BUILD_BATCH)
            if not len(rows):
                self._use(lists)
                return False
            vectors = self._gathered(rows)
            watcher = Watcher()
            self.watch(watcher)
        try:
            codes, scales, _ = encoded(vectors)
            numbers = lists.numbers_of(codes)
            with lock:
                for place, row in enumerate(row_numbers(rows)):
                    if row < self._size and row not in watcher.changed:
                        lists.add(row, codes[place], float(scales[place]), numbers[place])
        finally:
            with lock:
                self.unwatch(watcher)
        return True

    def _use(self, lists: InvertedFile) -> None:
        self._lists, self._unfinished = lists, None
        # The lists have the codes, and no scan of all rows is to be expected.
        for block in self._blocks:
            block.coded = None

    def _all_lists(self) -> list[InvertedFile]:
        return [lists for lists in (self._lists, self._unfinished) if lists is not None]

    @property
    def wants_lists(self) -> bool:
        """Whether there should be an inverted file made for about so many rows, and is none."""
        if self._size <= inverted_file.LEAST_ROWS:
            return False
        made_for = self._lists.rows_when_made if self._lists else 0
        return not made_for / 3 < self._size < made_for * _LARGEST_GROWTH

    def _keep_lists(self) -> None:
        """See that there is an inverted file if the number of rows demands it."""
        if self._builder is None:
            return
        if self._size < inverted_file.LEAST_ROWS // 2 and self._lists is not None:
            self._lists = self._unfinished = None
            for number, (_, vectors) in enumerate(self._filled()):
                block = _new_block(len(self._blocks[number].vectors), self.dimensions, coded=True)
                codes, scales, _ = encoded(vectors)
                block.write(0, vectors, codes, scales)
                self._blocks[number] = block
        elif self.wants_lists:
            # Asked for with each row: in a forked process nobody is at work on it any more.
            self._builder.request(self)

    def _products(self, rows: Rows, vector: Vectors) -> Vectors:
        return _products(self._blocks, self._block_rows, rows, vector)

    def _gathered(self, rows: Rows) -> Vectors:
        return _gathered(self._blocks, self._block_rows, rows, self.dimensions)

    def _filled(self) -> Iterator[tuple[int, Vectors]]:
        """Yield (first row, vectors) of every block, as far as it is filled."""
        for number, block in enumerate(self._blocks):
            start = number * self._block_rows
            yield start, block.vectors[: self._size - start]

    def _reserve(self, count: int) -> None:
        """Make room for one more row at least, and for `count` if they fit in one block."""
        number, offset = divmod(self._size, self._block_rows)
        coded = self._lists is None
        if number == len(self._blocks):
            rows = min(self._block_rows, max(count, growth(self._size)))
            self._blocks.append(_new_block(rows, self.dimensions, coded=coded))
        elif offset == len(self._blocks[number].vectors):
            rows = min(self._block_rows, offset + max(count, growth(self._size)))
            grown = _new_block(rows, self.dimensions, coded=coded)
            grown.copy_from(self._blocks[number])
            self._blocks[number] = grown


class Scan(Watcher):
    """A look at all rows of an index, or at all that are candidates, made by `VectorIndex.scan`.

    `run` works on the vectors as they are when it reads them, without the caller's lock. If others
    may change the index meanwhile, the scan must be given to `VectorIndex.watch` before the lock is
    released: what is written then is noted and scored afterwards.

    Attributes:
        query: What is searched for.
        error: By how much the scores may be off.
        mask: One flag for each row, set for candidates, or None when all are.
        few: The candidates when they are so few that only these are scored, else None.
        packed: The codes of all rows, packed, or None.
        scores: Of every row, or of these few.
    """

    def __init__(
        self,
        query: Query,
        error: float,
        blocks: list[_Block],
        block_rows: int,
        size: int,
        mask: Mask | None,
        few: Rows | None,
        packed: Packed | None,
    ) -> None:
        super().__init__()
        self.query = query
        self.error = error
        self.mask = mask
        self.few = few
        self.packed = packed
        self._blocks = blocks.copy()
        self._block_rows = block_rows
        self._size = size
        self.scores: Vectors = np.empty(0, np.float32)

    def run(self) -> None:
        """Score the rows."""
        blocks = self._blocks
        if self.few is not None:
            self.scores = _products(blocks, self._block_rows, self.few, self.query.vector)
        elif self.packed is not None:
            self.scores = self.query.scores_of_packed(self.packed)
        elif len(blocks) == 1:
            self.scores = blocks[0].scores(self.query, self._size)
        elif blocks:
            *full, last = blocks
            scores = [block.scores(self.query, self._block_rows) for block in full]
            scores.append(last.scores(self.query, self._size - len(full) * self._block_rows))
            self.scores = np.concatenate(scores)


class Probe(Watcher):
    """A look at some lists of an index's inverted file, made by `VectorIndex.probe`.

    `run` works without the caller's lock, as does `Scan.run`.

    Attributes:
        query: What is searched for.
        error: By how much the scores may be off.
        lists: The inverted file.
        chunks: The chunks of the file that were looked at, shape (chunks,).
        scores: Of the places in them, shape (chunks, places).
    """

    def __init__(
        self, query: Query, error: float, lists: InvertedFile, least: float, limit: int | None
    ) -> None:
        super().__init__()
        self.query = query
        self.error = error
        self.lists = lists
        self._least = least
        self._limit = limit
        self.chunks: Rows = np.empty(0, np.intp)
        self.scores: Vectors = np.empty((0, 0), np.float32)

    def run(self) -> None:
        """Score what the lists have."""
        self.chunks, self.scores = self.lists.search(self.query, self._least, self._limit)


class Candidates(NamedTuple):
    """The rows that may be among the best.

    Attributes:
        rows: Distinct rows, shape (rows,).
        scores: About their scores, as far as they are known, shape (rows,).
        checked: How many of them, from the first one on, are known to be candidates of the search.
    """

    rows: Rows
    scores: Vectors
    checked: int

    def only(self, kept: Mask) -> Candidates:
        """Return those that are flagged."""
        checked = int(np.count_nonzero(kept[: self.checked]))
        return Candidates(self.rows[kept], self.scores[kept], checked)


class _Block:
    """Some rows of an index.

    Attributes:
        vectors: Shape (rows, dimensions).
        coded: Their codes and scales, or None when lists have these.
    """

    __slots__ = ("coded", "vectors")

    def __init__(self, vectors: Vectors, coded: tuple[Codes, Vectors] | None) -> None:
        self.vectors = vectors
        self.coded = coded

    def write(self, offset: int, vectors: Vectors, codes: Codes, scales: Vectors) -> None:
        rows = slice(offset, offset + len(vectors))
        self.vectors[rows] = vectors
        if self.coded:
            self.coded[0][rows] = codes
            self.coded[1][rows] = scales

    def copy_from(self, block: _Block) -> None:
        """Copy all rows of a smaller block, which is coded if this one is."""
        rows = len(block.vectors)
        self.vectors[:rows] = block.vectors
        if self.coded and block.coded:
            self.coded[0][:rows], self.coded[1][:rows] = block.coded

    def copy_row(self, offset: int, block: _Block, row: int) -> None:
        """Copy one row of a block, which is coded if this one is."""
        self.vectors[offset] = block.vectors[row]
        if self.coded and block.coded:
            self.coded[0][offset] = block.coded[0][row]
            self.coded[1][offset] = block.coded[1][row]

    def first_coded(self, rows: int) -> tuple[Codes, Vectors] | None:
        """Return codes and scales of the first rows, of all if there are fewer, if it has them."""
        if self.coded is None:
            return None
        codes, scales = self.coded
        return codes[:rows], scales[:rows]

    def packed(self, rows: int) -> Packed | None:
        """Return the codes of the first rows, packed, if it has them."""
        coded = self.first_coded(rows)
        return coded and Packed(*coded)

    def scores(self, query: Query, rows: int) -> Vectors:
        """Score the first rows, by their codes if it has them."""
        coded = self.first_coded(rows)
        return query.scores(*coded) if coded else _dots(self.vectors[:rows], query.vector)


def _new_block(rows: int, dimensions: int, *, coded: bool) -> _Block:
    codes = np.empty((rows, dimensions), np.int8), np.zeros(rows, np.float32)
    return _Block(np.empty((rows, dimensions), np.float32), codes if coded else None)


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


def _gathered(blocks: Sequence[_Block], block_rows: int, rows: Rows, dimensions: int) -> Vectors:
    """Return the vectors of some rows, shape (rows, dimensions)."""
    if len(blocks) == 1:
        return blocks[0].vectors.take(rows, axis=0)
    gathered = np.empty((len(rows), dimensions), np.float32)
    for vectors, places, offsets in _by_block(blocks, block_rows, rows):
        gathered[places] = vectors.take(offsets, axis=0)
    return gathered


def _products(blocks: Sequence[_Block], block_rows: int, rows: Rows, vector: Vectors) -> Vectors:
    """Return the exact scores of some rows, shape (rows,)."""
    if len(rows) <= _FEW_ROWS:
        return _dots(_gathered(blocks, block_rows, rows, len(vector)), vector)
    scores = np.empty(len(rows), np.float32)
    for vectors, places, offsets in _by_block(blocks, block_rows, rows):
        filled = vectors[: int(offsets.max()) + 1]
        if len(places) > len(filled) / 4:
            # To score them all takes less time than to copy so many.
            scores[places] = _dots(filled, vector)[offsets]
        else:
            scores[places] = _dots(filled.take(offsets, axis=0), vector)
    return scores


def _by_block(
    blocks: Sequence[_Block], block_rows: int, rows: Rows
) -> Iterator[tuple[Vectors, Rows, Rows]]:
    """Yield a block's vectors, the places in `rows` of its rows, and their offsets in the block."""
    numbers, offsets = np.divmod(rows, block_rows)
    for number in row_numbers(np.unique(numbers)):
        places = (numbers == number).nonzero()[0]
        yield blocks[number].vectors, places, offsets[places]


def _dots(vectors: Vectors, vector: Vectors) -> Vectors:
    """Return the products of vectors, shape (vectors, dimensions), with one, in this thread.

    BLAS would share them among threads, which wait for each other for milliseconds when other work
    has the other cores.
    """
    if hasattr(np, "vecdot"):
        return np.vecdot(vectors, vector)
    return np.einsum("ij,j->i", vectors, vector)  # numpy 1.26


def row_numbers(rows: Rows) -> list[int]:
    """Return rows as Python numbers, which lists are indexed with faster."""
    return cast("list[int]", rows.tolist())


def growth(size: int) -> int:
    """Return how many rows to add room for when `size` rows are full."""
    return max(1, min(size, 8), size // 8)
