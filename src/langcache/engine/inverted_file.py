"""An approximate index of many vectors: lists of those that are alike."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from langcache.engine.quantised import Codes, Packed, encoded

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from langcache.engine.index import Rows, Vectors
    from langcache.engine.quantised import Query

LEAST_ROWS = 50_000
"""An index with more rows than this gets an inverted file, and loses it with less than half."""

GONE = -1
"""Stands for the row of a place where there is none, and for the place of a row that has none."""

_ROWS_PER_LIST = 96
_ROWS_PER_CHUNK = 32
_LEAST_BLOCK_BYTES = 4 * 2**20
_SAMPLE_PER_LIST = 16
_TRAINING_ROUNDS = 5
_TRAINING_BATCH = 1024
_MOST_AT_ONCE = 256  # so that the scores of so many vectors take some megabytes
_SCAN_BATCH = 128
# So many lists are searched among 100,000 vectors, and more among more, as what is near to a query
# is spread over more lists then.
_LISTS = 112
_GROWTH_OF_LISTS = 0.35
# What is less alike than this is spread over more lists still.
_LEAST_ALIKE = 0.65
_TIMES_AS_MANY = 4


class InvertedFile:
    """Codes of vectors in lists: each vector is in the list of the centroid it is most alike.

    A search looks at the lists whose centroids are most alike the query. The lists are made of
    *chunks* of 32 places, so that they can grow without being copied, and a search copies together
    the chunks it looks at: thus the scores take few calls, each of which gives way to other
    threads, and the copy costs no more than the look at memory that far apart would.

    The caller holds a lock around every call but `numbers_of` and `search`. What is changed while a
    search is at work it may find or not, at the old place or the new.

    Args:
        centroids: Shape (lists, dimensions), of any length but 0.
        rows: How many rows there are, none of which has a place yet.
    """

    def __init__(self, centroids: Vectors, rows: int) -> None:
        self.rows_when_made = rows
        self._dimensions = centroids.shape[1]
        self._centroids = Centroids(centroids)
        self._chunks_of_list: list[list[int]] = [[] for _ in centroids]
        self._rows_of_list = np.zeros(len(centroids), np.intp)
        self._blocks: list[tuple[int, Codes]] = []  # number of the first chunk, all chunks
        self._list_of_chunk: list[int] = []
        self._free: list[int] = []
        self._scales = np.zeros((0, _ROWS_PER_CHUNK), np.float32)
        self._rows = np.full((0, _ROWS_PER_CHUNK), GONE, np.int32)
        self._places = np.full(rows, GONE, np.int32)
        self._first_unplaced = 0

    def numbers_of(self, codes: Codes) -> list[int]:
        """Return which list each code belongs to; codes have shape (vectors, dimensions)."""
        return self._centroids.nearest(codes).tolist()

    def unplaced(self, rows: int, limit: int) -> Rows:
        """Return some of so many rows that have no place yet; none if all have one."""
        while (start := self._first_unplaced) < rows:
            # Rows that have a place are skipped by many at once.
            ahead = self._places[start : min(rows, start + 64 * limit)]
            found = np.flatnonzero(ahead == GONE)[:limit] + start
            if len(found):
                self._first_unplaced = int(found[0])
                return found
            self._first_unplaced = start + len(ahead)
        return np.empty(0, np.intp)

    def add(self, row: int, code: Codes, scale: float, number: int) -> None:
        """Give a row, which has no place, the next one in a list."""
        chunks = self._chunks_of_list[number]
        filled = int(self._rows_of_list[number])
        offset = filled % _ROWS_PER_CHUNK
        if offset == 0:
            chunks.append(self._new_chunk(number))
        chunk = chunks[-1]
        self._codes(chunk)[offset] = code
        self._scales[chunk, offset] = scale
        self._rows[chunk, offset] = row
        self._rows_of_list[number] = filled + 1
        if row >= len(self._places):
            grown = np.full(row + row // 8 + 64, GONE, np.int32)
            grown[: len(self._places)] = self._places
            self._places = grown
        self._places[row] = chunk * _ROWS_PER_CHUNK + offset

    def remove(self, row: int) -> int | None:
        """Take away the place of a row, if it has one; return the row that has moved into it."""
        place = int(self._places[row]) if row < len(self._places) else GONE
        if place == GONE:
            return None
        self._places[row] = GONE
        chunk, offset = divmod(place, _ROWS_PER_CHUNK)
        number = self._list_of_chunk[chunk]
        chunks = self._chunks_of_list[number]
        self._rows_of_list[number] -= 1
        last, last_offset = chunks[-1], int(self._rows_of_list[number]) % _ROWS_PER_CHUNK
        moved = None
        if (chunk, offset) != (last, last_offset):
            moved = int(self._rows[last, last_offset])
            self._codes(chunk)[offset] = self._codes(last)[last_offset]
            self._scales[chunk, offset] = self._scales[last, last_offset]
            self._rows[chunk, offset] = moved
            self._places[moved] = place
        self._rows[last, last_offset] = GONE
        self._scales[last, last_offset] = 0.0  # so that its score is 0 until it is taken again
        if last_offset == 0:
            self._free.append(chunks.pop())
        return moved

    def move(self, source: int, target: int) -> None:
        """Note that a row has another number now, which no row has."""
        place = int(self._places[source]) if source < len(self._places) else GONE
        if target < len(self._places):
            self._places[target] = place
        if place == GONE:
            self._first_unplaced = min(self._first_unplaced, target)
            return
        self._places[source] = GONE
        self._rows[divmod(place, _ROWS_PER_CHUNK)] = target

    def search(
        self, query: Query, least: float, limit: int | None
    ) -> tuple[NDArray[np.intp], Vectors]:
        """Score what is in the lists that are most alike a query.

        More lists are looked at if what is searched for may be in more.

        Args:
            query: The query.
            least: The least score of interest.
            limit: How many of the best scores are of interest; None for all.

        Returns:
            The chunks, shape (chunks,), and the approximate score of each of their places, shape
            (chunks, places).
        """
        count = _lists_to_search(int(self._rows_of_list.sum()))
        numbers = self._centroids.most_alike(query, _TIMES_AS_MANY * count)
        # Lists differ in length. It is the time that is bounded, but a few are always looked at.
        ends = self._rows_of_list[numbers].cumsum()
        near = max(count // 4, int(ends.searchsorted(count * _ROWS_PER_LIST)) + 1)
        chunks, scores = self._scan(numbers[:near].tolist(), query)
        if limit is not None and limit <= scores.size:
            least = max(least, float(np.partition(scores, -limit, axis=None)[-limit]))
        if least >= _LEAST_ALIKE or near >= len(numbers):
            return chunks, scores
        far = max(count, int(ends.searchsorted(_TIMES_AS_MANY * count * _ROWS_PER_LIST)) + 1)
        more = self._scan(numbers[near:far].tolist(), query)
        return np.concatenate((chunks, more[0])), np.concatenate((scores, more[1]))

    def rows(self, chunks: NDArray[np.intp]) -> NDArray[np.int32]:
        """Return the row of each place of some chunks, or `GONE`; shape (chunks, places)."""
        return self._rows[chunks]

    def _scan(self, numbers: Sequence[int], query: Query) -> tuple[NDArray[np.intp], Vectors]:
        found = chain.from_iterable([*self._chunks_of_list[number]] for number in numbers)
        chunks = np.fromiter(found, np.intp)
        chunks.sort()
        products = np.empty(len(chunks) * _ROWS_PER_CHUNK, np.int32)
        buffer = np.empty((_SCAN_BATCH, _ROWS_PER_CHUNK, self._dimensions), np.int8)
        # Taken after the chunks, so that none is beyond the last block.
        for start, block in self._blocks.copy():
            first, end = chunks.searchsorted((start, start + len(block))).tolist()
            for at in range(first, end, _SCAN_BATCH):
                part = chunks[at : min(at + _SCAN_BATCH, end)]
                codes = buffer[: len(part)]
                block.take(part - start, axis=0, out=codes, mode="clip")
                places = slice(at * _ROWS_PER_CHUNK, (at + len(part)) * _ROWS_PER_CHUNK)
                query.multiply(np.reshape(codes, (-1, self._dimensions)), products[places])
        scores = query.scaled(np.reshape(products, (-1, _ROWS_PER_CHUNK)), self._scales[chunks])
        return chunks, scores

    def _codes(self, chunk: int) -> Codes:
        start, block = next(each for each in reversed(self._blocks) if each[0] <= chunk)
        return block[chunk - start]

    def _new_chunk(self, number: int) -> int:
        if self._free:
            chunk = self._free.pop()
            self._list_of_chunk[chunk] = number
            return chunk
        chunk = len(self._list_of_chunk)
        if chunk == len(self._rows):
            self._add_block()
        self._list_of_chunk.append(number)
        return chunk

    def _add_block(self) -> None:
        """Add room for an eighth as many rows as there were at first; at first, for all of them."""
        chunks = len(self._rows)
        lists = len(self._chunks_of_list)
        wanted = self.rows_when_made // _ROWS_PER_CHUNK + lists
        chunk_bytes = _ROWS_PER_CHUNK * self._dimensions
        more = max(wanted // 8 if chunks else wanted, _LEAST_BLOCK_BYTES // chunk_bytes, 1)
        codes = np.empty((more, _ROWS_PER_CHUNK, self._dimensions), np.int8)
        self._blocks.append((chunks, codes))
        room = (more, _ROWS_PER_CHUNK)
        self._scales = np.concatenate((self._scales, np.zeros(room, np.float32)))
        self._rows = np.concatenate((self._rows, np.full(room, GONE, np.int32)))


class Centroids:
    """Vectors that each stand for a list; only their directions count.

    Args:
        vectors: Shape (lists, dimensions).
    """

    def __init__(self, vectors: Vectors) -> None:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        codes, scales, _ = encoded(vectors / lengths)
        self._packed = Packed(codes, scales)

    def nearest(self, codes: Codes) -> Rows:
        """Return the number of the centroid most alike each code, shape (codes,)."""
        numbers = np.empty(len(codes), np.intp)
        for start in range(0, len(codes), _MOST_AT_ONCE):
            part = slice(start, start + _MOST_AT_ONCE)
            numbers[part] = self._packed.products(codes[part]).argmax(axis=1)
        return numbers

    def most_alike(self, query: Query, limit: int) -> Rows:
        """Return the numbers of the centroids most alike a query, the most alike first."""
        scores = -self._packed.products(query.code)[0]
        if limit >= len(scores):
            return scores.argsort()
        numbers = scores.argpartition(limit)[:limit]
        return numbers[scores[numbers].argsort()]


def lists_for(rows: int) -> int:
    """Return how many lists to make for so many rows."""
    return max(1, rows // _ROWS_PER_LIST)


def sample_size(rows: int) -> int:
    """Return how many of so many rows to train centroids with."""
    return min(rows, _SAMPLE_PER_LIST * lists_for(rows))


def training(codes: Codes, count: int) -> Generator[None, None, Vectors]:
    """Find directions that so many lists can have in common (spherical k-means).

    Args:
        codes: Codes of a sample, shape (vectors, dimensions), at least `count` of them.
        count: How many lists there may be.

    Yields:
        After each step of some milliseconds.

    Returns:
        Centroids, shape (lists, dimensions). No two are equal.
    """
    random = np.random.default_rng(0)
    centroids = codes[random.choice(len(codes), count, replace=False)].astype(np.float32)
    idle = np.zeros(count, np.bool_)
    for _ in range(_TRAINING_ROUNDS):
        # A centroid that nothing is near to gets a new chance elsewhere.
        centroids[idle] = codes[random.choice(len(codes), int(idle.sum()))]
        known = Centroids(centroids)
        sums = np.zeros_like(centroids)
        sizes = np.zeros(count, np.intp)
        for start in range(0, len(codes), _TRAINING_BATCH):
            batch = codes[start : start + _TRAINING_BATCH]
            numbers = known.nearest(batch)
            order = numbers.argsort(kind="stable")
            present, firsts = np.unique(numbers[order], return_index=True)
            sums[present] += np.add.reduceat(batch[order].astype(np.float32), firsts, axis=0)
            sizes += np.bincount(numbers, minlength=count)
            yield
        idle = (sizes == 0) | ~sums.any(axis=1)
        centroids = sums
    # Of equal ones only the first has vectors, and a search might take one of the others for it.
    kept = centroids[~idle]
    return kept if len(kept) else codes[:1].astype(np.float32)


def _lists_to_search(rows: int) -> int:
    return round(_LISTS * max(rows / 100_000, 0.01) ** _GROWTH_OF_LISTS)
