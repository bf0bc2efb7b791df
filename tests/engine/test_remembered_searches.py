"""Searches in memory that come again, and the nearest entry of a search that finds nothing."""

from __future__ import annotations

import numpy as np
import pytest
from short_lists import short_lists
from stored_entries import SCOPE, make_entry, random_vectors

from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage import InMemoryStorage, TopSearch

VECTORS = random_vectors(100, 16)


def fixed(vector):
    """Return a copy that cannot change."""
    copy = np.array(vector)
    copy.flags.writeable = False
    return copy


def filled(tuning=None, **arguments):
    storage = InMemoryStorage(**arguments, tuning=tuning or IndexTuning())
    for number, vector in enumerate(VECTORS[:50]):
        storage.store(make_entry(number, vector, expires_at=100.0 if number == 1 else None))
    return storage


def recalled(storage, search):
    """Return the ids of what is remembered, or None; a search for it finds the same."""
    known = storage.recall(search)
    found = [match.entry.id for match in storage.search_top_together([search])[0]]
    assert known is None or [match.entry.id for match in known] == found
    return None if known is None else found


def found_by(storage, *searches):
    found = storage.search_top_together(searches)
    return [[match.entry.id for match in each] for each in found]


def test_what_a_search_has_found_is_remembered():
    storage = filled(clock=lambda: 0.0)
    first, second = (TopSearch(fixed(vector), *SCOPE, 0.99) for vector in VECTORS[:2])
    assert recalled(storage, first) is None
    assert recalled(storage, first) == ["0"]
    assert found_by(storage, first, second) == [["0"], ["1"]]
    assert recalled(storage, second) == ["1"]
    (match,) = storage.recall(first)
    assert match.similarity == pytest.approx(1)
    assert np.array_equal(match.entry.embedding, VECTORS[0])


def test_what_is_remembered_cannot_be_changed():
    storage = filled(clock=lambda: 0.0)
    with_metadata = make_entry(50, VECTORS[50], metadata={"list": [1]})
    storage.store(with_metadata)
    first, last = (TopSearch(fixed(VECTORS[number]), *SCOPE, 0.99) for number in (0, 50))
    assert found_by(storage, first, last) == [["0"], ["50"]]
    (match,) = storage.recall(first)
    with pytest.raises(ValueError, match="read-only"):
        match.entry.embedding[:] = 0
    with pytest.raises(TypeError):
        match.entry.attributes["topic"] = "other"
    (match,) = storage.recall(last)
    match.entry.metadata["list"].append(2)
    (match,) = storage.recall(last)
    assert match.entry == with_metadata


def test_other_searches_for_a_vector_are_not_mixed_up():
    storage = filled(clock=lambda: 0.0)
    vector = fixed(VECTORS[0])
    search = TopSearch(vector, *SCOPE, 0.99)
    assert found_by(storage, search) == [["0"]]
    for change in (
        {"threshold": 0.0},
        {"limit": 5},
        {"nearest": True},
        {"attributes": {"none": "such"}},
        {"namespace": "other"},
    ):
        assert recalled(storage, search._replace(**change)) is None
    assert recalled(storage, search._replace(attributes={"none": "such"})) is None


def test_a_vector_that_can_change_is_not_recognised():
    storage = filled(clock=lambda: 0.0)
    for vector in (np.array(VECTORS[0]), fixed(VECTORS[:2])[0]):
        search = TopSearch(vector, *SCOPE, 0.99)
        assert recalled(storage, search) is None
        assert recalled(storage, search) is None


def test_no_more_searches_are_remembered_than_there_are_entries_for():
    storage = filled(clock=lambda: 0.0)
    searches = [TopSearch(fixed(vector), *SCOPE, 0.99) for vector in VECTORS[:20]]
    for search in searches:
        recalled(storage, search)
    assert sum(storage.recall(search) is not None for search in searches) == 50 // 8


def test_nothing_is_remembered_after_a_change():
    now = 0.0
    storage = filled(clock=lambda: now)
    search = TopSearch(fixed(VECTORS[1]), *SCOPE, 0.99)

    def changes(found):
        assert recalled(storage, search) is None
        assert found_by(storage, search) == [found]

    changes(["1"])
    storage.store(make_entry("new", VECTORS[1], updated_at=1e12))
    changes(["new"])
    storage.delete("ns", ["new"])
    changes(["1"])
    now = 100.0
    changes([])
    storage.store(make_entry("0", VECTORS[1]))
    changes(["0"])
    storage.invalidate_namespace("ns")
    changes([])


@pytest.mark.parametrize(
    "tuning",
    [
        IndexTuning(),
        IndexTuning(few_together=2, scan_rows=8),
        IndexTuning(small_numbers=0),
        short_lists(small_numbers=0),
    ],
    ids=["one by one", "together", "large", "lists"],
)
def test_a_search_without_a_hit_can_return_about_the_nearest_entry(tuning):
    storage = filled(tuning, clock=lambda: 0.0)
    for vector, other in zip(VECTORS[50:60], VECTORS[60:70], strict=True):
        searches = [TopSearch(each, *SCOPE, 0.999, nearest=True) for each in (vector, other)]
        for search, (match,) in zip(searches, storage.search_top_together(searches), strict=True):
            best = storage.search_top(search.embedding, *SCOPE, 0.0)[0]
            assert match.similarity == pytest.approx(best.similarity, abs=0.02)
            exact = (1 + float(match.entry.embedding @ search.embedding)) / 2
            assert match.similarity == pytest.approx(exact, abs=1e-5)
    assert found_by(storage, TopSearch(VECTORS[50], *SCOPE, 0.999)) == [[]]
    empty = InMemoryStorage()
    assert found_by(empty, TopSearch(VECTORS[50], *SCOPE, 0.999, nearest=True)) == [[]]
