"""The sums and bounds are compared with exact ones in fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache.engine.tuning.binomial import hits_needed, lower_tail, upper_bound, wrong_allowed


def exact_tail(count: int, trials: int, probability: Fraction) -> Fraction:
    return sum(
        (
            math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k)
            for k in range(count + 1)
        ),
        Fraction(0),
    )


@settings(deadline=None, max_examples=40)
@given(
    trials=st.integers(0, 150),
    count=st.integers(-2, 152),
    percent=st.integers(0, 100),
)
def test_the_tail_is_the_exact_sum(trials, count, percent):
    exact = 1 if count >= trials else exact_tail(count, trials, Fraction(percent, 100))
    assert lower_tail(count, trials, percent / 100) == pytest.approx(
        float(exact), rel=1e-10, abs=1e-300 if count < trials * percent / 100 else 1e-13
    )


def test_the_tail_of_many_trials_is_exact():
    # In whole numbers: the common denominator is 50**n.
    trials, count = 3000, 45
    total = sum(math.comb(trials, k) * 49 ** (trials - k) for k in range(count + 1))
    exact = float(Fraction(total, 50**trials))
    assert lower_tail(count, trials, 0.02) == pytest.approx(exact, rel=1e-10)


@given(trials=st.integers(1, 150), data=st.data())
@settings(deadline=None, max_examples=40)
def test_the_upper_bound_is_where_the_tail_falls_to_five_percent(trials, data):
    count = data.draw(st.integers(0, trials - 1))
    bound = upper_bound(count, trials)
    below, above = Fraction(bound) - Fraction(1, 10**9), Fraction(bound) + Fraction(1, 10**9)
    assert exact_tail(count, trials, below) > Fraction(5, 100)
    assert exact_tail(count, trials, min(above, Fraction(1))) < Fraction(5, 100)


def test_the_upper_bound_is_one_when_nothing_was_right():
    assert upper_bound(0, 0) == upper_bound(7, 7) == 1.0


@pytest.mark.parametrize("budget", [Fraction(1, 100), Fraction(2, 100), Fraction(10, 100)])
@pytest.mark.parametrize("wrong", [0, 1, 5])
def test_the_hits_needed_are_the_fewest_that_suffice(budget, wrong):
    needed = hits_needed(wrong, float(budget))
    assert exact_tail(wrong, needed, budget) <= Fraction(5, 100)
    assert exact_tail(wrong, needed - 1, budget) > Fraction(5, 100)
    assert wrong_allowed(needed, float(budget)) == wrong
    assert wrong_allowed(needed - 1, float(budget)) == wrong - 1


def test_without_a_wrong_hit_the_numbers_are_the_well_known_ones():
    assert hits_needed(0, 0.02) == 149
    assert hits_needed(0, 0.1) == 29
    assert hits_needed(0, 0.02, confidence=0.99) == 228
