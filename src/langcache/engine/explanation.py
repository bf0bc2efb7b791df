"""Why a lookup hits or misses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langcache.engine.verify.base import Verdict

__all__ = ["Candidate", "Explanation", "Outcome"]

Outcome: TypeAlias = Literal["hit", "rejected", "near_miss", "miss"]
"""What a lookup came to; "rejected" means that no candidate above the threshold was accepted."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry that a lookup considered. The texts are not part of the repr.

    Attributes:
        key: The key of the entry.
        prompt: The cached prompt.
        response: The cached response.
        similarity: (1 + cosine) / 2, in [0, 1].
        distance: 1 - cosine, in [0, 2].
        reaches_threshold: Whether it is similar enough.
        verdict: What the checks decided. A candidate that does not reach the threshold is checked,
            too, so that you see what a lower threshold would serve.
        served: Whether `check` would return it.
        attributes: The names and values that the entry is filtered by.
    """

    key: str
    prompt: str = field(repr=False)
    response: str = field(repr=False)
    similarity: float
    distance: float
    reaches_threshold: bool
    verdict: Verdict
    served: bool
    attributes: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a lookup of a prompt would do, and why.

    Attributes:
        outcome: "hit", "rejected", "near_miss" or "miss".
        response: The response that would be served; None when none would be.
        threshold: The similarity that a hit has to reach, (1 + cosine) / 2.
        distance_threshold: The same as a distance, 1 - cosine.
        best_similarity: The similarity of the nearest entry; None when there is no entry.
        best_distance: The same as a distance.
        verifier: The `model_id` of the verifier; None without a verifier.
        candidates: The nearest entries, the nearest first.
        embedding_seconds: How long embedding the prompt took.
        search_seconds: How long the search took.
        verify_seconds: How long the checks took.
    """

    outcome: Outcome
    response: str | None = field(repr=False)
    threshold: float
    distance_threshold: float
    best_similarity: float | None
    best_distance: float | None
    verifier: str | None
    candidates: tuple[Candidate, ...]
    embedding_seconds: float
    search_seconds: float
    verify_seconds: float
