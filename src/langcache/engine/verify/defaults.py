"""The similarity thresholds that surfaces start from, with and without a verifier."""

from __future__ import annotations

__all__ = ["PLAIN_SIMILARITY", "VERIFIED_SIMILARITY", "default_similarity"]

PLAIN_SIMILARITY = 0.9
"""Least similarity of a hit where no verifier was measured: a cosine distance of 0.2."""

VERIFIED_SIMILARITY = 0.88
"""Least similarity of a hit with the verifier "auto": a cosine distance of 0.24.

The highest round threshold at which a cache with "auto" serves as many right hits as one without a
verifier at `PLAIN_SIMILARITY`. docs/thresholds.md has the figures, benchmarks/thresholds.py
measures them.
"""


def default_similarity(verifier: object) -> float:
    """Return the threshold that a surface of ours takes when the user gives none.

    Args:
        verifier: The setting of the verifier: "auto", another name, a verifier, or None. Only
            "auto" was measured, so only it has a lower threshold.
    """
    if isinstance(verifier, str) and verifier == "auto":
        return VERIFIED_SIMILARITY
    return PLAIN_SIMILARITY
