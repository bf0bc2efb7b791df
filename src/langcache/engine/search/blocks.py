"""The memory of an index: vectors and their codes, in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from langcache.engine.search.arrays import dots, row_numbers
from langcache.engine.search.codes import Packed, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langcache.engine.search.arrays import Rows, Vectors
    from langcache.engine.search.codes import CodedQueries, Codes, Encoded
    from langcache.engine.search.index_tuning import IndexTuning


class Block:
    """Some rows of an index.

    Attributes:
        vectors: Shape (rows, dimensions).
        codes: Shape (rows, dimensions), or None when an inverted file has the codes.
        scales: Of the codes, shape (rows,).
    """

    __slots__ = ("codes", "scales", "vectors")

    def __init__(self, vectors: Vectors, codes: Codes | None, scales: Vectors) -> None:
        self.vectors: Vectors = vectors
        self.codes: Codes | None = codes
        self.scales: Vectors = scales

    def part(self, start: int, end: int) -> Block:
        """Return some rows, as far as there are any."""
        codes = None if self.codes is None else self.codes[start:end]
        return Block(self.vectors[start:end], codes, self.scales[start:end])

    def write(self, offset: int, vectors: Vectors, codes: Codes | None, scales: Vectors) -> None:
        """Write some rows."""
        rows = slice(offset, offset + len(vectors))
        self.vectors[rows] = vectors
        if self.codes is not None and codes is not None:
            self.codes[rows] = codes
            self.scales[rows] = scales

    def scores(self, query: CodedQueries) -> Vectors:
        """Return the scores of all rows for one query: approximate if there are codes."""
        if self.codes is None:
            return dots(self.vectors, query.vectors[0])
        return query.scores(self.codes, self.scales)


class Snapshot:
    """The rows of an index as they are at one moment, to be read while others are added.

    A row that is replaced or moved meanwhile may be read as it was, as it is, or half and half.

    Args:
        blocks: The blocks; all but the last are full.
        size: The number of rows.
        dimensions: Width of every vector.
        error: The largest distance between a vector and its code times its scale.
        tuning: The constants.

    Attributes:
        size: The number of rows.
    """

    def __init__(
        self, blocks: list[Block], size: int, dimensions: int, error: float, tuning: IndexTuning
    ) -> None:
        self._blocks = blocks
        self.size: int = size
        self.dimensions = dimensions
        self.error: float = error
        self.tuning = tuning
        self._packed: Packed | None = None
        self._block_rows = max(1, tuning.block_bytes // (4 * dimensions))

    def __iter__(self) -> Iterator[Block]:
        """Iterate over all blocks, as far as they are filled."""
        left = self.size
        for block in self._blocks:
            yield block.part(0, left)
            left -= self._block_rows

    def coded(self) -> list[tuple[Codes, Vectors]]:
        """Return the codes and scales of all blocks that have them."""
        return [(block.codes, block.scales) for block in self if block.codes is not None]

    def vector(self, row: int) -> Vectors:
        """Return one vector, shape (dimensions,), not a copy."""
        block, offset = self._place(row)
        return block.vectors[offset]

    def gathered(self, rows: Rows) -> Vectors:
        """Return a copy of some vectors, shape (rows, dimensions)."""
        if len(self._blocks) == 1:
            return self._blocks[0].vectors.take(rows, axis=0)
        gathered = np.empty((len(rows), self.dimensions), np.float32)
        for block, positions, offsets in self._by_block(rows):
            gathered[positions] = block.vectors.take(offsets, axis=0)
        return gathered

    def products(self, rows: Rows, vector: Vectors) -> Vectors:
        """Return the exact scores of some rows for a vector, shape (rows,)."""
        if len(rows) <= self.tuning.few_rows:
            return dots(self.gathered(rows), vector)
        scores = np.empty(len(rows), np.float32)
        for block, positions, offsets in self._by_block(rows):
            filled = block.vectors[: int(offsets.max()) + 1]
            if len(positions) > len(filled) / 4:
                # Scoring them all takes less time than copying so many.
                scores[positions] = dots(filled, vector)[offsets]
            else:
                scores[positions] = dots(filled.take(offsets, axis=0), vector)
        return scores

    def scores(self, query: CodedQueries) -> Vectors:
        """Return the scores of all rows for one query, by their codes if there are codes."""
        if self._packed is not None:
            return query.scores_of_packed(self._packed)
        return _joined([block.scores(query) for block in self])

    def exact_scores(self, vector: Vectors) -> Vectors:
        """Return the exact scores of all rows for a vector."""
        return _joined([dots(block.vectors, vector) for block in self])

    def _place(self, row: int) -> tuple[Block, int]:
        """Return the block that a row is in, and its offset there."""
        number, offset = divmod(row, self._block_rows)
        return self._blocks[number], offset

    def _by_block(self, rows: Rows) -> Iterator[tuple[Block, Rows, Rows]]:
        """Yield each block, the positions in `rows` of its rows, and their offsets in the block."""
        numbers, offsets = np.divmod(rows, self._block_rows)
        for number in row_numbers(np.unique(numbers)):
            positions = (numbers == number).nonzero()[0]
            yield self._blocks[number], positions, offsets[positions]


class Blocks(Snapshot):
    """Vectors of one width and their codes, numbered by row from 0, without gaps.

    Only the last block grows, by an eighth of the whole: adding a vector never copies more than one
    block, and at most an eighth of the memory is spare.

    Args:
        dimensions: Width of every vector.
        tuning: The constants.
    """

    def __init__(self, dimensions: int, tuning: IndexTuning) -> None:
        super().__init__([], 0, dimensions, 0.0, tuning)
        self._has_codes = True
        self._is_steady = False

    @property
    def is_small(self) -> bool:
        """Whether scanning all rows by their codes takes no longer than some steps in Python."""
        return self._has_codes and self.size * self.dimensions <= self.tuning.small_numbers

    def snapshot(self) -> Snapshot:
        """Return the rows as they are."""
        blocks = self._blocks.copy()
        return Snapshot(blocks, self.size, self.dimensions, self.error, self.tuning)

    def pack(self) -> None:
        """Pack the codes if they are likely to be scanned again.

        They are when this is called twice without a change in between.
        """
        if not self._is_steady:
            self._is_steady = True
        elif self._packed is None and len(self._blocks) == 1:
            ((codes, scales),) = self.coded()
            self._packed = Packed(codes, scales)

    def _change(self, error: float) -> None:
        """Record changed rows, and the largest error of their codes."""
        self.error: float = max(self.error, error)
        self._packed = None
        self._is_steady = False

    def extend(self, vectors: Vectors, encoded: Encoded) -> None:
        """Add vectors of shape (rows, dimensions) as the last rows; they are copied."""
        self._change(encoded.error)
        start = 0
        while start < len(vectors):
            block, offset = self._with_room(len(vectors) - start)
            end = min(len(vectors), start + len(block.vectors) - offset)
            part = slice(start, end)
            block.write(offset, vectors[part], encoded.codes[part], encoded.scales[part])
            self.size += end - start
            start = end

    def replace(self, row: int, vector: Vectors, encoded: Encoded) -> None:
        """Put another vector, of shape (dimensions,), in a row; it is copied."""
        self._change(encoded.error)
        block, offset = self._place(row)
        block.write(offset, vector[np.newaxis], encoded.codes, encoded.scales)

    def copy_row(self, source: int, target: int) -> None:
        """Put a copy of one row in another."""
        block, offset = self._place(source)
        row = slice(offset, offset + 1)
        codes = None if block.codes is None else block.codes[row]
        target_block, target_offset = self._place(target)
        target_block.write(target_offset, block.vectors[row], codes, block.scales[row])

    def cut(self, size: int) -> None:
        """Remove all rows but the first."""
        self._change(0.0)
        self.size: int = size
        del self._blocks[-(-size // self._block_rows) :]

    def drop_codes(self) -> None:
        """Free the codes."""
        self._has_codes = False
        # A snapshot keeps the codes as long as it needs them.
        self._blocks = [Block(block.vectors, None, block.scales) for block in self._blocks]

    def make_codes(self) -> None:
        """Encode all rows again."""
        self._has_codes = True
        for number, block in enumerate(self):
            codes, scales, _ = encoded(block.vectors)
            self._blocks[number] = self._new_block(len(self._blocks[number].vectors))
            self._blocks[number].write(0, block.vectors, codes, scales)

    def _with_room(self, count: int) -> tuple[Block, int]:
        """Return a block with room for `count` rows, or as many as fit, and the first offset."""
        number, offset = divmod(self.size, self._block_rows)
        full = self._blocks[number] if number < len(self._blocks) else None
        if full is not None and offset < len(full.vectors):
            return full, offset
        block = self._new_block(min(self._block_rows, offset + max(count, growth(self.size))))
        if full is None:
            self._blocks.append(block)
        else:
            block.write(0, full.vectors, full.codes, full.scales)
            self._blocks[number] = block
        return block, offset

    def _new_block(self, rows: int) -> Block:
        vectors = np.empty((rows, self.dimensions), np.float32)
        codes = np.empty((rows, self.dimensions), np.int8) if self._has_codes else None
        return Block(vectors, codes, np.zeros(rows, np.float32))


_NOTHING = np.empty(0, np.float32)


def _joined(scores: list[Vectors]) -> Vectors:
    """Return the scores of all blocks as one array."""
    return scores[0] if len(scores) == 1 else np.concatenate([*scores, _NOTHING])


def growth(size: int) -> int:
    """Return how many rows to add room for when `size` rows are full."""
    return max(1, min(size, 8), size // 8)
