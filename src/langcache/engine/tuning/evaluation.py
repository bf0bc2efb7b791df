"""Measures of how good the hits at a threshold are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from langcache.engine._checks import kind
from langcache.engine.storage.base import reaches
from langcache.engine.tuning.binomial import upper_bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langcache.engine.tuning.lookups import RecordedLookup

__all__ = ["CalibrationBin", "CurvePoint", "Evaluation", "KindMeasures", "evaluate"]

_CONFIDENCE = 0.95
_CURVE_POINTS = 200
_BINS = 10
_WORST = 10


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What one threshold would give.

    Attributes:
        threshold: The smallest similarity of a hit.
        hit_ratio: The share of hits among the labelled lookups.
        precision: The share of right ones among the hits.
        recall: The share of hits that are right among the lookups that have a right answer; None
            when there is no such lookup.
        upper_bound: The exact upper bound of the wrong rate at 95 %, for this threshold alone.
    """

    threshold: float
    hit_ratio: float
    precision: float
    recall: float | None
    upper_bound: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Labelled lookups whose verifier gave a similar probability.

    Attributes:
        low: The lowest probability of the bin.
        high: The highest; it belongs to the next bin, except 1.
        lookups: How many there are.
        mean_probability: The mean of their probabilities.
        right: The share of right ones among them. Well calibrated means: about the mean.
    """

    low: float
    high: float
    lookups: int
    mean_probability: float
    right: float


@dataclass(frozen=True, slots=True)
class KindMeasures:
    """The labelled lookups of one kind.

    Attributes:
        kind: The kind.
        lookups: How many there are.
        hits: How many are hits at the threshold.
        wrong_hits: How many of the hits are wrong.
        missed: How many have a right answer in the cache and were not served it.
    """

    kind: str
    lookups: int
    hits: int
    wrong_hits: int
    missed: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` measured. Rates are None where there is nothing to divide by.

    Attributes:
        threshold: The threshold that was evaluated.
        lookups: How many lookups there are, labelled or not.
        labels: How many are labelled. All that follows but `hit_ratio` counts these only.
        hits: How many are hits.
        wrong_hits: How many of the hits are wrong.
        rejected: How many reach the threshold, but were turned down by the verifier.
        answerable: How many have a right answer in the cache.
        hit_ratio: The share of hits among all lookups, labelled or not.
        precision: The share of right ones among the hits.
        recall: The share of right hits among the answerable lookups.
        wrong_rate: The share of wrong ones among the hits.
        upper_bound: The exact upper bound of the wrong rate at 95 %, if the threshold was not
            chosen with these labels.
        area: The area under precision over hit ratio (P-CHR), in [0, 1]: the mean precision over
            all hit ratios from 0 to 1, where lookups that were turned down come last, as wrong
            hits.
        curve: Points of that curve, from high thresholds to low ones: 200 at most.
        calibration: The verifier's probabilities in ten bins, empty ones left out.
        calibration_error: The mean difference between a probability and the share of right ones in
            its bin.
        kinds: The measures by kind.
        false_hits: The ten wrong hits that are the most similar.
        false_misses: The ten most similar of the right candidates that were not served.
    """

    threshold: float
    lookups: int
    labels: int
    hits: int
    wrong_hits: int
    rejected: int
    answerable: int
    hit_ratio: float | None
    precision: float | None
    recall: float | None
    wrong_rate: float | None
    upper_bound: float | None
    area: float | None
    curve: tuple[CurvePoint, ...]
    calibration: tuple[CalibrationBin, ...]
    calibration_error: float | None
    kinds: tuple[KindMeasures, ...]
    false_hits: tuple[RecordedLookup, ...]
    false_misses: tuple[RecordedLookup, ...]

    def exceeds(self, max_wrong: float) -> bool:
        """Return whether the wrong rate is above a budget. Without a hit it is not."""
        return self.wrong_rate is not None and self.wrong_rate > max_wrong


