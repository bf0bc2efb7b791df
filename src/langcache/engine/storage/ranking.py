"""The order of what a search returns: by score, and the latest first among equals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["TIE", "best_of_few", "best_rows"]

TIE = 2e-6
"""Scores this close are equal: the same two vectors give sums that differ in the last bits from one
place in memory to another."""


def best_rows(
    scores: NDArray[np.float32], updated_at: NDArray[np.float64], limit: int, least: float
) -> list[int]:
    """Return the rows with the best scores, best first.

    Rows whose scores are within `TIE` of the best among them come latest update first.

    Args:
        scores: Shape (rows,).
        updated_at: Shape (rows,), any unit.
        limit: How many rows to return at most.
        least: The lowest score to return.
    """
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
    return _numbers(rows[:limit])


def best_of_few(
    scores: Sequence[float],
    updated_at: Callable[[int], float],
    rows: Iterable[int],
    limit: int,
    least: float,
) -> list[int]:
    """Return what `best_rows` does for some rows. For a few, it is several times as fast.

    `updated_at` is called for rows of equal scores only.
    """
    found = [row for row in rows if scores[row] >= least]
    order = sorted(found, key=scores.__getitem__, reverse=True)
    start = 0
    while start < min(limit, len(order)):
        worst = scores[order[start]] - TIE
        end = start + 1
        while end < len(order) and scores[order[end]] >= worst:
            end += 1
        if end > start + 1:
            order[start:end] = sorted(order[start:end], key=updated_at, reverse=True)
        start = end
    return order[:limit]


def _numbers(rows: NDArray[np.integer[Any]]) -> list[int]:
    return cast("list[int]", rows.tolist())
