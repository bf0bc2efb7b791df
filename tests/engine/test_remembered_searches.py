"""Searches in memory that come again, and the nearest entry of a search that finds nothing."""

from __future__ import annotations

import numpy as np
import pytest
from short_lists import short_lists
from stored_entries import SCOPE, make_entry, random_vectors

from langcache.engine.search.index import VectorIndex
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


def found_by(storage, *searches):
    found = storage.search_top_together(searches)
    return [[match.entry.id for match in each] for each in found]


@pytest.fixture
def scans(monkeypatch):
    """A list that grows with the number of vectors of every scan."""
    made = []
    search = VectorIndex.search

    def noting_search(self, vectors, wanted):
        made.append(len(vectors))
        return search(self, vectors, wanted)

    monkeypatch.setattr(VectorIndex, "search", noting_search)
    return made


def test_a_search_that_comes_again_needs_no_scan(scans):
    storage = filled(clock=lambda: 0.0)
    first, second = (TopSearch(fixed(vector), *SCOPE, 0.99) for vector in VECTORS[:2])
    assert found_by(storage, first) == [["0"]]
    assert found_by(storage, first) == [["0"]]
    assert found_by(storage, second, first) == [["1"], ["0"]]
    assert scans == [1, 1]
    (match,) = storage.search_top_together([first])[0]
    match.entry.embedding[:] = 0
    (match,) = storage.search_top_together([first])[0]
    assert match.similarity == pytest.approx(1)
    assert np.array_equal(match.entry.embedding, VECTORS[0])


def test_other_searches_for_a_vector_are_not_mixed_up():
    storage = filled(clock=lambda: 0.0)
    vector = fixed(VECTORS[0])
    assert found_by(storage, TopSearch(vector, *SCOPE, 0.99)) == [["0"]]
    assert len(found_by(storage, TopSearch(vector, *SCOPE, 0.0, 5))[0]) == 5
    assert found_by(storage, TopSearch(vector, *SCOPE, 0.99, 1, {"none": "such"})) == [[]]
    assert found_by(storage, TopSearch(vector, "other", *SCOPE[1:], 0.99)) == [[]]


def test_a_vector_that_can_change_is_searched_for_anew():
    storage = filled(clock=lambda: 0.0)
    vector = np.array(VECTORS[0])
    search = TopSearch(vector, *SCOPE, 0.99)
    assert found_by(storage, search) == [["0"]]
    vector[:] = VECTORS[2]
    assert found_by(storage, search) == [["2"]]


def test_every_change_shows_in_a_search_that_comes_again():
    now = 0.0
    storage = filled(clock=lambda: now)
    search = TopSearch(fixed(VECTORS[1]), *SCOPE, 0.99)
    assert found_by(storage, search) == [["1"]]
    storage.store(make_entry("new", VECTORS[1], updated_at=1e12))
    assert found_by(storage, search) == [["new"]]
    storage.delete("ns", ["new"])
    assert found_by(storage, search) == [["1"]]
    now = 100.0
    assert found_by(storage, search) == [[]]
    storage.store(make_entry("again", VECTORS[1]))
    assert found_by(storage, search) == [["again"]]
    storage.invalidate_namespace("ns")
    assert found_by(storage, search) == [[]]


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
