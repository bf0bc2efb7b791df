"""What every storage backend must do, whichever it is.

To run these tests against another backend, add it to `BACKENDS`: a function that takes a clock and
returns an empty backend.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache.engine.storage import (
    CacheEntry,
    InMemoryStorage,
    Match,
    SearchResult,
    StorageBackend,
)
from langcache.engine.storage.base import check_embedding, check_entry, least_cosine, similarity_of


class ListStorage(StorageBackend):
    """A user's own backend: the abstract methods and nothing else."""

    def __init__(self, clock):
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], CacheEntry] = {}

    def store(self, entry):
        check_entry(entry)
        with self._lock:
            for other in self._live(entry.namespace):
                if self._scope(other) == self._scope(entry):
                    check_embedding(entry.embedding, len(other.embedding))
            self._entries[entry.namespace, entry.id] = copy.deepcopy(entry)

    def search(self, embedding, namespace, embedding_model_id, context_hash, threshold):
        check_embedding(embedding)
        least = least_cosine(threshold)
        scope = (namespace, embedding_model_id, context_hash)
        candidates = [entry for entry in self.entries(namespace) if self._scope(entry) == scope]
        if not candidates:
            return None
        check_embedding(embedding, len(candidates[0].embedding))
        found = [(float(entry.embedding.dot(embedding)), entry) for entry in candidates]
        best = max(cosine for cosine, _ in found)
        cosine, entry = max(
            ((cosine, entry) for cosine, entry in found if cosine >= best - 2e-6),
            key=lambda pair: pair[1].updated_at,
        )
        return SearchResult(entry if cosine >= least else None, similarity_of(cosine))

    def delete(self, namespace, entry_ids):
        with self._lock:
            doomed = [entry for entry in self._live(namespace) if entry.id in entry_ids]
            for entry in doomed:
                del self._entries[namespace, entry.id]
            return len(doomed)

    def invalidate_namespace(self, namespace):
        return self.delete(namespace, [entry.id for entry in self.entries(namespace)])

    def clear(self):
        with self._lock:
            self._entries.clear()

    def namespace_size(self, namespace):
        with self._lock:
            return len(self._live(namespace))

    def entries(self, namespace):
        with self._lock:
            return iter(copy.deepcopy(self._live(namespace)))

    def _live(self, namespace):
        now = self._clock()
        return [
            entry
            for entry in self._entries.values()
            if entry.namespace == namespace and (entry.expires_at or math.inf) > now
        ]

    @staticmethod
    def _scope(entry):
        return entry.namespace, entry.embedding_model_id, entry.context_hash


BACKENDS = {
    "memory": lambda clock: InMemoryStorage(clock=clock),
    "user-written": ListStorage,
}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Sync:
    """Calls a backend's methods by their names."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def end(self):
        self._backend.close()


class Async:
    """Calls the asynchronous twins of a backend's methods."""

    def __init__(self, backend):
        self._backend = backend
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name):
        twin = getattr(self._backend, f"a{name}")
        return lambda *args, **kwargs: self._loop.run_until_complete(twin(*args, **kwargs))

    def entries(self, namespace):
        async def collect():
            return [entry async for entry in self._backend.aentries(namespace)]

        return self._loop.run_until_complete(collect())

    def end(self):
        self._loop.run_until_complete(self._backend.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=BACKENDS)
def make(request, clock):
    return lambda: BACKENDS[request.param](clock)


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def storage(request, make):
    caller = request.param(make())
    yield caller
    caller.end()


def vector(*numbers):
    array = np.array(numbers, np.float32)
    return array / np.linalg.norm(array)


def at_similarity(similarity, dimensions=3):
    """A vector whose similarity to EAST is the given one."""
    cosine = 2 * similarity - 1
    rest = [0.0] * (dimensions - 2)
    return np.array([cosine, math.sqrt(1 - cosine**2), *rest], np.float32)


EAST = vector(1, 0, 0)
NORTH = vector(0, 1, 0)
UP = vector(0, 0, 1)
SCOPE = ("ns", "model", "")


