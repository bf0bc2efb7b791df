"""Thresholds that keep an error budget: the share of hits that are wrong.

How `tune` decides. The labelled hits are sorted by similarity. A few numbers of hits are chosen
from the number of labelled lookups alone, so without a look at similarities or labels:
m1 < m2 < ... For each, the threshold is where exactly that many hits lie above it (fewer where
similarities are equal), and the test asks: would so few wrong hits be rarer than 5 % if the true
rate were the budget? The tests go from high thresholds to low ones and stop at the first that
fails. The answer is the last threshold that passed.

Why the true rate exceeds the budget in at most 5 % of samples, whatever the distribution. Call a
threshold bad when its true rate is above the budget. As a function of the threshold, the true rate
is exactly the budget at every end of an interval of bad thresholds. Given how many hits lie above
each of these ends, two things are fixed: which test is the first of a bad threshold, and that the
wrong hits above the upper end of its interval are binomial with the budget as the rate, because
the rate between two ends is the budget, too. The hits between that end and the threshold are wrong
more often than that. So the first bad threshold passes its own test in at most 5 % of samples, and
no later one is reached without it. The hit at the edge, which the threshold is taken from, is not
counted. (With equal similarities the rate may jump over the budget; the tests simulate that, too.)

The first threshold needs enough hits for the test to allow a wrong one, or a single unlucky hit
would end the sequence; but not so many that caches with few hits get nothing. It is the one with
the most hits among those at which the test begins to allow one more wrong hit, up to a sixth of
the labels. The steps after it are a four-hundredth of the labels: finer ones gain nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from langcache.engine._checks import kind
from langcache.engine.tuning.binomial import hits_needed, lower_tail, upper_bound, wrong_allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from langcache.engine.tuning.lookups import RecordedLookup

__all__ = ["ThresholdTest", "TunedThreshold", "Tuning", "tune"]

# Thresholds are multiples of 1 / _UNITS. A similarity that falls short of one by rounding only
# reaches it, as it does in the caches.
_UNITS = 10_000
_SLACK = 1e-6

_FIRST_SHARE = 6
_STEPS = 400
_GROWTH = 1.05
_MOST_LABELS = 1_000_000


@dataclass(frozen=True, slots=True)
class ThresholdTest:
    """One test of the sequence.

    Attributes:
        threshold: The smallest similarity of a hit.
        hits: How many labelled lookups are hits there.
        wrong: How many of them are wrong.
        p_value: How probable so few wrong hits are at most, if the true rate is above the budget.
        passed: Whether that is improbable enough.
    """

    threshold: float
    hits: int
    wrong: int
    p_value: float
    passed: bool


@dataclass(frozen=True, slots=True)
class TunedThreshold:
    """The threshold for a scope, or for all lookups together.

    Attributes:
        scope: The scope; None for all lookups together.
        threshold: The smallest similarity of a hit, (1 + cosine) / 2; None when none is supported:
            then only exact repeats should be served.
        guaranteed: Whether the wrong hits of this scope are within the budget, at the confidence
            that was asked for. False where a scope takes the threshold of the whole.
        reason: How the threshold came about, in a sentence.
        lookups: How many lookups there are, labelled or not.
        labels: How many of them are labelled.
        hits: How many labelled ones are hits at the threshold.
        wrong: How many of these hits are wrong.
        hit_ratio: The share of hits among all lookups; None without a threshold.
        wrong_rate: wrong / hits; None without a hit.
        upper_bound: The exact upper bound of the true rate at this threshold; None without a hit.
            With `guaranteed`, it is at most the budget.
        labels_needed: At least about how many more labelled lookups a threshold needs, if wrong
            hits stay as frequent as in this sample; None when a threshold is guaranteed, and when
            no number would do, because wrong hits are above the budget at every threshold.
        tests: The tests, in their order.
    """

    scope: str | None
    threshold: float | None
    guaranteed: bool
    reason: str
    lookups: int
    labels: int
    hits: int
    wrong: int
    hit_ratio: float | None
    wrong_rate: float | None
    upper_bound: float | None
    labels_needed: int | None
    tests: tuple[ThresholdTest, ...]

    @property
    def distance(self) -> float | None:
        """The threshold as a cosine distance, for `SemanticCache(distance_threshold=...)`."""
        return None if self.threshold is None else round(2 * (1 - self.threshold), 10)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What `tune` found.

    Attributes:
        max_wrong: The error budget, the largest acceptable share of wrong hits.
        confidence: How often a guaranteed threshold is within the budget, at least.
        whole: The threshold for all lookups together.
        scopes: The thresholds by scope; empty when the lookups have one scope only.
    """

    max_wrong: float
    confidence: float
    whole: TunedThreshold
    scopes: dict[str, TunedThreshold]


