"""What embedders check about texts that come in and vectors that go out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from langcache.engine.embedders.errors import EmbedderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def check_texts(texts: Sequence[str]) -> None:
    """Check that `texts` is a sequence of str, and not a str, which would pass for one.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be a sequence of str, got a single str")
    for position, text in enumerate(cast("Sequence[object]", texts)):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] must be a str, got {type(text).__name__}")


def without_lone_surrogates(text: str) -> str:
    """Return a text that UTF-8 can hold; each lone surrogate becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def unit_rows(vectors: ArrayLike, count: int, dimensions: int | None) -> NDArray[np.float32]:
    """Return vectors from outside as rows of unit length.

    Args:
        vectors: Numbers of shape (count, dimensions), of any length.
        count: How many rows there must be.
        dimensions: How wide they must be, or None for any width.

    Returns:
        A new C-contiguous array of the same shape.

    Raises:
        EmbedderError: They have another shape, are no finite numbers, or one is zero.
    """
    try:
        array = np.array(vectors, np.float64)
    except (TypeError, ValueError) as error:
        raise EmbedderError("the vectors are no numbers, or not all of the same length") from error
    width = "dimensions" if dimensions is None else dimensions
    if array.ndim != 2 or len(array) != count or dimensions not in (None, array.shape[1]):
        raise EmbedderError(
            f"the vectors must have shape ({count}, {width}), got {tuple(array.shape)}"
        )
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise EmbedderError("the vectors must be finite and not zero")
    return (array / lengths).astype(np.float32)