def make_entry(id="1", embedding=EAST, **changes):
    fields = {
        "id": id,
        "prompt": f"prompt {id}",
        "response": f"response {id}",
        "embedding": embedding,
        "namespace": "ns",
        "embedding_model_id": "model",
        "created_at": 900.0,
        "updated_at": 900.0,
    }
    return CacheEntry(**(fields | changes))


def ids(found):
    return [each.entry.id if isinstance(each, Match) else each.id for each in found]


# What comes back


def test_an_entry_comes_back_as_it_was_stored(storage):
    entry = make_entry(
        attributes={"user": "Ω", "empty": "", "with,comma": "a,b"},
        metadata={"tokens": 3, "nested": {"list": [1, None]}},
        context_hash="c",
        updated_at=950.25,
        expires_at=2000.5,
    )
    storage.store(entry)
    scope = ("ns", "model", "c")
    assert storage.get("ns", "1") == entry
    assert storage.search(EAST, *scope, 0.9).entry == entry
    assert [match.entry for match in storage.search_top(EAST, *scope, 0.9)] == [entry]
    assert storage.find_exact("prompt 1", *scope) == [entry]
    assert list(storage.entries("ns")) == [entry]


@pytest.mark.parametrize("metadata", [None, {}])
def test_no_metadata_and_empty_metadata_differ(storage, metadata):
    storage.store(make_entry(metadata=metadata))
    assert storage.get("ns", "1").metadata == metadata


def test_an_empty_storage_answers_everything(storage):
    assert storage.search(EAST, *SCOPE, 0.0) is None
    assert storage.search_top(EAST, *SCOPE, 0.0) == []
    assert storage.find_exact("prompt", *SCOPE) == []
    assert storage.get("ns", "1") is None
    assert list(storage.entries("ns")) == []
    assert storage.namespace_size("ns") == 0
    assert storage.delete("ns", ["1"]) == 0
    assert storage.delete_by_attributes("ns", {"a": "b"}) == 0
    assert storage.delete_by_attributes("ns", {}) == 0
    assert storage.invalidate_namespace("ns") == 0
    storage.clear()


def test_what_was_passed_in_can_change_without_harm(storage):
    embedding, attributes, metadata = EAST.copy(), {"a": "b"}, {"list": [1]}
    storage.store(make_entry(embedding=embedding, attributes=attributes, metadata=metadata))
    embedding[:] = NORTH
    attributes["a"] = "changed"
    metadata["list"].append(2)
    stored = storage.get("ns", "1")
    assert np.array_equal(stored.embedding, EAST)
    assert stored.attributes == {"a": "b"}
    assert stored.metadata == {"list": [1]}


def test_what_comes_out_can_change_without_harm(storage):
    storage.store(make_entry(attributes={"a": "b"}, metadata={"list": [1]}))
    for entry in (
        storage.get("ns", "1"),
        storage.search(EAST, *SCOPE, 0.9).entry,
        storage.find_exact("prompt 1", *SCOPE)[0],
        next(iter(storage.entries("ns"))),
    ):
        entry.embedding[:] = NORTH
        entry.attributes["a"] = "changed"
        entry.metadata["list"].append(2)
    assert storage.search(EAST, *SCOPE, 1.0).best_score == pytest.approx(1, abs=1e-6)
    assert storage.get("ns", "1").attributes == {"a": "b"}
    assert storage.get("ns", "1").metadata == {"list": [1]}


any_text = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize("kind", BACKENDS)
@given(
    prompt=any_text,
    response=any_text,
    attributes=st.dictionaries(any_text, any_text, max_size=20),
    namespace=any_text,
    model=any_text,
    context=any_text,
)
def test_any_text_is_kept_and_found(kind, prompt, response, attributes, namespace, model, context):
    storage = BACKENDS[kind](Clock())
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


# Similarity and threshold


