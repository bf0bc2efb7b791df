"""Why a lookup hits or misses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from langcache.engine.storage.base import distance_of, reaches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langcache.engine.storage.entry import CacheEntry, Match
    from langcache.engine.verify.base import Verdict

__all__ = ["Candidate", "Explanation", "Moments", "Outcome", "as_json", "explanation_of"]

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


class Moments(NamedTuple):
    """When the steps of a lookup were over, in seconds since some moment.

    Attributes:
        started: When embedding began.
        embedded: When it ended and the search began.
        searched: When the search ended and the checks began.
        verified: When the checks ended.
    """

    started: float
    embedded: float
    searched: float
    verified: float


def explanation_of(
    found: Sequence[Match],
    verdicts: Sequence[Verdict],
    *,
    outcome: Outcome,
    served: CacheEntry | None,
    threshold: float,
    verifier: str | None,
    most: int,
    moments: Moments,
    key_of: Callable[[str], str] = str,
) -> Explanation:
    """Return the explanation of a lookup that has been made.

    Args:
        found: The nearest entries, the nearest first.
        verdicts: The verdict on each.
        outcome: What the lookup came to.
        served: The entry that it serves; None if it serves none.
        threshold: The similarity that a hit has to reach.
        verifier: The name of the verifier; None without one.
        most: How many candidates to show at most.
        moments: When its steps were over.
        key_of: Returns the key of an entry for its id.
    """
    best = found[0].similarity if found else None
    return Explanation(
        outcome=outcome,
        response=None if served is None else served.response,
        threshold=threshold,
        distance_threshold=distance_of(threshold),
        best_similarity=best,
        best_distance=None if best is None else distance_of(best),
        verifier=verifier,
        candidates=tuple(
            Candidate(
                key=key_of(match.entry.id),
                prompt=match.entry.prompt,
                response=match.entry.response,
                similarity=match.similarity,
                distance=distance_of(match.similarity),
                reaches_threshold=reaches(match.similarity, threshold),
                verdict=verdict,
                served=served is not None and match.entry.id == served.id,
                attributes=match.entry.attributes,
            )
            for match, verdict in list(zip(found, verdicts, strict=True))[:most]
        ),
        embedding_seconds=moments.embedded - moments.started,
        search_seconds=moments.searched - moments.embedded,
        verify_seconds=moments.verified - moments.searched,
    )


def as_json(explanation: Explanation, id_of: Callable[[str], str] = str) -> dict[str, Any]:
    """Return an explanation in JSON's types, as the console of the server and the command show it.

    Args:
        explanation: The explanation.
        id_of: Returns the id of an entry for its key.
    """
    return {
        "outcome": explanation.outcome,
        "response": explanation.response,
        "threshold": explanation.threshold,
        "bestSimilarity": explanation.best_similarity,
        "verify": explanation.verifier,
        "candidates": [
            {
                "id": id_of(each.key),
                "prompt": each.prompt,
                "response": each.response,
                "attributes": dict(each.attributes),
                "similarity": each.similarity,
                "reachesThreshold": each.reaches_threshold,
                "verdict": {
                    "accepted": each.verdict.accepted,
                    "probability": each.verdict.probability,
                    "reason": each.verdict.reason,
                    "check": each.verdict.check,
                    "details": each.verdict.details,
                },
                "served": each.served,
            }
            for each in explanation.candidates
        ],
        "embeddingMillis": explanation.embedding_seconds * 1000,
        "searchMillis": explanation.search_seconds * 1000,
        "verifyMillis": explanation.verify_seconds * 1000,
    }
