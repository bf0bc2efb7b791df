"""The nearest entry of a search in memory that finds nothing."""

from __future__ import annotations

import pytest
from short_lists import short_lists
from stored_entries import SCOPE, make_entry, random_vectors

from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage import InMemoryStorage, TopSearch

VECTORS = random_vectors(100, 16)


def found_by(storage, search):
    return [match.entry.id for match in storage.search_top_together([search])[0]]


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
    storage = InMemoryStorage(tuning=tuning)
    for number, vector in enumerate(VECTORS[:50]):
        storage.store(make_entry(number, vector))
    for vector, other in zip(VECTORS[50:60], VECTORS[60:70], strict=True):
        searches = [TopSearch(each, *SCOPE, 0.999, nearest=True) for each in (vector, other)]
        for search, (match,) in zip(searches, storage.search_top_together(searches), strict=True):
            best = storage.search_top(search.embedding, *SCOPE, 0.0)[0]
            assert match.similarity == pytest.approx(best.similarity, abs=0.02)
            exact = (1 + float(match.entry.embedding @ search.embedding)) / 2
            assert match.similarity == pytest.approx(exact, abs=1e-5)
    assert found_by(storage, TopSearch(VECTORS[50], *SCOPE, 0.999)) == []
    empty = InMemoryStorage()
    assert found_by(empty, TopSearch(VECTORS[50], *SCOPE, 0.999, nearest=True)) == []
