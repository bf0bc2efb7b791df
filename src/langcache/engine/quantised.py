"""Vectors with 8 bits for each number: a quarter of the memory, and twice as fast to score.

A vector is its code, an array of int8, times its scale. Scores of codes are a little off, by no
more than is known; so whoever wants the best rows finds by their codes those that may be among
them, and scores these few with the whole numbers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numkong
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from langcache.engine.index import Vectors

Codes: TypeAlias = NDArray[np.int8]

_LARGEST = 127.0
_ROUNDING = 1e-5


class Encoded(NamedTuple):
    """What vectors are when encoded.

    Attributes:
        codes: Shape (vectors, dimensions).
        scales: Shape (vectors,).
        error: The largest distance between a vector and its code times its scale.
    """

    codes: Codes
    scales: Vectors
    error: float


def encoded(vectors: Vectors) -> Encoded:
    """Encode vectors of shape (vectors, dimensions), none of which is all zeros."""
    if len(vectors) == 1:
        # By far the most common call. It gives what the other way does.
        scale = _scale_of(vectors[0])
        codes = _rounded(vectors * (1.0 / scale))
        scales = np.array([scale], np.float32)
        difference = (vectors - codes * scales)[0]
        return Encoded(codes, scales, math.sqrt(difference.dot(difference)))
    scales = _scales_of(vectors)
    codes = _rounded(vectors / scales)
    differences = codes * scales
    np.subtract(vectors, differences, out=differences)
    squares = np.einsum("ij,ij->i", differences, differences)
    return Encoded(codes, scales[:, 0], math.sqrt(float(squares.max(initial=0.0))))


def _scale_of(vector: Vectors) -> float:
    low, _, high, _ = cast("tuple[float, int, float, int]", numkong.minmax(vector))
    return max(high, -low) / _LARGEST


def _scales_of(vectors: Vectors) -> Vectors:
    """Return the scales of vectors, shape (vectors, 1)."""
    return np.abs(vectors).max(axis=1, keepdims=True, initial=0.0) / np.float32(_LARGEST)


def _scaled(products: NDArray[np.int32], scales: Vectors) -> Vectors:
    return np.multiply(products, scales, dtype=np.float32, casting="unsafe")


def _rounded(numbers: Vectors) -> Codes:
    return np.rint(numbers).astype(np.int8)


class Packed:
    """Codes of vectors in the order that the processor likes: to score them takes half the time.

    Args:
        codes: Shape (vectors, dimensions).
        scales: Shape (vectors,).
    """

    __slots__ = ("_packed", "_scales")

    def __init__(self, codes: Codes, scales: Vectors) -> None:
        self._packed = numkong.dots_pack(codes)
        self._scales: Vectors = np.array(scales, np.float32)

    def products(self, codes: Codes) -> Vectors:
        """Return the products of codes with what these stand for, shape (codes, vectors)."""
        tensor: Any = numkong.dots_packed(codes, self._packed)
        return _scaled(cast("NDArray[np.int32]", np.asarray(tensor)), self._scales)


class Query:
    """A vector of length 1 to score others against.

    Attributes:
        vector: Shape (dimensions,).
        code: Shape (1, dimensions).
        scale: Of the code.
    """

    __slots__ = ("code", "scale", "vector")

    def __init__(self, vector: Vectors) -> None:
        self.vector: Vectors = vector
        self.scale: float = _scale_of(vector)
        self.code: Codes = _rounded(vector * (1.0 / self.scale))[np.newaxis]

    def multiply(self, codes: Codes, out: NDArray[np.int32] | Vectors) -> None:
        """Write the product of each code, shape (codes, dimensions), with that of the query.

        Of codes in the processor's caches, numkong makes products of int32 in two thirds of the
        time that it takes to make them of float32; of others, in twice the time.
        """
        numkong.cdist(codes, self.code, "dot", out=out[:, np.newaxis])

    def scores(self, codes: Codes, scales: Vectors) -> Vectors:
        """Return the approximate products with vectors given by codes and scales."""
        scores = np.empty(len(codes), np.float32)
        self.multiply(codes, scores)
        scores *= scales
        scores *= np.float32(self.scale)
        return scores

    def scores_of_packed(self, packed: Packed) -> Vectors:
        """Return the approximate products with vectors that are packed."""
        return packed.products(self.code)[0] * np.float32(self.scale)

    def scaled(self, products: NDArray[np.int32], scales: Vectors) -> Vectors:
        """Return what products of codes stand for; both arrays have the same shape."""
        return _scaled(products, scales * np.float32(self.scale))

    def error(self, error: float) -> float:
        """Return by how much a score may be off, if vectors differ so much from their codes."""
        return _largest_error(error, self.scale, len(self.vector))


class Queries:
    """Vectors of length 1 to score others against, all of them at once.

    Attributes:
        vectors: Shape (queries, dimensions).
        codes: Shape (queries, dimensions).
        scales: Of the codes, shape (queries,).
    """

    __slots__ = ("codes", "scales", "vectors")

    def __init__(self, vectors: Vectors) -> None:
        self.vectors: Vectors = vectors
        scales = _scales_of(vectors)
        self.scales: Vectors = scales[:, 0]
        self.codes: Codes = _rounded(vectors / scales)

    def multiply(self, codes: Codes) -> NDArray[np.int32]:
        """Return the products of codes with those of the queries, shape (codes, queries)."""
        products = np.empty((len(codes), len(self.codes)), np.int32)
        numkong.cdist(codes, self.codes, "dot", out=products)
        return products

    def error(self, error: float) -> float:
        """Return by how much a score may be off, if vectors differ so much from their codes."""
        return _largest_error(error, float(self.scales.max()), self.vectors.shape[1])


def _largest_error(error: float, scale: float, dimensions: int) -> float:
    """Return by how much a product of two vectors of length 1 may be off.

    Args:
        error: The distance between one of them and its code.
        scale: That of the other one's code.
        dimensions: The length of both.
    """
    return error + (1.0 + error) * scale / 2 * math.sqrt(dimensions) + _ROUNDING
