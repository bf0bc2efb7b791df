"""What is special to the storage in memory: its index, its bookkeeping, and threads."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import math
import random
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from short_lists import short_lists
from stored_entries import SCOPE, make_entry, random_vectors, unit

from langcache.engine.search.codes import CodedQueries
from langcache.engine.search.index import VectorIndex
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage import InMemoryStorage, TopSearch, _scope_table, memory
from langcache.engine.storage.base import entry_bytes
from langcache.engine.storage.ranking import best_of_few, best_rows

# The index


DIMENSIONS = 8
VECTORS = random_vectors(64, DIMENSIONS)


# Blocks of five rows, so that small tests cross their borders. Three rows are searched under the
# lock, more without it.
SMALL_BLOCKS = {"block_bytes": 5 * 4 * DIMENSIONS, "small_numbers": 3 * DIMENSIONS}
TUNING = IndexTuning(**SMALL_BLOCKS)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Batches of three, so that small tests cross their borders."""
    monkeypatch.setattr(memory, "_RECLAIM_BATCH", 3)
    monkeypatch.setattr(memory, "_ROWS_PER_CALL", 4)
    monkeypatch.setattr(_scope_table, "_MOST_KEYS", 3)


@pytest.fixture(params=["scans", "lists"])
def tuning(request):
    """Exact search, as of few entries, and that of an inverted file, as of many."""
    return TUNING if request.param == "scans" else short_lists(**SMALL_BLOCKS)


def test_the_index_gives_back_the_memory_of_what_was_removed():
    vectors = VectorIndex(DIMENSIONS, tuning=TUNING)
    for number in range(23):
        vectors.extend(VECTORS[number : number + 1])
    vectors.remove(np.arange(0, 22))
    assert sum(len(block.vectors) for block in vectors._blocks._blocks) <= 5
    np.testing.assert_array_equal(vectors.vectors(), VECTORS[22:23])


@settings(deadline=None)
@given(
    scores=st.lists(st.sampled_from([-1.0, 0.5, 0.9, 0.9 + 5e-7]), max_size=30),
    limit=st.integers(1, 12),
    least=st.sampled_from([-1.0, 0.5, 0.95]),
    data=st.data(),
)
def test_best_rows_orders_by_score_and_then_by_time(scores, limit, least, data):
    times = data.draw(st.permutations(range(len(scores))))
    expected = sorted(
        (row for row, score in enumerate(scores) if score >= least),
        key=lambda row: (round(scores[row], 3), times[row]),
        reverse=True,
    )
    found = best_rows(np.array(scores, np.float32), np.array(times, float), limit, least)
    assert found == expected[:limit]
    assert (
        best_of_few(scores, times.__getitem__, range(len(scores)), limit, least) == expected[:limit]
    )


# Bookkeeping


def test_a_replaced_entry_keeps_its_place_in_the_order():
    storage = InMemoryStorage(tuning=TUNING)
    for id in "abc":
        storage.store(make_entry(id, VECTORS[0]))
    storage.store(make_entry("a", VECTORS[1]))
    storage.store(make_entry("b", VECTORS[1], context_hash="moved"))
    assert [entry.id for entry in storage.entries("ns")] == ["a", "b", "c"]


def test_expired_entries_give_their_memory_back_when_others_are_stored():
    now = 0.0
    storage = InMemoryStorage(clock=lambda: now, tuning=TUNING)
    for number in range(20):
        storage.store(make_entry(str(number), VECTORS[number], expires_at=10.0))
        storage.store(make_entry("x", VECTORS[number], namespace=f"{number}", expires_at=10.0))
    now = 10.0
    for _ in range(60):
        storage.store(make_entry("live", VECTORS[0], namespace="live"))
    assert list(storage._namespaces) == ["live"]
    assert len(storage._tables) == 1


def test_a_namespace_begun_anew_outlives_what_is_left_of_the_old_one():
    now = 0.0
    storage = InMemoryStorage(clock=lambda: now, tuning=TUNING)
    for number in range(3):
        storage.store(make_entry("1", VECTORS[0], namespace=f"{number}"))
    storage.store(make_entry("old", VECTORS[0], expires_at=10.0))
    storage.delete("ns", ["old"])
    storage.store(make_entry("new", VECTORS[0]))
    now = 10.0
    for number in range(9):
        storage.store(make_entry(str(number), VECTORS[0], namespace="other"))
    assert [entry.id for entry in storage.entries("ns")] == ["new"]