def tune(
    lookups: Iterable[RecordedLookup],
    *,
    max_wrong: float = 0.02,
    confidence: float = 0.95,
    first_hits: int | None = None,
) -> Tuning:
    """Find the lowest threshold at which wrong hits are within an error budget.

    The rate is wrong hits / hits. The guarantee: of the samples that could have been drawn from
    the same traffic, at most 1 - confidence (5 %) lead to a threshold whose true rate exceeds the
    budget. It holds for lookups like the labelled ones: label a random sample of distinct lookups,
    not those that somebody complained about. Every scope has this guarantee by itself, not all of
    them at once.

    A scope that its own labels do not support takes the threshold of the whole, marked as without
    guarantee, unless its labels show that the rate there is above the budget.

    Args:
        lookups: Lookups, labelled or not. Those without a label count for the hit ratio only.
        max_wrong: The error budget, in (0, 1).
        confidence: In (0, 1).
        first_hits: How many labelled hits the highest threshold that is tested has. None chooses
            it by the number of labels. Choose it before you look at the labels, or not at all. A
            lower number helps where hits are rare, a higher one where even the most similar hits
            are sometimes wrong.

    Raises:
        ValueError: `max_wrong` or `confidence` is not in (0, 1), or `first_hits` below 1.
        TypeError: An argument has the wrong type.
    """
    _check_share("max_wrong", max_wrong)
    _check_share("confidence", confidence)
    given = cast("object", first_hits)
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise TypeError(f"first_hits: must be an int or None, got {kind(given)}")
    if first_hits is not None and first_hits < 1:
        raise ValueError(f"first_hits: must be at least 1, got {first_hits}")
    budget = _Budget(max_wrong, confidence, first_hits)
    lookups = list(lookups)
    whole = budget.threshold(None, _Sample(lookups))
    by_scope: dict[str, list[RecordedLookup]] = {}
    for lookup in lookups:
        by_scope.setdefault(lookup.scope, []).append(lookup)
    scopes: dict[str, TunedThreshold] = {}
    if len(by_scope) > 1:
        for scope in sorted(by_scope):
            sample = _Sample(by_scope[scope])
            own = budget.threshold(scope, sample)
            scopes[scope] = own if own.guaranteed else budget.borrowed(own, sample, whole)
    return Tuning(max_wrong=max_wrong, confidence=confidence, whole=whole, scopes=scopes)


class _Sample:
    """Lookups as arrays: the similarities of labelled ones, in units, from high to low.

    Attributes:
        lookups: How many lookups there are.
        labels: How many are labelled.
        units: The similarities of accepted, labelled lookups.
        wrong: How many of the first 0, 1, 2, ... of them are wrong.
        all_units: The similarities of all accepted lookups, labelled or not.
    """

    def __init__(self, lookups: Sequence[RecordedLookup]) -> None:
        self.lookups = len(lookups)
        self.labels = sum(lookup.label is not None for lookup in lookups)
        labelled = [each for each in lookups if each.label is not None and each.accepted]
        units = _units(labelled)
        order = np.argsort(-units, kind="stable")
        self.units = units[order]
        wrong = np.array([each.label == "wrong" for each in labelled], np.int64)[order]
        self.wrong = np.concatenate(([0], np.cumsum(wrong)))
        self.all_units = np.sort(_units([each for each in lookups if each.accepted]))

    def counts(self, threshold: int) -> tuple[int, int]:
        """Return how many labelled hits there are at a threshold in units, and wrong ones."""
        hits = int(np.searchsorted(-self.units, -threshold, side="right"))
        return hits, int(self.wrong[hits])

    def hit_ratio(self, threshold: int) -> float | None:
        if not self.lookups:
            return None
        hits = len(self.all_units) - int(np.searchsorted(self.all_units, threshold, side="left"))
        return hits / self.lookups


