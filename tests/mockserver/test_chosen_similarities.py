import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langcache_mockserver import MockServer, SimilarityTable

from langcache import LangCache


def similarity(embedder, one, other):
    a, b = embedder.embed([one, other])
    return (1 + float(a @ b)) / 2


def test_pairs_have_the_chosen_similarity_in_either_order_and_others_none():
    embedder = SimilarityTable({("a", "b"): 0.95, ("c", "d"): 0.2, ("d", "e"): 0.5})
    for one, other, wanted in (
        ("a", "b", 0.95),
        ("b", "a", 0.95),
        ("c", "d", 0.2),
        ("a", "c", 0.5),
    ):
        assert similarity(embedder, one, other) == pytest.approx(wanted, abs=1e-6)
    assert similarity(embedder, "a", "not in the table") == pytest.approx(0.5)


def test_a_search_goes_by_them():
    embedder = SimilarityTable(
        {("How tall?", "What height?"): 0.92, ("How tall?", "How old?"): 0.7}
    )
    with (
        MockServer(embedder=embedder, listen=False) as server,
        LangCache(server.url, "key", "cache", client=server.client()) as cache,
    ):
        cache.set(prompt="How tall?", response="300 m")
        for prompt, threshold, hits in (
            ("What height?", 0.92, 1),
            ("What height?", 0.93, 0),
            ("How old?", 0.7, 1),
            ("How old?", None, 0),
            ("Something else", 0.65, 0),
        ):
            data = cache.search(prompt=prompt, similarity_threshold=threshold).data
            assert len(data) == hits, (prompt, threshold)


@given(
    st.integers(2, 6).flatmap(
        lambda size: st.lists(
            st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(
                lambda row: np.linalg.norm(row) > 0.1
            ),
            min_size=size,
            max_size=size,
        )
    )
)
def test_any_possible_table_holds(rows):
    vectors = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    similarities = np.clip((1 + vectors @ vectors.T) / 2, 0, 1)
    pairs = {
        (str(a), str(b)): float(similarities[a, b])
        for a, b in itertools.combinations(range(len(rows)), 2)
    }
    embedder = SimilarityTable(pairs)
    embedded = embedder.embed([str(number) for number in range(len(rows))])
    assert np.allclose((1 + embedded @ embedded.T) / 2, similarities, atol=1e-5)


def test_identical_texts_and_opposites_are_possible():
    embedder = SimilarityTable({("a", "b"): 1, ("c", "d"): 0})
    assert similarity(embedder, "a", "b") == pytest.approx(1)
    assert similarity(embedder, "c", "d") == pytest.approx(0, abs=1e-6)


def test_an_impossible_table_is_refused_with_the_rule():
    with pytest.raises(ValueError, match=r"these 2 pairs: .* no eigenvalue below 0") as caught:
        SimilarityTable({("secret a", "b"): 0.95, ("b", "c"): 0.95})
    assert "secret" not in str(caught.value)
    SimilarityTable({("a", "b"): 0.95, ("b", "c"): 0.95, ("a", "c"): 0.9})


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({("a", "b"): 1.1}, "pair 1: must be from 0 to 1"),
        ({("a", "b"): float("nan")}, "pair 1: must be from 0 to 1"),
        ({("a", "b"): 0.5, ("a", "a"): 1}, "pair 2: must be of two texts"),
        ({("a", "b"): 0.5, ("b", "a"): 0.5}, "pair 1: must be given once"),
    ],
)
def test_a_pair_that_makes_no_sense_is_refused(pairs, message):
    with pytest.raises(ValueError, match=message):
        SimilarityTable(pairs)


def test_other_texts_are_nearly_unrelated():
    embedder = SimilarityTable({})
    vectors = embedder.embed([str(number) for number in range(300)])
    similarities = (1 + vectors @ vectors.T) / 2
    others = similarities[~np.eye(300, dtype=bool)]
    assert 0.37 < others.min() < others.max() < 0.63
    assert others.std() == pytest.approx(0.022, abs=0.002)


@given(st.lists(st.text(max_size=8), max_size=5))
def test_a_text_has_its_vector_whatever_else_is_asked_for(texts):
    pairs = {("a", "b"): 0.95}
    one, other = SimilarityTable(pairs), SimilarityTable(pairs)
    together = one.embed(texts)
    assert together.shape == (len(texts), one.dimensions)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(other.embed([text])[0], vector)


def test_tables_that_differ_are_different_models():
    ids = [
        SimilarityTable(pairs).model_id
        for pairs in ({}, {("a", "b"): 0.9}, {("a", "b"): 0.8}, {("a", "c"): 0.9})
    ]
    assert len(set(ids)) == 4
    assert SimilarityTable({("a", "b"): 0.9}).model_id == ids[1]
