"""An embedder for tests that need chosen similarities."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from langcache.engine._utf8 import encoded
from langcache.engine.embedders import FunctionEmbedder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_TOLERANCE = 1e-6  # rounding may bring an eigenvalue of 0 this far below 0


class SimilarityTable(FunctionEmbedder):
    """Embeds texts so that chosen pairs have chosen similarities, for tests.

    ```python
    embedder = SimilarityTable({("How tall is it?", "What is its height?"): 0.95})
    with MockServer(embedder=embedder) as server:
        ...
    ```

    All other pairs of texts in the table have the similarity .5, like unrelated texts. A text that
    is not in the table is unrelated to those that are. Two texts that are not in the table have the
    similarity .5 ± .022 (standard deviation), so among a thousand of them hardly any pair reaches
    .63. A text always has the same vector, and only the same text has the similarity 1 to it.

    Args:
        similarities: The similarity (1 + cosine) / 2, from 0 to 1, of each pair of texts, in either
            order.

    Raises:
        ValueError: A similarity is out of range or given twice, a text is paired with itself, or no
            vectors have these similarities: if a is near b and b is near c, a cannot be unrelated
            to c, so the table must have the pair of a and c, too.
    """

    def __init__(self, similarities: Mapping[tuple[str, str], float]) -> None:
        texts = list(dict.fromkeys(text for pair in similarities for text in pair))
        rows = {text: row for row, text in enumerate(texts)}
        cosines = np.eye(len(texts))
        for number, ((one, other), similarity) in enumerate(similarities.items(), start=1):
            if one == other:
                raise ValueError(f"pair {number}: must be of two texts, got the same one twice")
            if (other, one) in similarities:
                raise ValueError(f"pair {number}: must be given once, got both orders")
            if not 0 <= similarity <= 1:
                raise ValueError(f"pair {number}: must be from 0 to 1, got {similarity}")
            a, b = rows[one], rows[other]
            cosines[a, b] = cosines[b, a] = 2 * similarity - 1
        self._rows = rows
        self._vectors = _vectors(cosines, len(similarities))
        identity = json.dumps(sorted([*pair, value] for pair, value in similarities.items()))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        super().__init__(
            self._embed_all,
            model_id=f"similarity-table-{digest}",
            dimensions=len(texts) + _OTHER_DIMENSIONS,
        )

    def _embed_all(self, texts: Sequence[str]) -> NDArray[np.float64]:
        vectors = np.zeros((len(texts), self.dimensions))
        known = len(self._rows)
        for vector, text in zip(vectors, texts, strict=True):
            row = self._rows.get(text)
            if row is not None:
                vector[:known] = self._vectors[row]
            else:
                digest = hashlib.sha256(encoded(text)).digest()
                random = np.random.default_rng(list(digest))
                vector[known:] = random.standard_normal(_OTHER_DIMENSIONS)
        return vectors


_OTHER_DIMENSIONS = 512  # the more, the nearer to unrelated are the texts outside the table


def _vectors(cosines: NDArray[np.float64], pairs: int) -> NDArray[np.float64]:
    """Return vectors, one per row, that have these cosines."""
    if not len(cosines):
        return cosines
    eigenvalues, eigenvectors = np.linalg.eigh(cosines)
    least = float(eigenvalues[0])
    if least < -_TOLERANCE:
        raise ValueError(
            f"similarities: no vectors have the similarities of these {pairs} pairs: their matrix "
            f"of cosines must have no eigenvalue below 0, the least is {least:.3g}. A pair that is "
            "not in the table counts as unrelated (.5); two texts that are both near a third must "
            "be near each other, too"
        )
    return eigenvectors * np.sqrt(np.maximum(eigenvalues, 0))
