"""Several searches in memory at once: they find what each of them finds alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from short_lists import short_lists
from stored_entries import SCOPE, make_entry, random_vectors, unit

from examples import examples
from langcache.engine.search.codes import CodedQueries
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage import InMemoryStorage, TopSearch

DIMENSIONS = 8
VECTORS = random_vectors(40, DIMENSIONS)
# Some are equal, some alike, and some are far from all others.
ALIKE = unit(np.concatenate([VECTORS, VECTORS[:20], VECTORS[:20] + 0.05 * VECTORS[20:]]))


@pytest.fixture(params=["small", "large", "lists"])
def tuning(request):
    """An index that is searched under the lock, one that is not, and one that has lists."""
    constants = {
        "block_bytes": 16 * 4 * DIMENSIONS,
        "most_found": 5,
        "scan_rows": 7,
        "searches_together": 4,
        "few_together": 2,
    }
    if request.param != "small":
        constants["small_numbers"] = 0
    return short_lists(**constants) if request.param == "lists" else IndexTuning(**constants)


@pytest.fixture
def looks(monkeypatch):
    """A list that grows with every look at the codes of a block."""
    made = []
    multiply = CodedQueries.multiply

    def noting_multiply(self, *arguments):
        made.append(len(self.codes))
        return multiply(self, *arguments)

    monkeypatch.setattr(CodedQueries, "multiply", noting_multiply)
    return made


def alone(storage, search):
    embedding, namespace, model, context, threshold, limit, attributes = search[:7]
    return storage.search_top(
        embedding, namespace, model, context, threshold, limit=limit, attributes=attributes
    )


def assert_same(together, each_alone):
    assert [[match.entry for match in found] for found in together] == [
        [match.entry for match in found] for found in each_alone
    ]
    for found, same in zip(together, each_alone, strict=True):
        assert [match.similarity for match in found] == pytest.approx(
            [match.similarity for match in same], abs=1e-6
        )


attributes = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)
numbers = st.integers(0, len(ALIKE) - 1)
scopes = st.sampled_from([SCOPE, ("ns", "model", "context"), ("other", "model", "")])


def test_searches_find_together_what_each_finds_alone(tuning):
    @settings(max_examples=examples(50), deadline=None)
    @given(
        stored=st.lists(
            st.tuples(numbers, scopes, attributes, st.integers(0, 3)), min_size=1, max_size=60
        ),
        asked=st.lists(
            st.tuples(
                numbers,
                scopes,
                st.sampled_from([0.0, 0.6, 0.95, 1.0]),
                st.integers(1, 4),
                st.none() | attributes,
            ),
            max_size=12,
        ),
        later=st.integers(0, 3),
    )
    def check(stored, asked, later):
        now = 0
        storage = InMemoryStorage(clock=lambda: now, tuning=tuning)
        for id, (number, scope, names, ttl) in enumerate(stored):
            namespace, model, context = scope
            entry = make_entry(
                id,
                ALIKE[number],
                namespace=namespace,
                embedding_model_id=model,
                context_hash=context,
                attributes=names,
                # Not two at the same moment, because then equal ones may come in any order.
                updated_at=float(id * 7 % 61),
                expires_at=float(ttl) if ttl else None,
            )
            storage.store(entry)
        now = later
        searches = [TopSearch(ALIKE[number], *scope, *rest) for number, scope, *rest in asked]
        together = storage.search_top_together(searches)
        assert_same(together, [alone(storage, search) for search in searches])
        storage.close()

    check()


def test_many_rows_and_many_searches_find_the_same():
    vectors = random_vectors(3000, 64)
    near = unit(vectors[:50] + 0.04 * random_vectors(50, 64, seed=1))
    storage = InMemoryStorage()
    for number, vector in enumerate(vectors):
        storage.store(make_entry(number, vector))
    searches = [TopSearch(vector, *SCOPE, 0.9, 2) for vector in near]
    together = storage.search_top_together(searches)
    assert [found[0].entry.id for found in together] == [str(number) for number in range(50)]
    assert_same(together, [alone(storage, search) for search in searches])


def test_they_share_each_look_at_the_vectors(looks):
    storage = InMemoryStorage()
    for number, vector in enumerate(VECTORS):
        storage.store(make_entry(number, vector))
    searches = [TopSearch(vector, *SCOPE, 0.99) for vector in VECTORS[:20]]
    found = storage.search_top_together(searches)
    assert [match.entry.id for each in found for match in each] == [str(each) for each in range(20)]
    assert looks == [16, 4]


def test_what_is_stored_meanwhile_is_found(monkeypatch):
    storage = InMemoryStorage(tuning=IndexTuning(small_numbers=0))
    storage.store(make_entry("first", VECTORS[0]))
    storage.store(make_entry("old", VECTORS[1]))
    multiply = CodedQueries.multiply

    def slow_multiply(*arguments):
        products = multiply(*arguments)
        storage.store(make_entry("second", VECTORS[2]))
        storage.delete("ns", ["old"])
        return products

    monkeypatch.setattr(CodedQueries, "multiply", slow_multiply)
    searches = [TopSearch(vector, *SCOPE, 0.99) for vector in VECTORS[:3]]
    found = storage.search_top_together(searches)
    assert [[match.entry.id for match in each] for each in found] == [["first"], [], ["second"]]


def test_no_search_is_done_if_one_of_them_is_malformed(looks):
    storage = InMemoryStorage()
    for number, vector in enumerate(VECTORS):
        storage.store(make_entry(number, vector))
    good = [TopSearch(vector, *SCOPE, 0.9) for vector in VECTORS[:4]]
    for field, wrong in (
        ("embedding", 2 * VECTORS[0]),
        ("embedding", VECTORS[0].astype(np.float64)),
        ("embedding", np.full(DIMENSIONS, np.nan, np.float32)),
        ("embedding", np.zeros(DIMENSIONS + 1, np.float32)),
        ("embedding", VECTORS[:1]),
        ("threshold", 1.1),
        ("limit", 0),
    ):
        searches = [*good, good[0]._replace(**{field: wrong})]
        with pytest.raises(ValueError, match=f"^{field}: "):
            storage.search_top_together(searches)
    assert storage.search_top_together([]) == []
    assert storage.search_top_together(good)[0][0].entry.id == "0"


def test_the_vectors_of_the_answers_are_copies():
    storage = InMemoryStorage()
    for number, vector in enumerate(VECTORS):
        storage.store(make_entry(number, vector))
    searches = [TopSearch(vector, *SCOPE, 0.9) for vector in VECTORS[:8]]
    for found in storage.search_top_together(searches):
        assert found[0].entry.embedding.base is None
        found[0].entry.embedding[:] = 0
    assert_same(
        storage.search_top_together(searches), [alone(storage, search) for search in searches]
    )