@pytest.mark.parametrize(
    ("embedding", "similarity"),
    [(EAST, 1.0), (-EAST, 0.0), (NORTH, 0.5), (at_similarity(0.9), 0.9)],
)
def test_similarity_is_half_of_one_plus_the_cosine(storage, embedding, similarity):
    storage.store(make_entry(embedding=embedding))
    assert storage.search(EAST, *SCOPE, 0.0).best_score == pytest.approx(similarity, abs=1e-6)
    (match,) = storage.search_top(EAST, *SCOPE, 0.0)
    assert match.similarity == pytest.approx(similarity, abs=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 384, 1536])
def test_identical_vectors_reach_threshold_one_and_never_exceed_it(storage, dimensions):
    random = np.random.default_rng(dimensions)
    for number in range(20):
        embedding = vector(*random.standard_normal(dimensions))
        scope = (str(number), "model", "")
        storage.store(make_entry(embedding=embedding, namespace=str(number)))
        assert storage.search(embedding, *scope, 1.0).entry is not None
        assert storage.search(embedding, *scope, 1.0).best_score <= 1.0
        assert storage.search_top(embedding, *scope, 1.0)[0].similarity <= 1.0


def test_a_similarity_equal_to_the_threshold_is_a_hit(storage):
    storage.store(make_entry(embedding=at_similarity(0.9)))
    assert storage.search(EAST, *SCOPE, 0.9).entry is not None
    assert storage.search_top(EAST, *SCOPE, 0.9)
    assert storage.search(EAST, *SCOPE, 0.9001).entry is None
    assert not storage.search_top(EAST, *SCOPE, 0.9001)


def test_a_near_miss_tells_the_best_score(storage):
    storage.store(make_entry("far", UP))
    storage.store(make_entry("near", at_similarity(0.8)))
    result = storage.search(EAST, *SCOPE, 0.9)
    assert result.entry is None
    assert result.best_score == pytest.approx(0.8, abs=1e-6)


def test_the_best_entry_wins_wherever_it_is(storage):
    order = [0.55, 0.9, 0.6, 0.95, 0.7]
    for similarity in order:
        storage.store(make_entry(str(similarity), at_similarity(similarity)))
    assert storage.search(EAST, *SCOPE, 0.5).entry.id == "0.95"
    storage.delete("ns", ["0.95"])
    assert storage.search(EAST, *SCOPE, 0.5).entry.id == "0.9"


def test_of_equal_entries_the_most_recently_updated_wins(storage):
    for id, updated_at in [("a", 901.0), ("b", 903.0), ("c", 902.0)]:
        storage.store(make_entry(id, updated_at=updated_at))
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "b"
    assert ids(storage.search_top(EAST, *SCOPE, 0.9)) == ["b"]
    assert ids(storage.search_top(EAST, *SCOPE, 0.9, limit=2)) == ["b", "c"]
    assert ids(storage.search_top(EAST, *SCOPE, 0.9, limit=9)) == ["b", "c", "a"]


def test_of_equal_entries_the_most_recently_updated_wins_after_others_are_gone(storage):
    for number in range(8):
        storage.store(make_entry(str(number), updated_at=900.0 + (3 * number) % 8))
    storage.delete("ns", ["0", "1", "5"])
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "2"
    assert ids(storage.search_top(EAST, *SCOPE, 0.9, limit=9)) == ["2", "7", "4", "6", "3"]


# Scopes


@pytest.mark.parametrize(
    "other", [{"namespace": "other"}, {"embedding_model_id": "other"}, {"context_hash": "other"}]
)
def test_entries_of_another_scope_are_no_candidates(storage, other):
    storage.store(make_entry(**other))
    assert storage.search(EAST, *SCOPE, 0.0) is None
    assert storage.search_top(EAST, *SCOPE, 0.0) == []
    assert storage.find_exact("prompt 1", *SCOPE) == []
    storage.store(make_entry("near", NORTH))
    assert storage.search(EAST, *SCOPE, 0.0).entry.id == "near"
    assert ids(storage.search_top(EAST, *SCOPE, 0.0, limit=9)) == ["near"]