def test_expired_entries_give_their_memory_back_when_others_are_searched():
    now = 0.0
    storage = InMemoryStorage(clock=lambda: now, tuning=TUNING)
    storage.store(make_entry("live", VECTORS[0]))
    for number in range(20):
        storage.store(make_entry(str(number), VECTORS[number], expires_at=10.0))
    now = 10.0
    for _ in range(10):
        assert storage.search(VECTORS[7], *SCOPE, 0.0).entry.id == "live"
    assert list(storage._namespaces["ns"].records) == ["live"]


@pytest.mark.parametrize(
    "remove",
    [
        lambda storage: storage.clear(),
        lambda storage: storage.invalidate_namespace("ns"),
        lambda storage: storage.delete_by_attributes("ns", {"a": "b"}),
        lambda storage: storage.delete("ns", [str(number) for number in range(20)]),
    ],
    ids=["clear", "invalidate_namespace", "delete_by_attributes", "delete"],
)
def test_removed_entries_are_freed_without_the_garbage_collector(remove):
    def kept():
        return sum(isinstance(each, _scope_table.Record) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = kept()
        storage = InMemoryStorage(tuning=TUNING)
        for number in range(20):
            storage.store(make_entry(str(number), VECTORS[0], attributes={"a": "b"}))
        assert kept() == before + 20
        remove(storage)
        assert kept() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("count", [100, 3000])
@pytest.mark.parametrize("attributes", [0, 5])
def test_an_entry_takes_its_vector_its_texts_and_less_than_a_kilobyte(
    monkeypatch, count, attributes
):
    monkeypatch.setattr(_scope_table, "_MOST_KEYS", 16)
    dimensions = 384
    vectors = random_vectors(count, dimensions)

    def texts(number):
        return {
            "prompt": f"prompt {number}",
            "response": f"response {number}",
            "attributes": {f"name {each}": f"{each} of {number}" for each in range(attributes)},
        }

    users = sum(
        sys.getsizeof(text)
        for number in range(count)
        for text in (
            texts(number)["prompt"],
            texts(number)["response"],
            *itertools.chain(*texts(number)["attributes"].items()),
        )
    )
    tracemalloc.start()
    try:
        storage = InMemoryStorage()
        for number in range(count):
            storage.store(make_entry(f"{number:032}", vectors[number], **texts(number)))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (taken - users) / count < 4 * dimensions + 1024


def test_attributes_are_told_apart_even_if_their_keys_are_equal(monkeypatch):
    monkeypatch.setattr(_scope_table, "_key", lambda value: 2)
    storage = InMemoryStorage(tuning=TUNING)
    for number in range(30):
        attributes = {"number": str(number % 10)}
        storage.store(make_entry(str(number), VECTORS[number], attributes=attributes))
    found = storage.search_top(VECTORS[0], *SCOPE, 0.0, limit=9, attributes={"number": "7"})
    assert sorted(match.entry.id for match in found) == ["17", "27", "7"]
    assert [entry.id for entry in storage.find_exact("prompt 7", *SCOPE, limit=9)] == ["7"]
    assert storage.delete_by_attributes("ns", {"number": "7"}) == 3
    assert storage.namespace_size("ns") == 27


# A model of plain dicts


WELL_APART = unit([[1, 0, 0, 0], [1, 0.3, 0, 0], [1, 1, 0.5, 0], [0, 0.4, 1, 0.1], [-1, 0, 0.2, 3]])
namespaces = st.sampled_from(["ns", "other"])
models = st.sampled_from(["model", "new"])
contexts = st.sampled_from(["", "c"])
prompts = st.sampled_from(["Straße", "STRASSE", "strasse ", "\ud800", "\x00", ""])
attribute_values = st.sampled_from(["", "x", "X", "a,b", "\ud800", "\x00"])
attributes = st.dictionaries(st.sampled_from("abcde"), attribute_values, max_size=5)
entry_ids = st.sampled_from([str(number) for number in range(12)])
vectors = st.sampled_from(list(WELL_APART))
thresholds = st.sampled_from([0.0, 0.6, 0.95, 1.0])


class StorageMachine(RuleBasedStateMachine):
    tuning = TUNING

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.stored = 0
        self.storage = InMemoryStorage(clock=lambda: self.now, tuning=self.tuning)
        self.model = {"ns": {}, "other": {}}

    def live(self, namespace, wanted=None, scope=None):
        return [
            entry
            for entry in self.model[namespace].values()
            if (wanted or {}).items() <= entry.attributes.items()
            and scope in (None, (entry.embedding_model_id, entry.context_hash))
        ]

    def forget(self, entries):
        for entry in entries:
            del self.model[entry.namespace][entry.id]
        return len(entries)

    @rule(
        id=entry_ids,
        prompt=prompts,
        namespace=namespaces,
        model=models,
        context=contexts,
        attributes=attributes,
        embedding=vectors,
        ttl=st.none() | st.integers(0, 3),
    )
    def store(self, id, prompt, namespace, model, context, attributes, embedding, ttl):
        self.stored += 1
        entry = make_entry(
            id,
            embedding,
            prompt=prompt,
            response=f"response {self.stored}",
            namespace=namespace,
            embedding_model_id=model,
            context_hash=context,
            attributes=attributes,
            updated_at=float(self.stored),
            expires_at=None if ttl is None else self.now + ttl,
        )
        self.storage.store(entry)
        self.model[namespace][id] = entry
        self.expire(0)

    @rule(seconds=st.integers(1, 2))
    def expire(self, seconds):
        self.now += seconds
        self.forget(
            [
                entry
                for namespace in self.model
                for entry in self.live(namespace)
                if (math.inf if entry.expires_at is None else entry.expires_at) <= self.now
            ]
        )

    @rule(namespace=namespaces, ids=st.lists(entry_ids, max_size=6))
    def delete(self, namespace, ids):
        expected = self.forget([entry for entry in self.live(namespace) if entry.id in ids])
        assert self.storage.delete(namespace, ids) == expected

    @rule(namespace=namespaces, wanted=attributes.filter(lambda wanted: len(wanted) < 3))
    def delete_by_attributes(self, namespace, wanted):
        expected = self.forget(self.live(namespace, wanted))
        assert self.storage.delete_by_attributes(namespace, wanted) == expected

    @rule(namespace=namespaces)
    def invalidate(self, namespace):
        expected = self.forget(self.live(namespace))
        assert self.storage.invalidate_namespace(namespace) == expected

    @rule()
    def clear(self):
        self.storage.clear()
        self.model = {"ns": {}, "other": {}}

    def expected(self, embedding, candidates):
        best = [
            ((1 + float(embedding.astype(float) @ entry.embedding)) / 2, entry)
            for entry in candidates
        ]
        best.sort(key=lambda pair: (round(pair[0], 5), pair[1].updated_at), reverse=True)
        return best

    @rule(
        embedding=vectors,
        namespace=namespaces,
        model=models,
        context=contexts,
        threshold=thresholds,
    )
    def search(self, embedding, namespace, model, context, threshold):
        result = self.storage.search(embedding, namespace, model, context, threshold)
        expected = self.expected(embedding, self.live(namespace, None, (model, context)))
        if not expected:
            assert result is None
            return
        similarity, entry = expected[0]
        assert result.best_score == pytest.approx(similarity, abs=1e-6)
        assert result.entry == (entry if similarity >= threshold - 1e-6 else None)

    @rule(
        embedding=vectors,
        namespace=namespaces,
        model=models,
        context=contexts,
        threshold=thresholds,
        limit=st.integers(1, 5),
        wanted=attributes.filter(lambda wanted: len(wanted) < 3),
    )
    def search_top(self, embedding, namespace, model, context, threshold, limit, wanted):
        found = self.storage.search_top(
            embedding, namespace, model, context, threshold, limit=limit, attributes=wanted
        )
        candidates = self.live(namespace, wanted, (model, context))
        expected = [
            (similarity, entry)
            for similarity, entry in self.expected(embedding, candidates)
            if similarity >= threshold - 1e-6
        ][:limit]
        assert [match.entry for match in found] == [entry for _, entry in expected]
        assert [match.similarity for match in found] == pytest.approx(
            [similarity for similarity, _ in expected], abs=1e-6
        )

    @rule(
        prompt=prompts,
        namespace=namespaces,
        model=models,
        context=contexts,
        limit=st.integers(1, 3),
        wanted=attributes.filter(lambda wanted: len(wanted) < 2),
    )
    def find_exact(self, prompt, namespace, model, context, limit, wanted):
        found = self.storage.find_exact(
            prompt, namespace, model, context, limit=limit, attributes=wanted
        )
        expected = [
            entry
            for entry in self.live(namespace, wanted, (model, context))
            if entry.prompt.casefold() == prompt.casefold()
        ]
        expected.sort(key=lambda entry: entry.updated_at, reverse=True)
        assert found == expected[:limit]

    @rule()
    def let_the_lists_be_made(self):
        thread = self.storage._builder._thread
        if thread:
            thread.join(10)

    @rule(namespace=namespaces, id=entry_ids)
    def get(self, namespace, id):
        assert self.storage.get(namespace, id) == self.model[namespace].get(id)

    @invariant()
    def entries_are_those_of_the_model(self):
        for namespace in self.model:
            assert list(self.storage.entries(namespace)) == self.live(namespace)
            assert self.storage.namespace_size(namespace) == len(self.model[namespace])
            bytes = sum(map(entry_bytes, self.model[namespace].values()))
            assert self.storage.namespace_bytes(namespace) == bytes

    def teardown(self):
        self.storage.close()


def test_storage_agrees_with_a_model(monkeypatch, tuning):
    monkeypatch.setattr(StorageMachine, "tuning", tuning)
    run_state_machine_as_test(
        StorageMachine,
        settings=settings(max_examples=60, stateful_step_count=50, deadline=None),
    )


# Threads


@pytest.fixture
def eager_threads():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


class Crowd:
    """Threads that repeat what they do until the time is up or one has failed."""

    def __init__(self, seconds):
        self._until = time.monotonic() + seconds
        self._threads = []
        self._errors = []

    def repeat(self, step):
        generator = random.Random(len(self._threads))

        def run():
            try:
                while time.monotonic() < self._until and not self._errors:
                    step(generator)
            except BaseException as error:  # noqa: BLE001 - raised again by `finish`
                self._errors.append(error)

        self._threads.append(threading.Thread(target=run))

    def finish(self):
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        if self._errors:
            raise self._errors[0]


def test_threads_see_no_lost_stale_foreign_or_half_written_entry(eager_threads, tuning):
    """Each key has a vector of its own; its entries are stored, replaced, deleted and expire.

    A searcher notes what is certain before it asks: the latest version that has been stored, and
    the latest that is gone. The answer may be later than that, but never older.
    """
    dimensions, count, resident = 256, 400, 40
    tuning = dataclasses.replace(tuning, block_bytes=128 * 4 * dimensions)
    embeddings = random_vectors(count, dimensions, seed=1)
    clock = itertools.count(1)
    now = 0.0
    storage = InMemoryStorage(clock=lambda: now, tuning=tuning)
    stored = [0] * count  # the latest version whose store has returned
    gone = [0] * count  # the latest version that has been deleted or has expired
    versions = itertools.count(1)
    advancing = threading.Lock()

    def entry(key, version, **changes):
        attributes = {"key": str(key), "third": str(key % 3)}
        return make_entry(
            str(key),
            embeddings[key],
            response=f"{key} {version}",
            attributes=attributes,
            updated_at=float(version),
            **changes,
        )

    for key in range(count):
        stored[key] = next(versions)
        storage.store(entry(key, stored[key]))
        storage.store(entry(key, stored[key], namespace="foreign", prompt="foreign"))

    def check(found, key, certain):
        found_key, version = map(int, found.response.split())
        assert found.namespace == "ns"
        assert found.prompt == f"prompt {key}"
        assert found_key == key
        assert found.attributes == {"key": str(key), "third": str(key % 3)}
        assert np.array_equal(found.embedding, embeddings[key])
        assert version >= certain[0], "stale: replaced before the search began"
        assert version > certain[1], "stale: gone before the search began"

    def search(generator):
        key = generator.randrange(count)
        certain = stored[key], gone[key]
        result = storage.search(embeddings[key], *SCOPE, 0.99)
        if result.entry is None:
            assert key >= resident, "lost"
            assert result.best_score < 0.99
        else:
            assert result.best_score == pytest.approx(1.0, abs=1e-5)
            check(result.entry, key, certain)

    def search_together(generator):
        keys = generator.sample(range(count), 8)
        certain = [(stored[key], gone[key]) for key in keys]
        searches = [TopSearch(embeddings[key], *SCOPE, 0.99) for key in keys]
        for key, sure, found in zip(
            keys, certain, storage.search_top_together(searches), strict=True
        ):
            assert key >= resident or found, "lost"
            for match in found:
                check(match.entry, key, sure)

    def search_top(generator):
        key = generator.randrange(count)
        certain = stored[key], gone[key]
        wanted = generator.choice([{"key": str(key)}, {"third": str(key % 3)}])
        found = storage.search_top(embeddings[key], *SCOPE, 0.5, limit=3, attributes=wanted)
        assert key >= resident or found, "lost"
        for match in found:
            found_key = int(match.entry.id)
            cosine = float(embeddings[found_key] @ embeddings[key])
            assert match.similarity == pytest.approx((1 + cosine) / 2, abs=1e-5)
            assert wanted.items() <= match.entry.attributes.items()
        if key < resident:
            check(found[0].entry, key, certain)

    def read(generator):
        key = generator.randrange(resident)
        certain = stored[key], gone[key]
        check(storage.get("ns", str(key)), key, certain)
        certain = stored[key], gone[key]
        check(storage.find_exact(f"PROMPT {key}", *SCOPE)[0], key, certain)
        everything = {int(entry.id): entry for entry in storage.entries("ns")}
        assert everything.keys() >= set(range(resident)), "lost"
        check(everything[key], key, certain)

    def write(half):
        """Only one thread writes a key, so that its versions are in order."""

        def step(generator):
            nonlocal now
            key = generator.randrange(half, count, 2)
            if key < resident:
                version = next(versions)
                storage.store(entry(key, version))
                stored[key] = version
                return
            action = generator.choice(["store", "store", "delete", "attributes", "expire"])
            if action == "store":
                version = next(versions)
                storage.store(entry(key, version))
                stored[key] = version
            elif action == "delete":
                storage.delete("ns", [str(key)])
                gone[key] = stored[key]
            elif action == "attributes":
                storage.delete_by_attributes("ns", {"key": str(key)})
                gone[key] = stored[key]
            else:
                version = next(versions)
                expires_at = now + 1
                storage.store(entry(key, version, expires_at=expires_at))
                stored[key] = version
                with advancing:  # else the clock might go back to what another thread read
                    now = max(now, float(next(clock)), expires_at)
                gone[key] = version

        return step

    def invalidate(generator):
        storage.invalidate_namespace("foreign")
        for key in generator.sample(range(count), 20):
            storage.store(entry(key, 0, namespace="foreign", prompt="foreign"))
        storage.search(embeddings[0], "foreign", "model", "", 0.5)

    crowd = Crowd(seconds=2)
    steps = (search, search, search_together, search_top, read, invalidate)
    for step in (write(0), write(1), *steps):
        crowd.repeat(step)
    crowd.finish()

    for key in range(count):
        found = storage.get("ns", str(key))
        if gone[key] >= stored[key]:
            assert found is None
        else:
            check(found, key, (stored[key], gone[key]))
    storage.close()


def test_a_search_does_not_hold_up_those_who_store(monkeypatch):
    """Scores are computed without the lock: entries are stored while a search is in them."""
    dimensions = 64
    storage = InMemoryStorage(tuning=IndexTuning(small_numbers=0))
    embeddings = random_vectors(2, dimensions)
    storage.store(make_entry("first", embeddings[0]))
    at_work, stored = threading.Event(), threading.Event()
    scores = CodedQueries.scores

    def slow_scores(*arguments):
        at_work.set()
        assert stored.wait(10)
        return scores(*arguments)

    monkeypatch.setattr(CodedQueries, "scores", slow_scores)
    found = []
    searcher = threading.Thread(
        target=lambda: found.append(storage.search(embeddings[1], *SCOPE, 0.9))
    )
    searcher.start()
    assert at_work.wait(10)
    storage.store(make_entry("second", embeddings[1]))
    stored.set()
    searcher.join(10)
    assert found[0].entry.id == "second"


def test_edits_in_threads_do_not_undo_each_other():
    storage = InMemoryStorage(tuning=TUNING)
    storage.store(make_entry("1", VECTORS[0], response="0"))

    def count(entry):
        # Gives way to the other threads in the midst of it.
        time.sleep(1e-5)
        return dataclasses.replace(entry, response=f"{int(entry.response) + 1}")

    def edit():
        for _ in range(50):
            storage.edit("ns", "1", count)

    threads = [threading.Thread(target=edit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.get("ns", "1").response == "200"


def test_an_edit_of_an_entry_that_goes_meanwhile_changes_nothing():
    storage = InMemoryStorage(tuning=TUNING)
    storage.store(make_entry("1", VECTORS[0]))

    def change(entry):
        storage.delete("ns", ["1"])
        return dataclasses.replace(entry, response="new")

    assert storage.edit("ns", "1", change) is None
    assert storage.namespace_size("ns") == 0


def test_metadata_that_cannot_be_copied_is_refused():
    deep = {}
    for _ in range(sys.getrecursionlimit()):
        deep = {"a": deep}
    storage = InMemoryStorage()
    with pytest.raises(ValueError, match=r"^metadata: must not be nested so deeply"):
        storage.store(make_entry(metadata=deep))
    assert not storage.namespaces()
    storage.store(make_entry())
