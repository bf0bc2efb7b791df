"""Populations of lookups whose true rate of wrong hits is known, to simulate `tune`.

A population is a mixture of normal distributions of the logit of the similarity. In each part a
certain share of the lookups is wrong. The true hit ratio and rate at a threshold follow from the
normal distribution function, without sampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from langcache.engine.tuning import RecordedLookup, tune


class Part(NamedTuple):
    """A part of a population: its weight, mean and deviation of the logit, and share of wrong."""

    weight: float
    mean: float
    deviation: float
    wrong: float


@dataclass(frozen=True)
class Population:
    """Lookups; `decimals` rounds the similarities, so that many are equal."""

    parts: tuple[Part, ...]
    decimals: int | None = None

    def sample(self, random: np.random.Generator, size: int) -> list[RecordedLookup]:
        parts = np.array(self.parts)[
            random.choice(len(self.parts), size, p=[part.weight for part in self.parts])
        ]
        similarities = 1 / (1 + np.exp(-random.normal(parts[:, 1], parts[:, 2])))
        if self.decimals is not None:
            similarities = similarities.round(self.decimals)
        wrong = random.random(size) < parts[:, 3]
        # To the hundred-thousandth, as making each lookup anew would take most of the time.
        steps = np.floor((similarities + 1e-9) * 100_000).astype(int).tolist()
        return [_lookup(step, bad) for step, bad in zip(steps, wrong.tolist(), strict=True)]

    def hits(self, threshold: float) -> tuple[float, float]:
        """The shares of all lookups that are hits, and wrong hits, at a threshold."""
        edge = threshold if self.decimals is None else self._edge(threshold)
        if edge <= 0:
            shares = [part.weight for part in self.parts]
        elif edge >= 1:
            shares = [0.0 for _ in self.parts]
        else:
            logit = math.log(edge / (1 - edge))
            shares = [
                part.weight * math.erfc((logit - part.mean) / part.deviation / math.sqrt(2)) / 2
                for part in self.parts
            ]
        wrong = sum(s * part.wrong for s, part in zip(shares, self.parts, strict=True))
        return sum(shares), wrong

    def best(self, max_wrong: float) -> float:
        """The largest hit ratio of a threshold whose true rate is within the budget."""
        curve = [self.hits(unit / 10_000) for unit in range(0, 10_001, 5)]
        return max((hits for hits, wrong in curve if wrong <= max_wrong * hits), default=0.0)

    def _edge(self, threshold: float) -> float:
        # What is rounded to the threshold or above it.
        step = 10**-self.decimals
        return math.ceil(threshold / step - 1e-6) * step - step / 2


@cache
def _lookup(step: int, wrong: bool) -> RecordedLookup:
    return RecordedLookup(similarity=step / 100_000, label="wrong" if wrong else "right")


class Outcome(NamedTuple):
    """What many runs of `tune` came to: of `runs`, how many ended so."""

    runs: int
    above_budget: int
    near_best: int
    without_threshold: int
    best: float


def simulate(
    population: Population, labels: int, max_wrong: float, runs: int = 200, seed: int = 20271
) -> Outcome:
    """Tune on `runs` samples and compare with the truth."""
    random = np.random.default_rng(seed)
    best = population.best(max_wrong)
    above = near = without = 0
    for _ in range(runs):
        threshold = tune(population.sample(random, labels), max_wrong=max_wrong).whole.threshold
        if threshold is None:
            without += 1
            near += best <= 0.05
            continue
        hits, wrong = population.hits(threshold)
        above += wrong > max_wrong * hits
        near += hits >= best - 0.05
    return Outcome(runs, above, near, without, best)


def best_single_test(population: Population, labels: int, max_wrong: float) -> float:
    """How often one test at the best threshold would pass, if that were known beforehand.

    The best is taken among the thresholds whose hit ratio is within .05 of the best possible. The
    test is the exact one at 95 %, with a coin to use up the 5 %. Where wrong hits are everywhere
    in this range at least as frequent as the budget, no method with a guarantee of 95 % comes into
    the range more often: another population, in which all of it is just above the budget, differs
    in the wrong hits above the range only, and by Neyman and Pearson this test tells the two apart
    best. (Exactly so if the similarity says nothing more about a wrong hit; nearly, otherwise.)
    """
    best = population.best(max_wrong)
    powers = [0.0]
    for unit in range(0, 10_001, 5):
        hits, wrong = population.hits(unit / 10_000)
        if hits >= best - 0.05 and wrong <= max_wrong * hits:
            powers.append(_power(round(labels * hits), wrong / hits, max_wrong))
    return max(powers)


def _power(count: int, rate: float, max_wrong: float) -> float:
    """How often a test of the budget passes when the true rate is another one."""
    left, power = 0.05, 0.0
    for k in range(count + 1):
        under_budget = _binomial(k, count, max_wrong)
        share = min(1.0, left / under_budget)
        power += share * _binomial(k, count, rate)
        left -= share * under_budget
        if share < 1:
            break
    return power


def _binomial(k: int, n: int, p: float) -> float:
    if p in (0.0, 1.0):
        return float(k == n * p)
    return math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(p) + (n - k) * math.log1p(-p)
    )  # fmt: skip


# A verified cache: half of the lookups have a right answer, two in a thousand of which are wrong
# all the same; those that have none are mostly far below.
VERIFIED = Population((Part(0.5, 3, 0.5, 0.002), Part(0.5, 0.5, 0.5, 1)))

REALISTIC = {
    "verified": VERIFIED,
    "verified, far apart": Population((Part(0.6, 3, 0.5, 0.002), Part(0.4, 0, 0.5, 1))),
    "verified, few hits": Population((Part(0.2, 3, 0.5, 0.002), Part(0.8, 0.3, 0.5, 1))),
    "verified, many hits": Population((Part(0.8, 3, 0.6, 0.002), Part(0.2, 0.5, 0.6, 1))),
    "overlapping": Population((Part(0.5, 2.8, 0.7, 0), Part(0.5, 0.5, 0.7, 1))),
    "many exact repeats": Population(
        (Part(0.2, 40, 1, 0), Part(0.3, 3, 0.5, 0.002), Part(0.5, 0.5, 0.5, 1))
    ),
    "two decimals": Population(VERIFIED.parts, decimals=2),
}

ADVERSARIAL = {
    # Precision rises again below the most similar candidates: near misses.
    "near misses on top": Population(
        (Part(0.45, 3, 0.5, 0.002), Part(0.02, 3.5, 0.3, 0.3), Part(0.53, 0.3, 0.5, 1))
    ),
    "only near misses on top": Population(
        (Part(0.06, 5, 0.2, 0.5), Part(0.44, 3, 0.4, 0), Part(0.5, 0, 0.5, 1))
    ),
    # The true rate crosses both budgets several times.
    "up and down": Population(
        (
            Part(0.1, 5, 0.1, 0.0), Part(0.02, 4.4, 0.1, 0.5), Part(0.3, 3.8, 0.1, 0.0),
            Part(0.06, 3.2, 0.1, 0.6), Part(0.3, 2.6, 0.1, 0.0), Part(0.22, 1, 0.5, 0.9),
        )
    ),
    "up and down, one decimal": Population(
        (
            Part(0.1, 5, 0.1, 0.0), Part(0.04, 2.9, 0.1, 0.5), Part(0.3, 1.7, 0.1, 0.0),
            Part(0.06, 1.1, 0.1, 0.6), Part(0.3, 0.6, 0.1, 0.0), Part(0.2, -1, 0.5, 0.9),
        ),
        decimals=1,
    ),
    # Just above both budgets, everywhere.
    "hopeless, .021": Population((Part(1, 2, 1, 0.021),)),
    "hopeless, .101": Population((Part(1, 2, 1, 0.101),)),
    # Wide overlap, as with the plain cosine of question pairs.
    "plain cosine": Population((Part(0.5, 2.5, 0.9, 0), Part(0.5, 0.3, 0.8, 1))),
    # One wrong hit in a hundred however similar: half of the smaller budget is used up at once.
    "one in a hundred": Population((Part(0.5, 3, 0.5, 0.01), Part(0.5, 0.3, 0.5, 1))),
}  # fmt: skip