def evaluate(lookups: Iterable[RecordedLookup], threshold: float) -> Evaluation:
    """Measure the hits at a threshold, and draw the curve over all thresholds.

    Args:
        lookups: Lookups, labelled or not.
        threshold: The smallest similarity of a hit, in [0, 1].

    Raises:
        ValueError: The threshold is not in [0, 1].
        TypeError: The threshold is not a number.
    """
    given = cast("object", threshold)
    if not isinstance(given, (int, float)) or isinstance(given, bool):
        raise TypeError(f"threshold: must be a number, got {kind(given)}")
    if not 0 <= given <= 1:
        raise ValueError(f"threshold: must be in [0, 1], got {given}")
    lookups = list(lookups)
    labelled = [each for each in lookups if each.label is not None]
    near = [each for each in labelled if reaches(each.similarity, threshold)]
    hits = [each for each in near if each.accepted]
    wrong = [each for each in hits if each.label == "wrong"]
    answerable = sum(each.has_answer for each in labelled)
    missed = [
        each
        for each in labelled
        if each.label == "right" and not (each.accepted and reaches(each.similarity, threshold))
    ]
    all_hits = sum(each.accepted and reaches(each.similarity, threshold) for each in lookups)
    calibration = _calibration(labelled)
    curve, area = _curve(labelled, answerable)
    rights = len(hits) - len(wrong)
    return Evaluation(
        threshold=threshold,
        lookups=len(lookups),
        labels=len(labelled),
        hits=len(hits),
        wrong_hits=len(wrong),
        rejected=len(near) - len(hits),
        answerable=answerable,
        hit_ratio=_ratio(all_hits, len(lookups)),
        precision=_ratio(rights, len(hits)),
        recall=_ratio(rights, answerable),
        wrong_rate=_ratio(len(wrong), len(hits)),
        upper_bound=upper_bound(len(wrong), len(hits), _CONFIDENCE) if hits else None,
        area=area,
        curve=curve,
        calibration=calibration,
        calibration_error=_calibration_error(calibration),
        kinds=_kinds(labelled, threshold),
        false_hits=_most_similar(wrong),
        false_misses=_most_similar(missed),
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _most_similar(lookups: Sequence[RecordedLookup]) -> tuple[RecordedLookup, ...]:
    return tuple(sorted(lookups, key=lambda each: -each.similarity)[:_WORST])


def _curve(
    labelled: Sequence[RecordedLookup], answerable: int
) -> tuple[tuple[CurvePoint, ...], float | None]:
    """Return points of the curve and the area under all of it."""
    if not labelled:
        return (), None
    accepted = [each for each in labelled if each.accepted]
    similarities = np.array([each.similarity for each in accepted], np.float64)
    order = np.argsort(-similarities, kind="stable")
    similarities = similarities[order]
    right = np.cumsum(np.array([each.label == "right" for each in accepted], np.int64)[order])
    # Equal similarities are hits together.
    last = np.flatnonzero(np.append(np.diff(similarities) != 0, len(similarities) > 0))
    hits = last + 1
    precisions = right[last] / hits
    # What was turned down follows, as if it were wrong.
    beyond = np.arange(len(accepted) + 1, len(labelled) + 1)
    rights = int(right[-1]) if len(right) else 0
    total = np.sum(np.diff(hits, prepend=0) * precisions) + np.sum(rights / beyond)
    area = float(total) / len(labelled)
    # Evenly spaced, with both ends.
    shown = np.unique(np.linspace(0, len(last) - 1, min(len(last), _CURVE_POINTS)).astype(np.int64))
    points = tuple(
        CurvePoint(
            threshold=float(similarities[last[at]]),
            hit_ratio=int(hits[at]) / len(labelled),
            precision=float(precisions[at]),
            recall=_ratio(int(right[last[at]]), answerable),
            upper_bound=upper_bound(
                int(hits[at]) - int(right[last[at]]), int(hits[at]), _CONFIDENCE
            ),
        )
        for at in shown.tolist()
    )
    return points, area


def _calibration(labelled: Sequence[RecordedLookup]) -> tuple[CalibrationBin, ...]:
    members: list[list[tuple[float, bool]]] = [[] for _ in range(_BINS)]
    for each in labelled:
        if each.probability is not None:
            place = min(int(each.probability * _BINS), _BINS - 1)
            members[place].append((each.probability, each.label == "right"))
    return tuple(
        CalibrationBin(
            low=place / _BINS,
            high=(place + 1) / _BINS,
            lookups=len(inside),
            mean_probability=sum(probability for probability, _ in inside) / len(inside),
            right=sum(right for _, right in inside) / len(inside),
        )
        for place, inside in enumerate(members)
        if inside
    )


def _calibration_error(bins: Sequence[CalibrationBin]) -> float | None:
    count = sum(each.lookups for each in bins)
    if not count:
        return None
    return sum(each.lookups * abs(each.mean_probability - each.right) for each in bins) / count


def _kinds(labelled: Sequence[RecordedLookup], threshold: float) -> tuple[KindMeasures, ...]:
    by_kind: dict[str, list[RecordedLookup]] = {}
    for each in labelled:
        by_kind.setdefault(each.kind, []).append(each)
    measures: list[KindMeasures] = []
    for name, members in sorted(by_kind.items()):
        hits = [each for each in members if each.accepted and reaches(each.similarity, threshold)]
        wrong = sum(each.label == "wrong" for each in hits)
        answerable = sum(each.has_answer for each in members)
        measures.append(
            KindMeasures(
                kind=name,
                lookups=len(members),
                hits=len(hits),
                wrong_hits=wrong,
                missed=max(0, answerable - (len(hits) - wrong)),
            )
        )
    return tuple(measures)
