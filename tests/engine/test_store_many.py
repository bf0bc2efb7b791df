"""Many entries at once in the storages in memory: what is stored is as one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_entries import EAST, NORTH, make_entry, random_vectors

from examples import examples
from langcache.engine import InMemoryStorage
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage import StorageFullError

NAMESPACES = ("ns", "other")
VECTORS = [EAST, NORTH, *random_vectors(6, 3), *random_vectors(2, 4)]
BAD_VECTORS = [
    np.array([1, 1, 0], np.float32),
    np.array([np.nan, 0, 0], np.float32),
    EAST.astype(np.float16),
    EAST[np.newaxis],
]
DEEP = None
for _ in range(5000):
    DEEP = [DEEP]


def one_by_one(storage, entries):
    for entry in entries:
        storage.store(entry)


def result_of(store, *arguments):
    """Return what a call raises, or None."""
    try:
        store(*arguments)
    except (ValueError, StorageFullError) as error:
        return type(error), str(error)
    return None


def state(storage):
    """Return all that can be seen of a storage."""
    storage.remove_expired()
    entries = {name: list(storage.entries(name)) for name in NAMESPACES}
    pages = [
        storage.list_entries(name, newest_first=newest_first).entries
        for name in NAMESPACES
        for newest_first in (False, True)
    ]
    searches = [
        (name, model, context)
        for name in NAMESPACES
        for model in ("model", "another")
        for context in ("", "context")
    ]
    found = [
        [
            (match.entry, round(match.similarity, 6))
            for match in storage.search_top(vector, *scope, 0.5, limit=5)
        ]
        if all(
            len(entry.embedding) == len(vector)
            for entry in entries[scope[0]]
            if entry.scope == scope
        )
        else None
        for scope in searches
        for vector in VECTORS
    ]
    exact = [
        storage.find_exact(prompt, *scope, limit=9, attributes=attributes)
        for scope in searches
        for prompt in ("PROMPT 1", "prompt 9")
        for attributes in ({}, {"a": "x"})
    ]
    sizes = [
        (storage.namespace_size(name), storage.namespace_bytes(name), storage.model_sizes(name))
        for name in NAMESPACES
    ]
    return entries, pages, found, exact, sizes, storage.namespaces(), storage.usage


ATTRIBUTES = [{}, {"a": "x"}, {"a": "y", "b": "z"}, {str(number): "" for number in range(20)}]
SCOPES = st.fixed_dictionaries(
    {
        "namespace": st.sampled_from(NAMESPACES),
        "embedding_model_id": st.sampled_from(["model", "model", "another"]),
        "context_hash": st.sampled_from(["", "", "context"]),
    }
)


@st.composite
def runs(draw):
    """Entries of one scope and successive ids, which may be there already."""
    first, scope = draw(st.integers(0, 200)), draw(SCOPES)
    expire = draw(st.sampled_from([None, None, 999.0, 1001.0, 1003.0]))
    every = draw(st.integers(1, 40))
    vectors = draw(st.sampled_from([VECTORS[:8], VECTORS[:8], VECTORS[8:]]))
    return [
        make_entry(
            number,
            vectors[number % len(vectors)],
            attributes=ATTRIBUTES[number // 3 % 4],
            metadata=None if number % 5 else {"a": [number]},
            updated_at=900.0 + number % 2,
            expires_at=None if number % every else expire,
            **scope,
        )
        for number in range(first, first + draw(st.integers(1, 90)))
    ]


ODD_ENTRIES = st.one_of(
    st.builds(make_entry, st.integers(0, 300), st.sampled_from([*BAD_VECTORS, *VECTORS[8:]])),
    st.builds(make_entry, st.integers(0, 300), updated_at=st.just(float("nan"))),
    st.builds(make_entry, st.integers(0, 300), metadata=st.just({"deep": DEEP})),
    st.builds(make_entry, st.integers(0, 300), response=st.just("x" * 60_000)),
)


@st.composite
def batches(draw):
    """Runs of entries, and among them now and then one that is odd or comes twice."""
    batch = [entry for run in draw(st.lists(runs(), min_size=1, max_size=3)) for entry in run]
    for place in draw(st.lists(st.integers(0, len(batch)), max_size=2)):
        batch.insert(place, draw(st.one_of(ODD_ENTRIES, st.sampled_from(batch))))
    return batch


IDS = st.lists(st.integers(0, 300).map(str), max_size=20)
STEPS = st.one_of(
    st.tuples(st.just("store"), batches()),
    st.tuples(st.just("store"), batches()),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("use"), IDS),
    st.tuples(st.just("wait"), st.just(1.0)),
)


@pytest.mark.parametrize("block_bytes", [IndexTuning().block_bytes, 60])
@settings(max_examples=examples(50), deadline=None)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=6),
    max_entries=st.sampled_from([None, None, 3, 150]),
    max_bytes=st.sampled_from([None, None, 30_000, 150_000]),
)
def test_many_leave_the_storage_as_one_after_the_other(block_bytes, steps, max_entries, max_bytes):
    now = [1000.0]
    many, single = (
        InMemoryStorage(
            clock=lambda: now[0],
            max_entries=max_entries,
            max_bytes=max_bytes,
            exact=True,
            tuning=IndexTuning(block_bytes=block_bytes),
        )
        for _ in range(2)
    )
    for kind, value in steps:
        if kind == "store":
            raised = result_of(many.store_many, iter(value))
            assert raised == result_of(one_by_one, single, value)
        elif kind == "wait":
            now[0] += value
        else:
            for storage in (many, single):
                (storage.delete if kind == "delete" else storage.mark_used)("ns", value)
        assert state(many) == state(single)


def test_many_are_stored_little_by_little_so_that_others_have_their_turn():
    storage = InMemoryStorage()
    behind = []

    def entries():
        for number, vector in enumerate(random_vectors(500, 3)):
            behind.append(number - storage.namespace_size("ns"))
            yield make_entry(number, vector)

    storage.store_many(entries())
    assert storage.namespace_size("ns") == 500
    assert 0 < max(behind) <= 64
