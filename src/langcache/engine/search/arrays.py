"""The arrays that a search works on, and exact products of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Any

Vectors: TypeAlias = NDArray[np.float32]
Rows: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]


def row_numbers(rows: NDArray[np.integer[Any]]) -> list[int]:
    """Return rows as Python numbers, with which lists are indexed faster."""
    return cast("list[int]", rows.tolist())


def dots(vectors: Vectors, vector: Vectors) -> Vectors:
    """Return the products of vectors, shape (vectors, dimensions), with one, in this thread.

    BLAS would share the work among threads, which wait for each other for milliseconds when the
    other cores are busy.
    """
    if hasattr(np, "vecdot"):
        return np.vecdot(vectors, vector)
    return np.einsum("ij,j->i", vectors, vector)  # numpy 1.26
