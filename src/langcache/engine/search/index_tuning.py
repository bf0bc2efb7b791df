"""The constants of an index."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IndexTuning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexTuning:
    """The constants of an index; the defaults are measured. Other values are for tests.

    Attributes:
        block_bytes: Size of a block of vectors.
        small_numbers: An index of at most so many numbers (rows times dimensions) is searched while
            the lock is held, because the search is fast.
        quick_rows: To search more rows than this takes longer than to hand the search to a thread.
        selective_share: Up to this share of all rows, candidates are scored one by one.
        most_changes: A search is repeated after more changes than this.
        few_rows: So many rows are copied together to score them, and scored exactly if an index has
            no more.

        searches_together: How many searches share a scan at most. More would not make each any
            faster, and the scores would fill the processor's caches.
        few_together: In a small index, fewer searches take less time one by one.
        scan_rows: How many rows a shared scan scores at once.
        most_found: If a shared scan finds more rows than this for a search at once, that search
            scans by itself.
        likely_share: If more than this share of scores may reach the least, they are compared more
            closely before they are collected.

        least_rows: An index with more rows than this gets an inverted file, and loses it with less
            than half.
        growth: The inverted file is made anew when the index has grown by this factor.
        limit_share: A search for more rows than this share of all scans.
        rows_per_list: How long a list is on average.
        rows_per_chunk: How many places a chunk of a list has.
        least_block_bytes: Size of the smallest block of chunks.
        lists: How many lists are searched among 100,000 rows.
        lists_growth: The number of lists searched grows with the number of rows to this power,
            because in a larger index the rows near a query are spread over more lists.
        least_alike: Below this score, the rows near a query are spread over even more lists.
        times_as_many: The factor by which more lists are searched below `least_alike`.
        rows_filtered: How many rows a caller can filter in the time of one search of lists.
        chunks_at_once: How many chunks a search copies together.
        build_batch: How many rows are given a list in a step.
        sample_per_list: How many vectors the centroid of a list is trained with.
        training_rounds: How many rounds of k-means are made.
        training_batch: How many vectors are assigned in a step of the training.
    """

    block_bytes: int = 8 * 2**20
    small_numbers: int = 2**20
    quick_rows: int = 20_000
    selective_share: float = 1 / 8
    most_changes: int = 512
    few_rows: int = 64

    searches_together: int = 16
    few_together: int = 4
    scan_rows: int = 4096
    most_found: int = 64
    likely_share: float = 1 / 16

    least_rows: int = 50_000
    growth: float = 1.5
    limit_share: float = 1 / 128
    rows_per_list: int = 96
    rows_per_chunk: int = 32
    least_block_bytes: int = 4 * 2**20
    lists: int = 112
    lists_growth: float = 0.35
    least_alike: float = 0.65
    times_as_many: int = 4
    rows_filtered: int = 256_000
    chunks_at_once: int = 128
    build_batch: int = 128
    sample_per_list: int = 16
    training_rounds: int = 5
    training_batch: int = 1024

    def lists_for(self, rows: int) -> int:
        """Return how many lists to make for so many rows."""
        return max(1, rows // self.rows_per_list)

    def lists_to_search(self, rows: int) -> int:
        """Return how many lists to search among so many rows."""
        return round(self.lists * max(rows / 100_000, 0.01) ** self.lists_growth)
