"""Exact sums and bounds of the binomial distribution."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

__all__ = ["hits_needed", "lower_tail", "upper_bound", "wrong_allowed"]

_BISECTIONS = 60


@lru_cache(maxsize=4096)
def lower_tail(count: int, trials: int, probability: float) -> float:
    """Return P(X <= count) for X ~ Binomial(trials, probability).

    Args:
        count: A number of successes.
        trials: The number of trials, 0 or more.
        probability: The probability of a success, in [0, 1].
    """
    if count < 0:
        return 0.0
    if count >= trials or probability <= 0:
        return 1.0
    if probability >= 1:
        return 0.0
    if count > trials * probability:
        return 1.0 - lower_tail(trials - count - 1, trials, 1.0 - probability)
    # From the last term down: each is smaller than the one before it by a known factor.
    last = (
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(probability)
        + (trials - count) * math.log1p(-probability)
    )
    # Terms further down than this add nothing that a float could hold.
    terms = 50 + int(40 * math.sqrt(trials * probability * (1 - probability)))
    below = np.arange(count, max(0, count - terms), -1, dtype=np.float64)
    factors = below / (trials - below + 1) * ((1 - probability) / probability)
    return min(1.0, math.exp(last) * (1.0 + float(np.cumprod(factors).sum())))


def upper_bound(count: int, trials: int, confidence: float = 0.95) -> float:
    """Return the exact (Clopper-Pearson) one-sided upper bound of a probability.

    Args:
        count: How many of the trials were successes.
        trials: The number of trials, 0 or more.
        confidence: How often the bound holds at least, in (0, 1).

    Returns:
        The largest probability at which `count` successes or fewer are not rarer than
        1 - confidence; 1.0 when every trial was a success or there was none.
    """
    if count >= trials:
        return 1.0
    if count == 0:
        return -math.expm1(math.log1p(-confidence) / trials)
    low, high = count / trials, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if lower_tail(count, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def hits_needed(wrong: int, max_wrong: float, confidence: float = 0.95) -> int:
    """Return how many hits support an error budget when so many of them are wrong.

    It is the smallest number of hits n with P(Binomial(n, max_wrong) <= wrong) <= 1 - confidence.

    Args:
        wrong: How many of the hits are wrong.
        max_wrong: The budget, the largest acceptable share of wrong hits, in (0, 1).
        confidence: In (0, 1).
    """
    low, high = wrong, wrong + 1
    while lower_tail(wrong, high, max_wrong) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if lower_tail(wrong, middle, max_wrong) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def wrong_allowed(hits: int, max_wrong: float, confidence: float = 0.95) -> int:
    """Return how many of the hits may be wrong for them to support an error budget.

    It is the largest count w with P(Binomial(hits, max_wrong) <= w) <= 1 - confidence.

    Args:
        hits: How many hits there are.
        max_wrong: The budget, in (0, 1).
        confidence: In (0, 1).

    Returns:
        -1 when the hits are too few, even if all of them are right.
    """
    low, high = -1, hits
    while high - low > 1:
        middle = (low + high) // 2
        if lower_tail(middle, hits, max_wrong) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low