def test_scopes_may_differ_in_dimensions(storage):
    storage.store(make_entry("3d"))
    storage.store(make_entry("2d", vector(1, 0), embedding_model_id="small"))
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "3d"
    assert storage.search(vector(1, 0), "ns", "small", "", 0.9).entry.id == "2d"
    assert storage.namespace_size("ns") == 2
    assert sorted(ids(storage.entries("ns"))) == ["2d", "3d"]


def test_the_same_id_in_two_namespaces_is_two_entries(storage):
    storage.store(make_entry(response="mine"))
    storage.store(make_entry(response="theirs", namespace="other"))
    assert storage.get("ns", "1").response == "mine"
    assert storage.delete("other", ["1"]) == 1
    assert storage.get("ns", "1").response == "mine"


# Replacing


@pytest.mark.parametrize(
    "changes", [{}, {"embedding_model_id": "new"}, {"context_hash": "new"}, {"embedding": NORTH}]
)
def test_an_entry_of_the_same_id_is_replaced(storage, changes):
    storage.store(make_entry("0", UP))
    storage.store(make_entry(attributes={"v": "old"}))
    new = make_entry(
        **{"prompt": "new", "response": "new", "attributes": {"v": "new"}, "updated_at": 950.0}
        | changes
    )
    storage.store(new)
    scope = ("ns", new.embedding_model_id, new.context_hash)
    assert storage.namespace_size("ns") == 2
    assert storage.get("ns", "1") == new
    assert storage.search(new.embedding, *scope, 0.99).entry == new
    assert ids(storage.search_top(EAST, *SCOPE, 0.0, limit=9)).count("1") == (scope == SCOPE)
    assert storage.find_exact("prompt 1", *SCOPE) == []
    assert storage.search_top(EAST, *scope, 0.0, attributes={"v": "old"}) == []
    assert ids(storage.search_top(EAST, *scope, 0.0, attributes={"v": "new"})) == ["1"]
    assert storage.delete_by_attributes("ns", {"v": "old"}) == 0


def test_storing_twice_is_storing_once(storage):
    storage.store(make_entry())
    storage.store(make_entry())
    assert list(storage.entries("ns")) == [make_entry()]


# Removing


def test_delete_counts_what_was_there(storage):
    for id in "abc":
        storage.store(make_entry(id))
    assert storage.delete("ns", ["a", "a", "c", "unknown"]) == 2
    assert storage.delete("ns", ["a"]) == 0
    assert storage.delete("ns", []) == 0
    assert ids(storage.entries("ns")) == ["b"]
    assert storage.get("ns", "a") is None
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "b"


def test_delete_by_attributes_removes_all_that_have_them_in_every_scope(storage):
    storage.store(make_entry("1", attributes={"a": "x", "b": "y"}))
    storage.store(make_entry("2", attributes={"a": "x"}))
    storage.store(make_entry("3", attributes={"a": "x", "b": "y", "c": "z"}, context_hash="c"))
    storage.store(make_entry("4", attributes={"a": "y", "b": "x"}))
    storage.store(make_entry("5", attributes={"a": "x", "b": "y"}, namespace="other"))
    assert storage.delete_by_attributes("ns", {"a": "x", "b": "y"}) == 2
    assert ids(storage.entries("ns")) == ["2", "4"]
    assert storage.namespace_size("other") == 1


def test_delete_by_no_attributes_empties_the_namespace(storage):
    storage.store(make_entry("1", attributes={"a": "x"}))
    storage.store(make_entry("2"))
    storage.store(make_entry("3", namespace="other"))
    assert storage.delete_by_attributes("ns", {}) == 2
    assert storage.namespace_size("ns") == 0
    assert storage.namespace_size("other") == 1


def test_invalidating_a_namespace_leaves_the_others(storage):
    storage.store(make_entry("1"))
    storage.store(make_entry("2", context_hash="c"))
    storage.store(make_entry("3", namespace="other"))
    assert storage.invalidate_namespace("ns") == 2
    assert storage.search(EAST, *SCOPE, 0.0) is None
    assert storage.get("ns", "1") is None
    assert storage.namespace_size("other") == 1
    storage.store(make_entry("4"))
    assert ids(storage.entries("ns")) == ["4"]


