"""Checks of the texts that embedders take and of the vectors they return."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, cast

import numpy as np

from langcache.engine.embedders.errors import EmbedderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_UTF_16 = codecs.lookup("utf-16-le").name  # imported here, and not by the first text


def check_texts(texts: Sequence[str]) -> None:
    """Check that `texts` is a sequence of str, and not a single str.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(texts, str):
        raise TypeError("texts: must be a sequence of str, got a single str")
    for position, text in enumerate(cast("Sequence[object]", texts)):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}]: must be a str, got {type(text).__name__}")


def without_lone_surrogates(text: str) -> str:
    """Replace each lone surrogate by U+FFFD, so that UTF-8 can encode the text."""
    return text.encode(_UTF_16, "surrogatepass").decode(_UTF_16, "replace")


def unit_rows(vectors: ArrayLike, count: int, dimensions: int | None) -> NDArray[np.float32]:
    """Return vectors from outside as rows of unit length.

    Args:
        vectors: Numbers of shape (count, dimensions), rows of any length.
        count: The required number of rows.
        dimensions: The required width, or None for any width.

    Returns:
        A new C-contiguous array of the same shape.

    Raises:
        EmbedderError: The shape is wrong, a number is not finite, or a vector is zero.
    """
    try:
        array = np.array(vectors, np.float64)
    except (TypeError, ValueError) as error:
        raise EmbedderError("the vectors must be numbers, all of the same length") from error
    width = "dimensions" if dimensions is None else dimensions
    if array.ndim != 2 or len(array) != count or dimensions not in (None, array.shape[1]):
        raise EmbedderError(
            f"the vectors must have shape ({count}, {width}), got {tuple(array.shape)}"
        )
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise EmbedderError("the vectors must be finite and not zero")
    return (array / lengths).astype(np.float32)
