"""What every storage backend must do, whichever it is.

The rules are in `langcache.engine.testing`; here they meet each backend, and besides them is what
they leave open: any text, and the words of the errors.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_entries import EAST, NORTH, SCOPE, make_entry

from langcache.engine.storage import (
    CacheEntry,
    InMemoryStorage,
    Match,
    SearchResult,
    SQLiteStorage,
)
from langcache.engine.testing import ManualClock, StorageConformance, check_storage

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_storage.py"
DictStorage = runpy.run_path(str(EXAMPLE))["DictStorage"]


_directory = tempfile.TemporaryDirectory()
_numbers = itertools.count()


def make_sqlite(clock):
    return SQLiteStorage(Path(_directory.name, f"{next(_numbers)}.sqlite3"), clock=clock)


BACKENDS = {
    "memory": lambda clock: InMemoryStorage(clock=clock),
    "sqlite": make_sqlite,
    "user-written": DictStorage,
}


class TestInMemoryStorage(StorageConformance):
    def make(self, clock):
        return InMemoryStorage(clock=clock)


class TestSQLiteStorage(StorageConformance):
    def make(self, clock):
        return make_sqlite(clock)


class TestUserWrittenStorage(StorageConformance):
    def make(self, clock):
        return DictStorage(clock)


def test_the_rules_can_be_checked_without_pytest():
    clocks = []

    def make(clock):
        clocks.append(clock)
        return InMemoryStorage(clock=clock)

    check_storage(make)
    rules = [name for name in dir(StorageConformance) if name.startswith("test_")]
    assert len(clocks) == 2 * len(rules)


def test_the_example_of_a_storage_of_ones_own_runs():
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "DictStorage does what a storage must do.",
        "How can I reset my password? -> Open Settings, choose Security, Reset password.",
        "What is the capital of France? -> a miss",
    ]


class Forgetful(DictStorage):
    def delete(self, namespace, entry_ids):
        super().delete(namespace, list(entry_ids)[:1])
        return len(entry_ids)


class Undead(DictStorage):
    def __init__(self, clock):
        super().__init__(lambda: 0.0)


class Sloppy(DictStorage):
    def search(self, embedding, namespace, embedding_model_id, context_hash, threshold):
        return super().search(embedding, namespace, embedding_model_id, "", threshold)


class Careless(DictStorage):
    def store(self, entry):
        with self._lock:
            self._entries[entry.namespace, entry.id] = entry


@pytest.mark.parametrize("broken", [Forgetful, Undead, Sloppy, Careless])
def test_a_storage_that_breaks_a_rule_fails(broken):
    # A rule may also look into a result that is not there.
    with pytest.raises((AssertionError, AttributeError)):
        check_storage(broken)


@pytest.fixture(params=BACKENDS)
def storage(request):
    made = BACKENDS[request.param](ManualClock())
    yield made
    made.close()


def vector(*numbers):
    array = np.array(numbers, np.float32)
    return array / np.linalg.norm(array)


any_text = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize("kind", BACKENDS)
@settings(deadline=None)
@given(
    prompt=any_text,
    response=any_text,
    attributes=st.dictionaries(any_text, any_text, max_size=20),
    namespace=any_text,
    model=any_text,
    context=any_text,
)
def test_any_text_is_kept_and_found(kind, prompt, response, attributes, namespace, model, context):
    storage = BACKENDS[kind](ManualClock())
    entry = make_entry(
        prompt=prompt,
        response=response,
        attributes=attributes,
        namespace=namespace,
        embedding_model_id=model,
        context_hash=context,
    )
    storage.store(entry)
    scope = (namespace, model, context)
    assert storage.search(EAST, *scope, 1.0).entry == entry
    assert storage.search_top(EAST, *scope, 1.0, attributes=attributes)[0].entry == entry
    assert storage.find_exact(prompt, *scope, attributes=attributes) == [entry]
    for name, value in attributes.items():
        assert storage.search_top(EAST, *scope, 0.0, attributes={name: value + "x"}) == []
    assert storage.delete_by_attributes(namespace, attributes) == 1
    storage.close()


# What is said about bad input


BAD_EMBEDDINGS = {
    "float64": (EAST.astype(np.float64), "float32, got float64"),
    "list": ([1.0, 0.0, 0.0], "float32, got list"),
    "matrix": (EAST[None], r"shape \(dimensions,\), got \(1, 3\)"),
    "scalar": (np.float32(1), r"shape \(dimensions,\), got \(\)"),
    "fewer": (vector(1, 0), "3 dimensions, got 2"),
    "more": (vector(1, 0, 0, 0), "3 dimensions, got 4"),
    "empty": (np.empty(0, np.float32), "dimensions, got 0|length 0"),
    "zero": (np.zeros(3, np.float32), "length 1, got length 0"),
    "long": (2 * EAST, "length 1, got length 2"),
    "nan": (np.array([math.nan, 0, 1], np.float32), "finite"),
    "infinite": (np.array([math.inf, 0, 0], np.float32), "finite"),
    "huge": (np.array([3e38, 0, 0], np.float32), "finite"),
}


@pytest.mark.parametrize("bad", BAD_EMBEDDINGS)
def test_a_bad_embedding_is_refused_and_nothing_changes(storage, bad):
    embedding, message = BAD_EMBEDDINGS[bad]
    storage.store(make_entry())
    for id in ("1", "2"):
        with pytest.raises(ValueError, match=f"^embedding: .*({message})"):
            storage.store(make_entry(id, embedding))
    with pytest.raises(ValueError, match=f"^embedding: .*({message})"):
        storage.search(embedding, *SCOPE, 0.9)
    with pytest.raises(ValueError, match=f"^embedding: .*({message})"):
        storage.search_top(embedding, *SCOPE, 0.9)
    assert list(storage.entries("ns")) == [make_entry()]
    assert storage.search(EAST, *SCOPE, 1.0).entry == make_entry()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan, math.inf])
def test_a_bad_threshold_is_refused(storage, threshold):
    for search in (storage.search, storage.search_top):
        with pytest.raises(ValueError, match=f"^threshold: must be from 0 to 1, got {threshold}"):
            search(EAST, *SCOPE, threshold)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_bad_limit_is_refused(storage, limit):
    with pytest.raises(ValueError, match=f"^limit: must be at least 1, got {limit}"):
        storage.search_top(EAST, *SCOPE, 0.5, limit=limit)
    with pytest.raises(ValueError, match=f"^limit: must be at least 1, got {limit}"):
        storage.find_exact("prompt", *SCOPE, limit=limit)


@pytest.mark.parametrize("name", ["updated_at", "expires_at"])
def test_a_time_that_is_no_number_is_refused(storage, name):
    with pytest.raises(ValueError, match=f"^{name}: must be a number of seconds, got nan"):
        storage.store(make_entry(**{name: math.nan}))
    assert storage.namespace_size("ns") == 0


# Values


def test_the_repr_of_an_entry_shows_no_text_of_the_user():
    entry = make_entry(
        prompt="SECRET", response="SECRET", attributes={"a": "SECRET"}, metadata={"a": "SECRET"}
    )
    for shown in (entry, SearchResult(entry, 1.0), Match(entry, 1.0)):
        assert "SECRET" not in repr(shown)
        assert "array" not in repr(shown)
        assert "id='1'" in repr(shown)


@pytest.mark.parametrize("field", dataclasses.fields(CacheEntry), ids=lambda field: field.name)
def test_entries_are_equal_when_all_their_fields_are(field):
    changed = {"embedding": NORTH, "attributes": {"a": "b"}}.get(field.name, "other")
    assert make_entry() == make_entry()
    assert make_entry() != dataclasses.replace(make_entry(), **{field.name: changed})
    assert make_entry() != "an entry"
