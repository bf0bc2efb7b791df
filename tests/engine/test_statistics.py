"""The statistics of a cache."""

from __future__ import annotations

import asyncio
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache.engine import Lookup, Num, SemanticCache, Tag
from langcache.engine.statistics import LookupRecorder

FIELDS = [{"name": "user", "type": "tag"}, {"name": "age", "type": "numeric"}]


class PlaneEmbedder:
    """A prompt is an angle in degrees."""

    model_id = "plane"
    dimensions = 2

    def embed(self, texts):
        angles = np.radians([float(text) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    async def aembed(self, texts):
        return self.embed(texts)


@pytest.fixture
def lookups():
    return []


@pytest.fixture
def cache(lookups):
    # A distance of 0.1 is 25.8 degrees, one of 0.2 is 36.9 degrees.
    return SemanticCache(
        vectorizer=PlaneEmbedder(), filterable_fields=FIELDS, on_lookup=lookups.append
    )


def test_a_new_cache_has_counted_nothing(cache):
    statistics = cache.statistics
    assert (statistics.hits, statistics.misses, statistics.near_misses) == (0, 0, 0)
    assert (statistics.entries, statistics.bytes, statistics.lookups) == (0, 0, 0)
    assert statistics.hit_rate is None
    assert statistics.search_seconds.mean is None


def test_hits_misses_and_near_misses_are_counted(cache, lookups):
    cache.check("0")
    cache.store("0", "yes")
    for angle in ("0", "25", "26", "36", "37", "90"):
        cache.check(angle)
    statistics = cache.statistics
    assert (statistics.hits, statistics.misses, statistics.near_misses) == (2, 5, 2)
    assert statistics.lookups == 7
    assert statistics.hit_rate == pytest.approx(2 / 7)
    assert [lookup.near_miss for lookup in lookups] == [False] * 3 + [True] * 2 + [False] * 2
    distances = [lookup.best_distance for lookup in lookups]
    expected = [1 - np.cos(np.radians(angle)) for angle in (0, 25, 26, 36)]
    assert distances[1:5] == pytest.approx(expected, abs=1e-6)
    assert distances[:1] + distances[5:] == [None] * 3


def test_only_what_the_filter_lets_through_can_be_a_near_miss(cache, lookups):
    cache.store("30", "near", filters={"user": "ann", "age": 3})
    for expression in (Tag("user") == "ann", Num("age") == 3, Tag("user") == "bob", Num("age") > 3):
        assert cache.check("0", filter_expression=expression, num_results=2) == []
    assert [lookup.near_miss for lookup in lookups] == [True, True, False, False]


def test_every_lookup_is_reported_with_its_times(cache, lookups):
    cache.store("0", "yes")
    cache.check("0", num_results=3)
    cache.check(vector=[0.0, 1.0])
    asyncio.run(cache.acheck("1"))
    cache.get_or_compute("180", lambda _: "computed")
    assert [lookup.hits for lookup in lookups] == [1, 0, 1, 0]
    assert [lookup.embedding_seconds is None for lookup in lookups] == [False, True, False, False]
    assert all(lookup.search_seconds > 0 for lookup in lookups)
    statistics = cache.statistics
    assert statistics.embedding_seconds.count == 3
    assert statistics.search_seconds.count == 4
    total = sum(lookup.search_seconds for lookup in lookups)
    assert statistics.search_seconds.sum == pytest.approx(total)
    assert statistics.search_seconds.mean == pytest.approx(total / 4)


def test_what_the_callback_raises_reaches_the_caller(cache):
    def fail(lookup):
        raise LookupError

    cache = SemanticCache(vectorizer=PlaneEmbedder(), on_lookup=fail)
    with pytest.raises(LookupError):
        cache.check("0")
    assert cache.statistics.misses == 1


def test_a_refused_lookup_is_not_counted(cache, lookups):
    with pytest.raises(ValueError, match="num_results"):
        cache.check("0", num_results=-1)
    assert cache.statistics.lookups == 0
    assert lookups == []


def test_entries_and_bytes_are_those_of_the_moment(cache):
    cache.store("0", "é", filters={"user": "ann"}, metadata={"a": 1})
    # The prompt, é in two bytes, the filter's name and value, the metadata, two float32.
    expected = 1 + 2 + 7 + len("{'a': 1}") + 8
    assert (cache.statistics.entries, cache.statistics.bytes) == (1, expected)
    assert asyncio.run(cache.astatistics()) == cache.statistics
    cache.store("90", "xy", ttl=1)
    assert cache.statistics.bytes == expected + 2 + 2 + 8
    cache.clear()
    assert (cache.statistics.entries, cache.statistics.bytes) == (0, 0)


def test_a_snapshot_does_not_change(cache):
    before = cache.statistics
    cache.check("0")
    assert before.misses == 0
    with pytest.raises(AttributeError):
        before.misses = 3


@given(st.lists(st.floats(0, 100)))
def test_every_duration_is_in_the_bucket_of_its_bounds(durations):
    recorder = LookupRecorder()
    for seconds in durations:
        recorder.record(Lookup(1, False, 0.0, None, seconds))
    histogram = recorder.snapshot(0, 0).search_seconds
    assert list(histogram.bounds) == sorted(set(histogram.bounds))
    upper = [*histogram.bounds, float("inf")]
    lower = [-1.0, *histogram.bounds]
    expected = [
        sum(low < seconds <= high for seconds in durations)
        for low, high in zip(lower, upper, strict=True)
    ]
    assert list(histogram.counts) == expected
    assert histogram.sum == pytest.approx(sum(durations))


def test_lookups_of_several_threads_are_all_counted():
    recorder = LookupRecorder()
    lookup = Lookup(0, True, 0.15, 0.001, 0.001)

    def work():
        for _ in range(2000):
            recorder.record(lookup)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = recorder.snapshot(0, 0)
    assert statistics.misses == statistics.near_misses == statistics.search_seconds.count == 8000


def test_counting_a_lookup_without_its_prompt_takes_a_dozen_calls_at_most():
    # About 1 µs. Calls are counted, because the time depends on what else the machine does.
    recorder = LookupRecorder()
    lookup = Lookup(1, False, 0.01, 0.0013, 0.0002)
    called = []
    sys.setprofile(lambda _, event, __: called.append(event))
    try:
        recorder.record(lookup)
    finally:
        sys.setprofile(None)
    assert 0 < sum(event in {"call", "c_call"} for event in called) <= 12, called
