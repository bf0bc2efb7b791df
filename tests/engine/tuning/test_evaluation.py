"""The measures of hits at a threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache.engine.tuning import RecordedLookup, evaluate
from langcache.engine.tuning.binomial import upper_bound


def lookup(similarity, label, **more):
    return RecordedLookup(similarity=similarity, label=label, **more)


LOOKUPS = [
    lookup(0.99, "right", kind="a", prompt="p1"),
    lookup(0.95, "wrong", kind="b", prompt="p2"),
    lookup(0.92, "right", kind="a", accepted=False, prompt="p3"),
    lookup(0.91, "right", kind="a", prompt="p4"),
    lookup(0.91, "wrong", kind="b", accepted=False, prompt="p5"),
    lookup(0.85, "right", kind="a", prompt="p6"),
    lookup(0.80, "wrong", kind="b", answerable=True, prompt="p7"),
    lookup(0.97, None),
    lookup(0.70, None),
    lookup(0.60, None),
]


def test_the_measures_at_a_threshold():
    result = evaluate(LOOKUPS, 0.9)
    assert (result.lookups, result.labels) == (10, 7)
    assert (result.hits, result.wrong_hits, result.rejected, result.answerable) == (3, 1, 2, 5)
    assert result.hit_ratio == pytest.approx(4 / 10)
    assert result.precision == pytest.approx(2 / 3)
    assert result.recall == pytest.approx(2 / 5)
    assert result.wrong_rate == pytest.approx(1 / 3)
    assert result.upper_bound == upper_bound(1, 3)


def test_the_curve_and_its_area():
    result = evaluate(LOOKUPS, 0.9)
    assert [(p.threshold, p.hit_ratio, p.precision, p.recall) for p in result.curve] == [
        (0.99, 1 / 7, 1.0, 1 / 5),
        (0.95, 2 / 7, 1 / 2, 1 / 5),
        (0.91, 3 / 7, 2 / 3, 2 / 5),
        (0.85, 4 / 7, 3 / 4, 3 / 5),
        (0.80, 5 / 7, 3 / 5, 3 / 5),
    ]
    assert result.area == pytest.approx(
        # The two that were turned down come last, as wrong ones.
        (1 + 1 / 2 + 2 / 3 + 3 / 4 + 3 / 5 + 3 / 6 + 3 / 7) / 7
    )


def test_equal_similarities_are_one_point_of_the_curve():
    result = evaluate([lookup(0.9, "wrong"), lookup(0.9, "right"), lookup(0.8, "right")], 0.9)
    assert [(p.hit_ratio, p.precision) for p in result.curve] == [(2 / 3, 1 / 2), (1, 2 / 3)]
    assert result.area == pytest.approx(2 / 3 * 1 / 2 + 1 / 3 * 2 / 3)


def test_a_long_curve_is_thinned_out_and_keeps_its_ends_and_its_area():
    everything = [lookup(1 - i / 2000, "right" if i % 3 else "wrong") for i in range(2000)]
    result = evaluate(everything, 0.9)
    assert len(result.curve) <= 200
    assert result.curve[0].threshold == 1.0
    assert result.curve[-1].hit_ratio == 1.0
    rights = np.cumsum([i % 3 != 0 for i in range(2000)])
    assert result.area == pytest.approx(float(np.mean(rights / np.arange(1, 2001))))


def test_the_table_by_kind():
    kinds = {each.kind: each for each in evaluate(LOOKUPS, 0.9).kinds}
    assert set(kinds) == {"a", "b"}
    a, b = kinds["a"], kinds["b"]
    assert (a.lookups, a.hits, a.wrong_hits, a.missed) == (4, 2, 0, 2)
    assert (b.lookups, b.hits, b.wrong_hits, b.missed) == (3, 1, 1, 1)


def test_the_worst_are_the_most_similar():
    result = evaluate(LOOKUPS, 0.9)
    assert [each.prompt for each in result.false_hits] == ["p2"]
    assert [each.prompt for each in result.false_misses] == ["p3", "p6"]
    many = evaluate([lookup(0.9 + i / 1000, "wrong") for i in range(50)], 0.9)
    expected = [0.9 + i / 1000 for i in range(49, 39, -1)]
    assert [each.similarity for each in many.false_hits] == expected


def test_calibration_compares_probabilities_with_labels():
    everything = [
        *[lookup(0.9, "right", probability=0.95)] * 3,
        lookup(0.9, "wrong", probability=1.0),
        lookup(0.9, "wrong", probability=0.1),
        lookup(0.9, None, probability=0.1),
        lookup(0.9, "wrong"),
    ]
    result = evaluate(everything, 0.9)
    low, high = result.calibration
    assert (low.low, low.high, low.lookups, low.right) == (0.1, 0.2, 1, 0)
    assert low.mean_probability == 0.1
    assert (high.low, high.high, high.lookups, high.right) == (0.9, 1.0, 4, 0.75)
    assert high.mean_probability == pytest.approx((3 * 0.95 + 1) / 4)
    error = (1 * 0.1 + 4 * (high.mean_probability - 0.75)) / 5
    assert result.calibration_error == pytest.approx(error)


def test_without_probabilities_there_is_no_calibration():
    result = evaluate(LOOKUPS, 0.9)
    assert result.calibration == ()
    assert result.calibration_error is None


def test_a_similarity_that_falls_short_by_rounding_is_a_hit():
    assert evaluate([lookup(0.8999999, "right")], 0.9).hits == 1
    assert evaluate([lookup(0.8999, "right")], 0.9).hits == 0


def test_without_hits_labels_or_lookups_there_are_no_rates():
    for everything in ([], [lookup(0.9, None)], [lookup(0.5, "wrong")]):
        result = evaluate(everything, 0.9)
        assert result.precision is result.wrong_rate is result.upper_bound is None
        assert not result.exceeds(0.02)
    assert evaluate([], 0.9).hit_ratio is None
    assert evaluate([], 0.9).area is None


def test_a_budget_is_exceeded_by_a_rate_above_it():
    result = evaluate(LOOKUPS, 0.9)
    assert result.exceeds(0.33)
    assert not result.exceeds(1 / 3)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(["right", "wrong", None]), st.booleans()),
        max_size=60,
    ),
    st.floats(0, 1),
)
def test_the_measures_agree_with_counting(rows, threshold):
    everything = [lookup(s, label, accepted=accepted) for s, label, accepted in rows]
    result = evaluate(everything, threshold)
    hits = [label for s, label, accepted in rows if label and accepted and s >= threshold - 1e-6]
    assert (result.hits, result.wrong_hits) == (len(hits), hits.count("wrong"))
    assert sum(each.hits for each in result.kinds) == result.hits
    if result.area is not None:
        assert -1e-9 <= result.area <= 1 + 1e-9
    assert [p.hit_ratio for p in result.curve] == sorted(p.hit_ratio for p in result.curve)
    assert all(p.upper_bound >= 1 - p.precision for p in result.curve)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match=r"^threshold: must be in \[0, 1\], got "):
        evaluate([], threshold)


def test_a_threshold_of_another_type_is_refused():
    with pytest.raises(TypeError, match=r"^threshold: must be a number, got str$"):
        evaluate([], "0.9")
