"""The inverted file: an approximate index of many vectors, in lists of those that are alike."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from langcache.engine.search.arrays import row_numbers
from langcache.engine.search.codes import Codes, Packed, encoded, scaled

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from langcache.engine.search.arrays import Rows, Vectors
    from langcache.engine.search.codes import CodedQueries
    from langcache.engine.search.index_tuning import IndexTuning

GONE = -1
"""The row of a slot that is empty, and the slot of a row that is in no list."""

_MOST_AT_ONCE = 256  # the scores of so many vectors with all centroids take some megabytes


class InvertedFile:
    """Codes of vectors in lists: each vector is in the list of the centroid it is most alike.

    A search looks at the lists whose centroids are most alike the query. A list is made of *chunks*
    of 32 *slots*, so that it can grow without being copied. A search copies together the chunks it
    looks at: then few calls compute the scores, and each of them releases the interpreter's lock.

    The caller holds a lock around every call but `lists_of` and `search`. A change
    during a search may or may not be visible to it.

    Args:
        centroids: Shape (lists, dimensions), of any length but 0.
        rows: How many rows there are, none of which is in a list yet.
        tuning: The constants.
    """

    def __init__(self, centroids: Vectors, rows: int, tuning: IndexTuning) -> None:
        self.rows_when_made = rows
        self._tuning = tuning
        self._dimensions = centroids.shape[1]
        self._centroids = Centroids(centroids)
        self._chunks_of_list: list[list[int]] = [[] for _ in centroids]
        self._rows_of_list = np.zeros(len(centroids), np.intp)
        self._blocks: list[tuple[int, Codes]] = []  # number of the first chunk, all chunks
        self._list_of_chunk: list[int] = []
        self._free: list[int] = []
        self._scales = np.zeros((0, tuning.rows_per_chunk), np.float32)
        self._rows = np.full((0, tuning.rows_per_chunk), GONE, np.int32)
        self._slots = np.full(rows, GONE, np.int32)
        self._first_missing = 0

    def lists_of(self, codes: Codes) -> list[int]:
        """Return which list each code belongs to; codes have shape (vectors, dimensions)."""
        return row_numbers(self._centroids.nearest(codes))

    def missing(self, rows: int, limit: int) -> Rows:
        """Return some of the first `rows` rows that are in no list yet; none if all are."""
        while (start := self._first_missing) < rows:
            # Skip many rows at once that are in a list.
            ahead = self._slots[start : min(rows, start + 64 * limit)]
            found = np.flatnonzero(ahead == GONE)[:limit] + start
            if len(found):
                self._first_missing = int(found[0])
                return found
            self._first_missing = start + len(ahead)
        return np.empty(0, np.intp)

    def add(self, row: int, code: Codes, scale: float, number: int) -> None:
        """Add a row, which is in no list, to the end of a list."""
        chunks = self._chunks_of_list[number]
        filled = int(self._rows_of_list[number])
        offset = filled % self._tuning.rows_per_chunk
        if offset == 0:
            chunks.append(self._new_chunk(number))
        chunk = chunks[-1]
        self._codes(chunk)[offset] = code
        self._scales[chunk, offset] = scale
        self._rows[chunk, offset] = row
        self._rows_of_list[number] = filled + 1
        if row >= len(self._slots):
            grown = np.full(row + row // 8 + 64, GONE, np.int32)
            grown[: len(self._slots)] = self._slots
            self._slots = grown
        self._slots[row] = chunk * self._tuning.rows_per_chunk + offset

    def remove(self, row: int) -> int | None:
        """Remove a row from its list, if it is in one; return the row that moved to its slot."""
        slot = int(self._slots[row]) if row < len(self._slots) else GONE
        if slot == GONE:
            return None
        self._slots[row] = GONE
        chunk, offset = divmod(slot, self._tuning.rows_per_chunk)
        number = self._list_of_chunk[chunk]
        chunks = self._chunks_of_list[number]
        self._rows_of_list[number] -= 1
        last = chunks[-1]
        last_offset = int(self._rows_of_list[number]) % self._tuning.rows_per_chunk
        moved = None
        if (chunk, offset) != (last, last_offset):
            moved = int(self._rows[last, last_offset])
            self._codes(chunk)[offset] = self._codes(last)[last_offset]
            self._scales[chunk, offset] = self._scales[last, last_offset]
            self._rows[chunk, offset] = moved
            self._slots[moved] = slot
        self._rows[last, last_offset] = GONE
        self._scales[last, last_offset] = 0.0  # so that the score of an empty slot is 0
        if last_offset == 0:
            self._free.append(chunks.pop())
        return moved

    def renumber(self, source: int, target: int) -> None:
        """Give a row another number, which no row has."""
        slot = int(self._slots[source]) if source < len(self._slots) else GONE
        if target < len(self._slots):
            self._slots[target] = slot
        if slot == GONE:
            self._first_missing = min(self._first_missing, target)
            return
        self._slots[source] = GONE
        self._rows[divmod(slot, self._tuning.rows_per_chunk)] = target

    def search(
        self, query: CodedQueries, least: float, limit: int | None
    ) -> tuple[NDArray[np.int32], Vectors]:
        """Score what is in the lists that are most alike a query.

        More lists are searched if what is wanted may be in more.

        Args:
            query: One query.
            least: The least score of interest.
            limit: How many of the best scores are of interest; None for all.

        Returns:
            The rows in the slots of these lists, some of which may be `GONE`, shape
            (chunks, slots); and their approximate scores, of the same shape.
        """
        tuning = self._tuning
        count = tuning.lists_to_search(int(self._rows_of_list.sum()))
        numbers = self._centroids.most_alike(query, tuning.times_as_many * count)
        # Lists differ in length. The number of rows bounds the time, but some lists are always
        # searched.
        ends = self._rows_of_list[numbers].cumsum()
        most_rows = count * tuning.rows_per_list
        near = max(count // 4, int(ends.searchsorted(most_rows)) + 1)
        rows, scores = self._scan(numbers[:near].tolist(), query)
        if limit is not None and limit <= scores.size:
            least = max(least, float(np.partition(scores, -limit, axis=None)[-limit]))
        if least >= tuning.least_alike or near >= len(numbers):
            return rows, scores
        far = max(count, int(ends.searchsorted(tuning.times_as_many * most_rows)) + 1)
        more = self._scan(numbers[near:far].tolist(), query)
        return np.concatenate((rows, more[0])), np.concatenate((scores, more[1]))

    def _scan(
        self, numbers: Sequence[int], query: CodedQueries
    ) -> tuple[NDArray[np.int32], Vectors]:
        slots, at_once = self._tuning.rows_per_chunk, self._tuning.chunks_at_once
        found = chain.from_iterable([*self._chunks_of_list[number]] for number in numbers)
        chunks = np.fromiter(found, np.intp)
        chunks.sort()
        products = np.empty(len(chunks) * slots, np.int32)
        buffer = np.empty((at_once, slots, self._dimensions), np.int8)
        # Read after the chunks, so that none of them is beyond the last block.
        for start, block in self._blocks.copy():
            first, end = chunks.searchsorted((start, start + len(block))).tolist()
            for at in range(first, end, at_once):
                part = chunks[at : min(at + at_once, end)]
                codes = buffer[: len(part)]
                block.take(part - start, axis=0, out=codes, mode="clip")
                query.multiply(
                    np.reshape(codes, (-1, self._dimensions)),
                    products[at * slots : (at + len(part)) * slots, np.newaxis],
                )
        scales = self._scales[chunks] * query.scales
        return self._rows[chunks], scaled(np.reshape(products, (-1, slots)), scales)

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
        slots = self._tuning.rows_per_chunk
        chunks = len(self._rows)
        wanted = self.rows_when_made // slots + len(self._chunks_of_list)
        least = self._tuning.least_block_bytes // (slots * self._dimensions)
        more = max(wanted // 8 if chunks else wanted, least, 1)
        self._blocks.append((chunks, np.empty((more, slots, self._dimensions), np.int8)))
        self._scales = np.concatenate((self._scales, np.zeros((more, slots), np.float32)))
        self._rows = np.concatenate((self._rows, np.full((more, slots), GONE, np.int32)))


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
            numbers[part] = self._packed.scores(codes[part]).argmax(axis=1)
        return numbers

    def most_alike(self, query: CodedQueries, limit: int) -> Rows:
        """Return the numbers of the centroids most alike a query, the most alike first."""
        scores = -self._packed.scores(query.codes)[0]
        if limit >= len(scores):
            return scores.argsort()
        numbers = scores.argpartition(limit)[:limit]
        return numbers[scores[numbers].argsort()]


def training(codes: Codes, count: int, tuning: IndexTuning) -> Generator[None, None, Vectors]:
    """Find directions that so many lists can have in common (spherical k-means).

    Args:
        codes: Codes of a sample, shape (vectors, dimensions), at least `count` of them.
        count: How many lists there may be.
        tuning: The constants.

    Yields:
        After each step of some milliseconds.

    Returns:
        Centroids, shape (lists, dimensions). No two are equal.
    """
    random = np.random.default_rng(0)
    centroids = codes[random.choice(len(codes), count, replace=False)].astype(np.float32)
    idle = np.zeros(count, np.bool_)
    for _ in range(tuning.training_rounds):
        # A centroid that nothing is near to gets a new chance elsewhere.
        centroids[idle] = codes[random.choice(len(codes), int(idle.sum()))]
        known = Centroids(centroids)
        sums = np.zeros_like(centroids)
        sizes = np.zeros(count, np.intp)
        for start in range(0, len(codes), tuning.training_batch):
            batch = codes[start : start + tuning.training_batch]
            numbers = known.nearest(batch)
            order = numbers.argsort(kind="stable")
            present, firsts = np.unique(numbers[order], return_index=True)
            sums[present] += np.add.reduceat(batch[order].astype(np.float32), firsts, axis=0)
            sizes += np.bincount(numbers, minlength=count)
            yield
        idle = (sizes == 0) | ~sums.any(axis=1)
        centroids = sums
    # Of equal ones only the first has vectors, and a search might look at one of the others.
    kept = centroids[~idle]
    return kept if len(kept) else codes[:1].astype(np.float32)