def test_clear_removes_everything(storage):
    storage.store(make_entry("1"))
    storage.store(make_entry("2", namespace="other"))
    storage.clear()
    assert storage.namespace_size("ns") == storage.namespace_size("other") == 0
    assert storage.search(EAST, *SCOPE, 0.0) is None
    storage.store(make_entry("1", vector(1, 0)))
    assert storage.search(vector(1, 0), *SCOPE, 0.9).entry.id == "1"


# Expiry


def test_an_entry_is_gone_from_the_moment_it_expires(storage, clock):
    storage.store(make_entry("short", expires_at=1010.0, attributes={"a": "b"}))
    storage.store(make_entry("long", NORTH, expires_at=1020.0, attributes={"a": "b"}))
    clock.now = 1009.999
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "short"
    assert storage.namespace_size("ns") == 2
    clock.now = 1010.0
    assert storage.search(EAST, *SCOPE, 0.9) == SearchResult(None, pytest.approx(0.5))
    assert ids(storage.search_top(EAST, *SCOPE, 0.0, limit=9)) == ["long"]
    assert storage.find_exact("prompt short", *SCOPE) == []
    assert storage.get("ns", "short") is None
    assert ids(storage.entries("ns")) == ["long"]
    assert storage.namespace_size("ns") == 1
    assert storage.delete("ns", ["short"]) == 0
    assert storage.delete_by_attributes("ns", {"a": "b"}) == 1


def test_entries_expire_one_after_the_other(storage, clock):
    for number in range(6):
        storage.store(make_entry(str(number), expires_at=1010.0 + number))
    for number in range(6):
        clock.now = 1010.0 + number
        expected = [str(later) for later in range(number + 1, 6)]
        assert storage.namespace_size("ns") == len(expected)
        assert sorted(ids(storage.search_top(EAST, *SCOPE, 0.9, limit=9))) == expected
        storage.store(make_entry("forever", NORTH))
        storage.delete("ns", ["forever"])


def test_a_scope_whose_entries_have_expired_is_empty(storage, clock):
    storage.store(make_entry(expires_at=1010.0))
    clock.now = 1010.0
    assert storage.search(EAST, *SCOPE, 0.0) is None
    assert storage.invalidate_namespace("ns") == 0


def test_expired_entries_are_not_counted_as_removed(storage, clock):
    storage.store(make_entry("1", expires_at=1010.0, attributes={"a": "b"}))
    storage.store(make_entry("2", expires_at=1020.0))
    storage.store(make_entry("3"))
    clock.now = 1010.0
    assert storage.delete_by_attributes("ns", {"a": "b"}) == 0
    clock.now = 1020.0
    assert storage.invalidate_namespace("ns") == 1


def test_an_entry_stored_again_lives_as_long_as_the_new_one_says(storage, clock):
    storage.store(make_entry("longer", expires_at=1010.0))
    storage.store(make_entry("longer"))
    storage.store(make_entry("shorter"))
    storage.store(make_entry("shorter", expires_at=1010.0))
    storage.store(make_entry("back", expires_at=1010.0))
    clock.now = 1015.0
    storage.store(make_entry("back", expires_at=1020.0))
    assert sorted(ids(storage.entries("ns"))) == ["back", "longer"]
    clock.now = 1020.0
    assert ids(storage.entries("ns")) == ["longer"]


def test_dimensions_may_change_once_the_scope_has_expired(storage, clock):
    storage.store(make_entry("old", expires_at=1010.0))
    clock.now = 1010.0
    storage.store(make_entry("new", vector(1, 0)))
    assert storage.search(vector(1, 0), *SCOPE, 0.9).entry.id == "new"


# Many results, attributes, exact prompts


