"""What `tune` decides from given lookups."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache.engine.tuning import RecordedLookup, tune


def lookups(count, similarity, label="right", **more):
    return [RecordedLookup(similarity=similarity, label=label, **more) for _ in range(count)]


def spread(count, low, high, label="right", **more):
    return [
        RecordedLookup(similarity=low + (high - low) * i / count, label=label, **more)
        for i in range(count)
    ]


def test_the_threshold_lies_between_right_and_wrong_lookups():
    tuning = tune(spread(500, 0.85, 0.99) + spread(500, 0.5, 0.849, "wrong"))
    assert tuning.whole.guaranteed
    # A few wrong hits are within the budget.
    assert 0.845 < tuning.whole.threshold <= 0.851
    assert tuning.whole.upper_bound <= 0.02
    assert tuning.whole.hit_ratio == pytest.approx(0.5, abs=0.01)
    assert tuning.whole.distance == pytest.approx(2 * (1 - tuning.whole.threshold))


def test_the_counts_are_those_at_the_threshold():
    everything = spread(500, 0.85, 0.99) + spread(500, 0.5, 0.849, "wrong")
    whole = tune(everything).whole
    hits = [each for each in everything if each.similarity >= whole.threshold - 1e-6]
    assert whole.hits == len(hits)
    assert whole.wrong == sum(each.label == "wrong" for each in hits)
    assert whole.wrong_rate == whole.wrong / whole.hits
    assert whole.tests[-2].hits == whole.hits
    assert whole.tests[-2].threshold == whole.threshold


def test_the_tests_go_from_high_thresholds_to_low_ones_and_stop_at_the_first_that_fails():
    tests = tune(spread(500, 0.85, 0.99) + spread(500, 0.5, 0.849, "wrong")).whole.tests
    assert [test.threshold for test in tests] == sorted(
        (test.threshold for test in tests), reverse=True
    )
    assert [test.passed for test in tests] == [True] * (len(tests) - 1) + [False]


def test_what_lies_below_a_failed_test_is_not_reached():
    # Wrong ones on top: too many there, but few of all.
    tuning = tune(
        spread(30, 0.99, 1.0, "wrong") + spread(5000, 0.9, 0.99), max_wrong=0.02, first_hits=300
    )
    assert tuning.whole.threshold is None
    assert len(tuning.whole.tests) == 1


def test_too_few_labels_support_no_threshold_and_say_how_many_are_missing():
    whole = tune(lookups(100, 0.95)).whole
    assert whole.threshold is None
    assert not whole.guaranteed
    assert whole.hit_ratio is None
    assert whole.reason == "there are too few labels"
    assert whole.labels_needed == pytest.approx(49, abs=8)
    assert tune(lookups(100 + whole.labels_needed, 0.95)).whole.guaranteed


def test_no_label_at_all_needs_as_many_as_right_hits_need():
    assert tune([]).whole.labels_needed == 149
    assert tune(lookups(50, 0.9, None)).whole.labels_needed == 149
    assert tune([], max_wrong=0.1).whole.labels_needed == 29


@pytest.mark.parametrize("wrong_in", [60, 100, 150])
def test_the_labels_needed_would_do_at_the_same_rate(wrong_in):
    def sample(size):
        return [
            RecordedLookup(
                similarity=0.99 - 0.4 * i / size,
                label="wrong" if i % wrong_in == wrong_in // 2 else "right",
            )
            for i in range(size)
        ]

    whole = tune(sample(200)).whole
    assert whole.threshold is None
    assert whole.labels_needed > 0
    copies = math.ceil(1 + whole.labels_needed / 200)
    assert tune(sample(200) * copies).whole.threshold is not None


def test_no_number_of_labels_helps_when_every_rate_is_above_the_budget():
    everything = [
        RecordedLookup(similarity=0.99 - i / 5000, label="right" if i % 10 else "wrong")
        for i in range(1000)
    ]
    whole = tune(everything, max_wrong=0.05).whole
    assert whole.threshold is None
    assert whole.labels_needed is None
    assert whole.reason == "wrong hits are above the budget at every threshold"


def test_equal_similarities_are_hits_together():
    # Half of the lookups share the similarity at which the sequence would otherwise end.
    everything = lookups(400, 0.95) + lookups(400, 0.9, "wrong") + lookups(400, 0.8)
    whole = tune(everything).whole
    assert whole.threshold == pytest.approx(0.9001)
    assert (whole.hits, whole.wrong) == (400, 0)


def test_exact_repeats_alone_can_be_the_threshold():
    whole = tune(lookups(400, 1.0) + spread(400, 0.7, 0.99, "wrong")).whole
    assert whole.threshold is not None
    assert whole.hits >= 400
    assert whole.wrong_rate <= 0.02


def test_a_similarity_of_single_precision_reaches_its_threshold():
    whole = tune(lookups(400, 0.89999998) + lookups(400, 0.8, "wrong")).whole
    assert whole.threshold <= 0.9
    assert whole.hits == 400


def test_what_the_verifier_turned_down_is_no_hit():
    everything = spread(500, 0.85, 0.99) + spread(500, 0.8, 0.99, "wrong", accepted=False)
    whole = tune(everything).whole
    assert whole.guaranteed
    assert whole.wrong == 0
    assert whole.hits == 500
    assert whole.hit_ratio == pytest.approx(0.5)


def test_lookups_without_a_label_count_for_the_hit_ratio_only():
    labelled = spread(500, 0.85, 0.99) + spread(500, 0.5, 0.849, "wrong")
    whole = tune(labelled).whole
    more = tune(labelled + lookups(1000, 0.99, None)).whole
    assert (more.threshold, more.hits, more.labels) == (whole.threshold, whole.hits, 1000)
    assert more.lookups == 2000
    assert more.hit_ratio == pytest.approx((whole.hits + 1000) / 2000)


def test_every_scope_with_enough_labels_has_a_threshold_of_its_own():
    tuning = tune(
        spread(500, 0.85, 0.99, scope="a")
        + spread(500, 0.5, 0.85, "wrong", scope="a")
        + spread(500, 0.7, 0.99, scope="b")
        + spread(500, 0.5, 0.7, "wrong", scope="b")
    )
    assert set(tuning.scopes) == {"a", "b"}
    assert all(each.guaranteed for each in tuning.scopes.values())
    assert tuning.scopes["a"].threshold == pytest.approx(0.85, abs=0.01)
    assert tuning.scopes["b"].threshold == pytest.approx(0.7, abs=0.01)


def test_a_scope_with_few_labels_takes_the_threshold_of_the_whole_without_guarantee():
    tuning = tune(
        spread(500, 0.85, 0.99, scope="a")
        + spread(500, 0.5, 0.85, "wrong", scope="a")
        + spread(20, 0.85, 0.99, scope="b")
    )
    few = tuning.scopes["b"]
    assert few.threshold == tuning.whole.threshold
    assert not few.guaranteed
    assert few.hits == 20
    assert few.labels_needed > 0
    assert "without guarantee" in few.reason


def test_a_scope_whose_labels_speak_against_the_threshold_of_the_whole_has_none():
    tuning = tune(
        spread(2000, 0.85, 0.99, scope="a")
        + spread(500, 0.5, 0.85, "wrong", scope="a")
        + spread(6, 0.9, 0.99, "wrong", scope="b")
    )
    assert tuning.whole.threshold is not None
    assert tuning.scopes["b"].threshold is None
    assert not tuning.scopes["b"].guaranteed


def test_one_scope_alone_is_the_whole():
    assert tune(lookups(400, 0.9, scope="a")).scopes == {}


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 40).map(lambda step: step / 40),
            st.sampled_from(["right", "right", "right", "wrong", None]),
            st.booleans(),
            st.sampled_from(["a", "b"]),
        ),
        max_size=150,
    ),
    budget=st.sampled_from([0.05, 0.1, 0.3]),
)
def test_what_is_guaranteed_is_within_the_budget_and_the_order_says_nothing(rows, budget):
    everything = [
        RecordedLookup(similarity=s, label=label, accepted=accepted, scope=scope)
        for s, label, accepted, scope in rows
    ]
    tuning = tune(everything, max_wrong=budget)
    assert tune(everything[::-1], max_wrong=budget) == tuning
    for each in (tuning.whole, *tuning.scopes.values()):
        if each.guaranteed:
            assert each.upper_bound <= budget + 1e-9
            assert each.threshold is not None
            assert each.labels_needed is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_wrong": 0}, "max_wrong: must be between 0 and 1, got 0"),
        ({"max_wrong": 1.0}, "max_wrong: must be between 0 and 1, got 1.0"),
        ({"max_wrong": float("nan")}, "max_wrong: must be between 0 and 1, got nan"),
        ({"confidence": 95}, "confidence: must be between 0 and 1, got 95"),
        ({"first_hits": 0}, "first_hits: must be at least 1, got 0"),
    ],
)
def test_an_argument_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        tune([], **arguments)


@pytest.mark.parametrize("arguments", [{"max_wrong": "0.02"}, {"first_hits": 2.5}])
def test_an_argument_of_the_wrong_type_is_refused(arguments):
    with pytest.raises(TypeError, match=next(iter(arguments))):
        tune([], **arguments)