@dataclass(frozen=True, slots=True)
class _Budget:
    max_wrong: float
    confidence: float
    first_hits: int | None

    def threshold(self, scope: str | None, sample: _Sample) -> TunedThreshold:
        """Return the lowest threshold that a sample supports by itself."""
        tests: list[ThresholdTest] = []
        supported: int | None = None
        for unit, test in self._tests(sample):
            tests.append(test)
            if not test.passed:
                break
            supported = unit
        if supported is not None:
            return self._result(
                scope,
                sample,
                supported,
                guaranteed=True,
                reason="the lowest threshold that the labels support",
                tests=tests,
            )
        needed = self._labels_needed(sample)
        if sample.labels and not len(sample.units):
            reason = "no labelled lookup can be a hit"
        elif needed is None:
            reason = "wrong hits are above the budget at every threshold"
        elif tests and sample.wrong[-1]:
            reason = f"too many wrong hits at the highest threshold tested ({tests[0].threshold})"
        else:
            reason = "there are too few labels"
        return self._result(
            scope, sample, None, guaranteed=False, reason=reason, tests=tests, needed=needed
        )

    def borrowed(
        self, own: TunedThreshold, sample: _Sample, whole: TunedThreshold
    ) -> TunedThreshold:
        """Return the whole's threshold for a scope that has none of its own."""
        if whole.threshold is None:
            return own
        unit = round(whole.threshold * _UNITS)
        hits, wrong = sample.counts(unit)
        # P(X >= wrong) at the budget: small when the labels contradict it.
        above = 1.0 - lower_tail(wrong - 1, hits, self.max_wrong)
        if above <= 1 - self.confidence:
            return self._result(
                own.scope,
                sample,
                None,
                guaranteed=False,
                reason="the labels show that wrong hits are above the budget at the threshold of "
                "the whole",
                tests=own.tests,
                needed=own.labels_needed,
            )
        return self._result(
            own.scope,
            sample,
            unit,
            guaranteed=False,
            reason=f"the threshold of the whole, without guarantee: {own.reason}",
            tests=own.tests,
            needed=own.labels_needed,
        )

    def _tests(self, sample: _Sample) -> Iterable[tuple[int, ThresholdTest]]:
        """Make the tests one after the other, from high thresholds to low ones."""
        least = hits_needed(0, self.max_wrong, self.confidence)
        first = max(least, self._first_hits(sample.labels))
        last_hits = 0
        steps = range(first, len(sample.units), max(1, sample.labels // _STEPS))
        # Just above the hit that comes next; at last there is none.
        for unit in (*(sample.units[list(steps)] + 1).tolist(), *sample.units[-1:].tolist()):
            hits, wrong = sample.counts(unit)
            if hits == last_hits or hits < first:
                continue  # equal similarities leave nothing new to test here
            last_hits = hits
            p_value = lower_tail(wrong, hits, self.max_wrong)
            yield (
                unit,
                ThresholdTest(
                    threshold=unit / _UNITS,
                    hits=hits,
                    wrong=wrong,
                    p_value=p_value,
                    passed=p_value <= 1 - self.confidence,
                ),
            )

    def _first_hits(self, labels: int) -> int:
        if self.first_hits is not None:
            return self.first_hits
        allowed = wrong_allowed(labels // _FIRST_SHARE, self.max_wrong, self.confidence)
        return hits_needed(max(0, allowed), self.max_wrong, self.confidence)

    def _labels_needed(self, sample: _Sample) -> int | None:
        """Return how many more labels would let the first test pass, at the rates of the sample."""
        if not sample.labels:
            return self._first_hits(0)
        total = float(sample.labels)
        while (total := total * _GROWTH + 1) < _MOST_LABELS:
            labels = int(total)
            growth = labels / sample.labels
            place = math.ceil(self._first_hits(labels) / growth)
            if place <= len(sample.units):
                hits, wrong = sample.counts(int(sample.units[place - 1]))
                p_value = lower_tail(math.ceil(wrong * growth), int(hits * growth), self.max_wrong)
                if p_value <= 1 - self.confidence:
                    return labels - sample.labels
        return None

    def _result(
        self,
        scope: str | None,
        sample: _Sample,
        unit: int | None,
        *,
        guaranteed: bool,
        reason: str,
        tests: Sequence[ThresholdTest],
        needed: int | None = None,
    ) -> TunedThreshold:
        hits, wrong = (0, 0) if unit is None else sample.counts(unit)
        return TunedThreshold(
            scope=scope,
            threshold=None if unit is None else unit / _UNITS,
            guaranteed=guaranteed,
            reason=reason,
            lookups=sample.lookups,
            labels=sample.labels,
            hits=hits,
            wrong=wrong,
            hit_ratio=None if unit is None else sample.hit_ratio(unit),
            wrong_rate=wrong / hits if hits else None,
            upper_bound=upper_bound(wrong, hits, self.confidence) if hits else None,
            labels_needed=needed,
            tests=tuple(tests),
        )


def _units(lookups: Sequence[RecordedLookup]) -> NDArray[np.int64]:
    similarities = np.array([lookup.similarity for lookup in lookups], np.float64)
    return np.floor((similarities + _SLACK) * _UNITS).astype(np.int64)


def _check_share(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name}: must be a number, got {kind(value)}")
    if not 0 < value < 1:
        raise ValueError(f"{name}: must be between 0 and 1, got {value}")