def test_search_top_returns_the_best_first(storage):
    similarities = [0.7, 0.95, 0.6, 0.99, 0.8]
    for similarity in similarities:
        storage.store(make_entry(str(similarity), at_similarity(similarity)))
    found = storage.search_top(EAST, *SCOPE, 0.65, limit=3)
    assert ids(found) == ["0.99", "0.95", "0.8"]
    assert [match.similarity for match in found] == pytest.approx([0.99, 0.95, 0.8], abs=1e-6)
    assert ids(storage.search_top(EAST, *SCOPE, 0.65, limit=9)) == ["0.99", "0.95", "0.8", "0.7"]
    assert ids(storage.search_top(EAST, *SCOPE, 0.65)) == ["0.99"]


def test_search_top_finds_only_entries_with_all_attributes(storage):
    storage.store(make_entry("1", at_similarity(0.99), attributes={"a": "x"}))
    storage.store(make_entry("2", at_similarity(0.95), attributes={"a": "x", "b": "y"}))
    storage.store(make_entry("3", at_similarity(0.90), attributes={"b": "y", "a": "x", "c": "z"}))
    storage.store(make_entry("4", at_similarity(0.85), attributes={"a": "y", "b": "x"}))
    storage.store(make_entry("5", at_similarity(0.80)))

    def found(attributes):
        return ids(storage.search_top(EAST, *SCOPE, 0.5, limit=9, attributes=attributes))

    assert found(None) == found({}) == ["1", "2", "3", "4", "5"]
    assert found({"a": "x"}) == ["1", "2", "3"]
    assert found({"a": "x", "b": "y"}) == ["2", "3"]
    assert found({"a": "X"}) == found({"x": "a"}) == found({"a": ""}) == found({"d": "x"}) == []


def test_find_exact_compares_the_whole_prompt_and_ignores_case(storage):
    storage.store(make_entry("1", prompt="Die Straße"))
    assert ids(storage.find_exact("DIE STRASSE", *SCOPE)) == ["1"]
    assert storage.find_exact("Die Straße ", *SCOPE) == []
    assert storage.find_exact("Die", *SCOPE) == []


def test_find_exact_returns_the_most_recently_updated_first(storage):
    for id, updated_at in [("a", 901.0), ("b", 903.0), ("c", 902.0)]:
        storage.store(make_entry(id, prompt="same", updated_at=updated_at))
    assert ids(storage.find_exact("SAME", *SCOPE)) == ["b"]
    assert ids(storage.find_exact("SAME", *SCOPE, limit=2)) == ["b", "c"]
    assert ids(storage.find_exact("SAME", *SCOPE, limit=9)) == ["b", "c", "a"]


def test_find_exact_finds_only_entries_with_all_attributes(storage):
    storage.store(make_entry("1", prompt="same", attributes={"a": "x"}))
    storage.store(make_entry("2", prompt="same", attributes={"a": "y"}, updated_at=950.0))
    assert ids(storage.find_exact("same", *SCOPE, limit=9, attributes={"a": "x"})) == ["1"]
    assert ids(storage.find_exact("same", *SCOPE, limit=9, attributes={})) == ["2", "1"]
    assert storage.find_exact("same", *SCOPE, attributes={"a": "z"}) == []


def test_entries_come_in_the_order_they_were_stored(storage):
    expected = [f"{number}" for number in range(50)]
    for id in expected:
        storage.store(make_entry(id, context_hash=str(int(id) % 3)))
    storage.delete("ns", ["0", "20", "49"])
    assert ids(storage.entries("ns")) == [id for id in expected if id not in ("0", "20", "49")]


def test_entries_is_a_snapshot(make):
    storage = make()
    for id in "abc":
        storage.store(make_entry(id))
    entries = storage.entries("ns")
    storage.delete("ns", ["a"])
    storage.store(make_entry("b", NORTH, response="changed"))
    storage.store(make_entry("d"))
    assert list(entries) == [make_entry(id) for id in "abc"]


# Bad input


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


def test_a_refused_entry_makes_no_namespace_and_no_scope(storage):
    with pytest.raises(ValueError, match="embedding"):
        storage.store(make_entry(embedding=2 * EAST))
    storage.store(make_entry(embedding=vector(1, 0)))
    assert storage.namespace_size("ns") == 1


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
