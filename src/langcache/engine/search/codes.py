"""Codes: vectors with 8 bits for each number.

A code takes a quarter of the memory of its vector and half the time to score. A vector is about its
code, an array of int8, times its scale. Scores of codes are a little off, but never by more than a
known bound: a search finds by the codes which rows may be among the best, and scores those exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numkong
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from langcache.engine.search.arrays import Vectors

Codes: TypeAlias = NDArray[np.int8]
Products: TypeAlias = NDArray[np.int32]

_LARGEST = 127.0

ROUNDING = 1e-5
"""By how much the score of two vectors of length 1 may be off, which is computed in float32."""


class Encoded(NamedTuple):
    """Vectors in 8 bits.

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
    codes, scales = _rounded(vectors)
    differences = codes * scales[:, np.newaxis]
    np.subtract(vectors, differences, out=differences)
    if len(vectors) == 1:
        # By far the most common call.
        square = differences[0].dot(differences[0])
    else:
        square = np.einsum("ij,ij->i", differences, differences).max(initial=0.0)
    return Encoded(codes, scales, math.sqrt(float(square)))


def _rounded(vectors: Vectors) -> tuple[Codes, Vectors]:
    """Return the codes and scales of vectors."""
    if len(vectors) == 1:
        # By far the most common call. It does the same as below.
        extremes: Any = numkong.minmax(vectors[0])
        low, _, high, _ = extremes
        scale = max(high, -low) / _LARGEST
        scales = np.array([scale], np.float32)
        numbers = vectors * (1.0 / scale)
    else:
        scales = np.abs(vectors).max(axis=1, initial=0.0) / np.float32(_LARGEST)
        numbers = vectors / scales[:, np.newaxis]
    np.rint(numbers, out=numbers)
    return numbers.astype(np.int8), scales


class Packed:
    """Codes in the order that the processor likes: scoring them takes half the time.

    Args:
        codes: Shape (vectors, dimensions).
        scales: Shape (vectors,).
    """

    __slots__ = ("_packed", "_scales")

    def __init__(self, codes: Codes, scales: Vectors) -> None:
        self._packed = numkong.dots_pack(codes)
        self._scales: Vectors = np.array(scales, np.float32)

    def scores(self, codes: Codes) -> Vectors:
        """Return the products of codes with the packed vectors, shape (codes, vectors)."""
        tensor: Any = numkong.dots_packed(codes, self._packed)
        products: Products = np.asarray(tensor)
        return scaled(products, self._scales)


class CodedQueries:
    """One or several vectors of length 1, encoded to score others against.

    Attributes:
        vectors: Shape (queries, dimensions).
        codes: Shape (queries, dimensions).
        scales: Of the codes, shape (queries,).
    """

    __slots__ = ("codes", "scales", "vectors")

    def __init__(self, vectors: Vectors, codes: Codes, scales: Vectors) -> None:
        self.vectors: Vectors = vectors
        self.codes: Codes = codes
        self.scales: Vectors = scales

    @classmethod
    def of(cls, vectors: Vectors) -> CodedQueries:
        """Encode vectors of shape (queries, dimensions)."""
        return cls(vectors, *_rounded(vectors))

    def __len__(self) -> int:
        return len(self.vectors)

    def one(self, number: int) -> CodedQueries:
        """Return one of the queries."""
        if len(self.vectors) == 1:
            return self
        part = slice(number, number + 1)
        return CodedQueries(self.vectors[part], self.codes[part], self.scales[part])

    def multiply(self, codes: Codes, out: Products | Vectors) -> None:
        """Write the products of codes, shape (codes, dimensions), with those of the queries.

        If the codes are in the processor's caches, products of int32 take two thirds of the time of
        float32; otherwise they take twice the time.

        Args:
            codes: The codes.
            out: The products, shape (codes, queries).
        """
        numkong.cdist(codes, self.codes, "dot", out=out)

    def scores(self, codes: Codes, scales: Vectors) -> Vectors:
        """Return the approximate scores of vectors, given by codes and scales, for one query."""
        scores = np.empty(len(codes), np.float32)
        self.multiply(codes, scores[:, np.newaxis])
        scores *= scales
        scores *= self.scales[0]
        return scores

    def scores_of_packed(self, packed: Packed) -> Vectors:
        """Return the approximate scores of packed vectors for one query."""
        scores = packed.scores(self.codes)[0]
        scores *= self.scales[0]
        return scores

    def error(self, error: float) -> float:
        """Return by how much a score may be off if vectors differ so much from their codes."""
        # Of two vectors of length 1, one is off by `error` at most and the other by half a step in
        # each dimension.
        half_steps = max(self.scales.tolist()) / 2 * math.sqrt(self.vectors.shape[1])
        return error + (1.0 + error) * half_steps + ROUNDING


def scaled(products: Products, scales: Vectors) -> Vectors:
    """Return the scores that products of codes stand for."""
    return np.multiply(products, scales, dtype=np.float32, casting="unsafe")
