"""The index: vectors numbered by row, and the search for the best of them."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langcache.engine.search.arrays import dots, row_numbers
from langcache.engine.search.blocks import Blocks
from langcache.engine.search.codes import ROUNDING, CodedQueries, encoded
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.search.inverted_file import GONE, InvertedFile, training
from langcache.engine.search.scan import Found, scan_together

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from langcache.engine.search.arrays import Rows, Vectors
    from langcache.engine.search.blocks import Snapshot
    from langcache.engine.search.builder import IndexBuilder
    from langcache.engine.search.codes import Codes, Encoded

__all__ = ["Search", "VectorIndex", "Wanted"]


class Wanted(NamedTuple):
    """What a search is to find for one of its vectors.

    Attributes:
        limit: How many rows.
        least: The least score of a row.
        sure_from: Below this score, an inverted file may be searched less thoroughly.
        rows: The only rows that may be found, or None if others may be.
        filtered: Whether the caller will drop some of the rows that are found.
        nearest: Whether, if no row reaches the least score, one is wanted that is the best by its
            approximate score.
    """

    limit: int
    least: float
    sure_from: float
    rows: Rows | None = None
    filtered: bool = False
    nearest: bool = False


class VectorIndex:
    """Vectors of one width, numbered by row from 0, without gaps.

    A search has two steps. The first finds, by the 8-bit codes of the vectors, which rows may be
    among the best; it either scans all rows, so that it misses none, or searches an inverted file,
    which a large index has if there is a builder. The second step scores those rows exactly.

    An index is not thread-safe: its caller holds a lock around every call but `build` and
    `Search.run`, which take most of the time in a large index. If rows have changed during a
    search, `catch_up` corrects what it has found.

    Args:
        dimensions: Width of every vector.
        builder: Builds the inverted file, or None for an index that always scans.
        tuning: The constants.
    """

    def __init__(
        self,
        dimensions: int,
        builder: IndexBuilder | None = None,
        tuning: IndexTuning = IndexTuning(),  # noqa: B008 - it cannot be changed
    ) -> None:
        self.dimensions = dimensions
        self.tuning = tuning
        self._blocks = Blocks(dimensions, tuning)
        # The last rows that were written or moved, and how many ever were.
        self._changes: deque[int] = deque(maxlen=tuning.most_changes)
        self._version = 0
        self._builder = builder
        # The one to search, and the one that is being filled to replace it.
        self._lists: InvertedFile | None = None
        self._unfinished: InvertedFile | None = None

    def __len__(self) -> int:
        return self._blocks.size

    # Writing

    def extend(self, vectors: Vectors) -> None:
        """Add vectors of shape (rows, dimensions) as the last rows; they are copied."""
        first = self._blocks.size
        new = encoded(vectors)
        self._blocks.extend(vectors, new)
        self._note(range(first, self._blocks.size))
        self._add_to_lists(first, new)
        self._keep_lists()

    def replace(self, row: int, vector: Vectors) -> None:
        """Put another vector, of shape (dimensions,), in a row; it is copied."""
        # An entry that gets a new response or TTL keeps its vector; `array_equal` is slower.
        if self._blocks.vector(row).tobytes() != vector.tobytes():
            self._take_from_lists(row)
            new = encoded(vector[np.newaxis])
            self._blocks.replace(row, vector, new)
            self._add_to_lists(row, new)
        self._note([row])

    def remove(self, rows: Rows) -> tuple[Rows, Rows]:
        """Remove rows; the last rows that remain move into the gaps.

        Args:
            rows: The rows to remove, ascending and distinct.

        Returns:
            (sources, targets) of equal length: row `sources[i]` is now row `targets[i]`. A caller
            that keeps other columns beside the index moves them alike and then cuts them to `len`.
        """
        kept = len(self) - len(rows)
        stays = np.ones(len(rows), np.bool_)
        stays[rows[rows >= kept] - kept] = False
        sources = np.flatnonzero(stays) + kept
        targets = rows[rows < kept]
        for row in row_numbers(rows):
            self._take_from_lists(row)
        for source, target in zip(row_numbers(sources), row_numbers(targets), strict=True):
            self._blocks.copy_row(source, target)
            for lists in self._all_lists():
                lists.renumber(source, target)
        self._blocks.cut(kept)
        self._note(row_numbers(rows))
        self._keep_lists()
        return sources, targets

    def clear(self) -> None:
        """Remove all rows."""
        self._note(range(len(self)))
        self._blocks = Blocks(self.dimensions, self.tuning)
        self._lists = self._unfinished = None

    def _note(self, rows: Sequence[int]) -> None:
        """Note that rows have changed, for the searches that are running."""
        self._changes.extend(rows)
        self._version += len(rows)

    # Reading

    def vector(self, row: int) -> Vectors:
        """Return a copy of one vector, shape (dimensions,)."""
        return np.array(self._blocks.vector(row))

    def vectors(self) -> Vectors:
        """Return a copy of all vectors, shape (rows, dimensions)."""
        vectors = [np.empty((0, self.dimensions), np.float32)]
        return np.concatenate([*vectors, *(block.vectors for block in self._blocks)])

    @property
    def is_small(self) -> bool:
        """Whether a search takes no longer than some steps in Python.

        If so, the caller must not release the lock for `Search.run`.
        """
        return self._blocks.is_small

    @property
    def has_lists(self) -> bool:
        """Whether there is an inverted file to search."""
        return self._lists is not None

    # Searching

    def search(self, vectors: Vectors, wanted: Sequence[Wanted]) -> Search:
        """Begin a search for several vectors, or for one.

        Args:
            vectors: Shape (vectors, dimensions), each of length 1.
            wanted: For each vector, what to find.
        """
        rows: Snapshot = self._blocks
        is_small = self.is_small
        # In a small index, a few searches take less time one by one, of packed codes.
        least = self.tuning.few_together if is_small else 2
        # Searches for nearly all rows gain nothing by a shared scan.
        shares_scan = len(vectors) >= least and any(each.least > 0 for each in wanted)
        if not is_small:
            rows = self._blocks.snapshot()
        elif not shares_scan and len(self) <= self.tuning.few_rows:
            # To encode the vector takes longer than what codes save.
            return Search(vectors, wanted, rows, None, self._version, False, None)
        elif not shares_scan:
            self._blocks.pack()
        queries = CodedQueries.of(vectors)
        return Search(vectors, wanted, rows, self._lists, self._version, shares_scan, queries)

    def catch_up(self, search: Search) -> bool:
        """Correct what a search has found by the rows that have changed since it began.

        Returns:
            Whether it could be corrected. If not, too much has changed: search again.
        """
        if self._version == search.version:
            return True
        changed = self._changed_since(search.version)
        if changed is None:
            return False
        search.version = self._version
        size = self._blocks.size
        # By row: what has changed is scored anew, and rows beyond the end have been removed.
        is_same = np.zeros(max(search.size, size), np.bool_)
        is_same[: min(search.size, size)] = True
        changed = changed[changed < size]
        is_same[changed] = False
        vectors = self._blocks.gathered(changed)
        for number, found in enumerate(search.found):
            rows, scores = found.only(is_same[found.rows])
            products = dots(vectors, search.vectors[number])
            search.found[number] = Found(
                np.concatenate((rows, changed)), np.concatenate((scores, products))
            )
        return True

    def _changed_since(self, version: int) -> Rows | None:
        """Return the rows that were written, moved or removed; None if they are too many."""
        missed = self._version - version
        if missed > len(self._changes):
            return None
        return np.array(sorted({*islice(reversed(self._changes), missed)}), np.intp)

    def contenders(self, search: Search, number: int, found: Found, tie: float) -> Rows:
        """Return the rows that may belong to the best.

        Args:
            search: A search that has run.
            number: The number of one of its vectors.
            found: What the search has found for it, or a part of that.
            tie: Rows whose scores differ by no more than this may all belong to the best.
        """
        rows, scores = found
        limit = search.wanted[number].limit
        if len(rows) <= limit:
            return rows
        last = scores.max() if limit == 1 else np.partition(scores, -limit)[-limit]
        # Both this score and the others may be off.
        return rows[scores >= float(last) - 2 * search.error - tie]

    def products(self, rows: Rows, vector: Vectors) -> Vectors:
        """Return the exact scores of some rows for a vector, shape (rows,)."""
        return self._blocks.products(rows, vector)

    # The inverted file

    @property
    def wants_lists(self) -> bool:
        """Whether an inverted file should be made, for about as many rows as there are."""
        size = self._blocks.size
        if size <= self.tuning.least_rows:
            return False
        made_for = self._lists.rows_when_made if self._lists else 0
        return not made_for / 3 < size < made_for * self.tuning.growth

    def build(self, lock: threading.Lock) -> Iterator[None]:
        """Make an inverted file for the rows there are, and use it; the caller has no lock.

        Args:
            lock: Held by the caller around all other calls.

        Yields:
            After each step of some milliseconds.
        """
        lists: InvertedFile | None = None
        tuning = self.tuning
        try:
            with lock:
                if not self.wants_lists:
                    return
                size = len(self)
            sample: list[Codes] = []
            sample_size = min(size, tuning.sample_per_list * tuning.lists_for(size))
            chosen = np.random.default_rng(0).permutation(size)[:sample_size]
            for start in range(0, len(chosen), tuning.build_batch):
                with lock:
                    rows = chosen[start : start + tuning.build_batch]
                    vectors = self._blocks.gathered(rows[rows < len(self)])
                sample.append(encoded(vectors).codes)
                yield
            codes = np.concatenate(sample)
            count = min(tuning.lists_for(size), len(codes))
            if count == 0:
                return
            centroids = yield from training(codes, count, tuning)
            del sample, codes
            with lock:
                lists = self._unfinished = InvertedFile(centroids, len(self), tuning)
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
            rows = lists.missing(len(self), self.tuning.build_batch)
            if not len(rows):
                self._lists, self._unfinished = lists, None
                # The lists have the codes, and scans of all rows are not to be expected.
                self._blocks.drop_codes()
                return False
            vectors = self._blocks.gathered(rows)
            version = self._version
        codes, scales, _ = encoded(vectors)
        numbers = lists.lists_of(codes)
        with lock:
            changed = self._changed_since(version)
            if changed is not None:
                same = ~np.isin(rows, changed)
                for each in row_numbers(same.nonzero()[0]):
                    lists.add(int(rows[each]), codes[each], float(scales[each]), numbers[each])
        return True

    def _keep_lists(self) -> None:
        """Drop the inverted file, or have one made, if the number of rows demands it."""
        if self._builder is None:
            return
        if self._lists is not None and len(self) < self.tuning.least_rows // 2:
            self._lists = self._unfinished = None
            self._blocks.make_codes()
        elif self.wants_lists:
            # Asked for with each row: in a forked process nobody works on it any more.
            self._builder.request(self)

    def _all_lists(self) -> list[InvertedFile]:
        return [lists for lists in (self._lists, self._unfinished) if lists is not None]

    def _add_to_lists(self, first: int, new: Encoded) -> None:
        codes, scales, _ = new
        for lists in self._all_lists():
            for each, number in enumerate(lists.lists_of(codes)):
                lists.add(first + each, codes[each], float(scales[each]), number)

    def _take_from_lists(self, row: int) -> None:
        for lists in self._all_lists():
            moved = lists.remove(row)
            if moved is not None:
                self._note([moved])


class Search:
    """The first step of a search, made by `VectorIndex.search`.

    `run` works without the caller's lock on the rows as they were when the search began. The caller
    may then have `VectorIndex.catch_up` correct what was found.

    Args:
        vectors: What is searched for, shape (vectors, dimensions).
        wanted: For each vector, what to find.
        snapshot: The rows.
        lists: The inverted file, if there is one.
        version: The version of the index.
        shares_scan: Whether the vectors share one scan of all rows if there is no inverted file.
        queries: The vectors as they are compared with codes; None to score all rows exactly.

    Attributes:
        vectors: What is searched for.
        wanted: For each vector, what to find.
        version: The version of the index that `found` is right for.
        size: The number of rows.
        error: By how much a score in `found` may be off.
        found: For each vector, the rows that may reach its least score; empty before `run`.
    """

    def __init__(
        self,
        vectors: Vectors,
        wanted: Sequence[Wanted],
        snapshot: Snapshot,
        lists: InvertedFile | None,
        version: int,
        shares_scan: bool,
        queries: CodedQueries | None,
    ) -> None:
        self.vectors = vectors
        self.wanted = wanted
        self.version = version
        self.size: int = snapshot.size
        self._snapshot = snapshot
        self._lists = lists
        self._shares_scan = shares_scan and lists is None and self.size > 0
        self._queries = queries
        self.error: float = ROUNDING if queries is None else queries.error(snapshot.error)
        self.found: list[Found] = []

    def run(self) -> None:
        """Find the rows."""
        if not self._shares_scan or self._queries is None:
            self.found = []
            for number, wanted in enumerate(self.wanted):
                self.found.append(self._alone(number, wanted.least - self.error))
            return
        leasts = [wanted.least - self.error for wanted in self.wanted]
        nearest = [wanted.nearest for wanted in self.wanted]
        found = scan_together(self._snapshot, self._queries, leasts, nearest)
        self.found = [
            each or self._alone(number, leasts[number]) for number, each in enumerate(found)
        ]

    def _alone(self, number: int, least: float) -> Found:
        """Find the rows for one vector by itself; `least` is the least approximate score."""
        lists, queries = self._lists, self._queries
        if lists is None or queries is None:
            return self._scan(number, least)
        limit, _, sure_from, rows, filtered, nearest = self.wanted[number]
        size = self.size
        if rows is not None or limit > size * self._snapshot.tuning.limit_share:
            return self._scan(number, least)
        query = queries.one(number)
        found, scores = lists.search(query, sure_from, None if filtered else limit)
        reached = scores >= least
        if nearest and not reached.any():
            reached = scores >= scores[found != GONE].max(initial=-math.inf)
        rows, scores = found[reached].astype(np.intp), scores[reached]
        # A row that was added since the search began has changed: `catch_up` scores it.
        return Found(rows, scores).only((rows != GONE) & (rows < size))

    def _scan(self, number: int, least: float) -> Found:
        """Score all rows, or the only ones that may be found, for one vector."""
        wanted, snapshot = self.wanted[number], self._snapshot
        rows, queries = wanted.rows, self._queries
        if rows is None and queries is None and self.size <= wanted.limit:
            # They are all contenders, whatever their scores.
            return Found(np.arange(self.size), np.zeros(self.size, np.float32))
        if rows is not None and (
            self._lists or len(rows) <= snapshot.tuning.selective_share * self.size
        ):
            scores = snapshot.products(rows, self.vectors[number])
        else:
            scores = (
                snapshot.exact_scores(self.vectors[number])
                if queries is None
                else snapshot.scores(queries.one(number))
            )
            scores = scores if rows is None else scores[rows]
        reached = (scores >= least).nonzero()[0]
        if wanted.nearest and not len(reached) and len(scores):
            reached = np.array([int(scores.argmax())], np.intp)
        return Found(reached if rows is None else rows[reached], scores[reached])
