"""The index of a large scope: what it finds, how it is kept, and the thread that builds it."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import logging
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from short_lists import short_lists
from stored_entries import SCOPE, make_entry, random_vectors, unit

from langcache.engine.search import index
from langcache.engine.search.codes import CodedQueries, encoded
from langcache.engine.search.index import Search, VectorIndex, Wanted
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.search.inverted_file import InvertedFile, training
from langcache.engine.storage import InMemoryStorage, SQLiteStorage
from langcache.engine.storage.ranking import TIE, best_rows
from langcache.engine.testing import StorageConformance

DIMENSIONS = 16
VECTORS = random_vectors(96, DIMENSIONS)


# An index of more than three rows has an inverted file, which is searched if possible.
EARLY_LISTS = short_lists()


@pytest.fixture
def scans(monkeypatch):
    """A list that grows with every exact search."""
    made = []
    scan = Search._scan

    def noting_scan(*arguments):
        made.append(arguments)
        return scan(*arguments)

    monkeypatch.setattr(Search, "_scan", noting_scan)
    return made


def wait_until_built(storage):
    thread = storage._builder and storage._builder._thread
    if thread:
        thread.join(60)
        assert not thread.is_alive()


def index_of(storage):
    return storage._namespaces["ns"].tables[SCOPE].index


def filled(vectors, tuning=EARLY_LISTS, **changes):
    storage = InMemoryStorage(tuning=tuning, **changes)
    for number, vector in enumerate(vectors):
        attributes = {"tenth": str(number % 10), "odd": str(number % 2)}
        storage.store(make_entry(number, vector, attributes=attributes))
    wait_until_built(storage)
    return storage


# The rules of every storage


_directory = tempfile.TemporaryDirectory()
_numbers = itertools.count()


class TestInMemoryStorageWithLists(StorageConformance):
    def make(self, clock):
        return InMemoryStorage(clock=clock, tuning=EARLY_LISTS)


class TestSQLiteStorageWithLists(StorageConformance):
    def make(self, clock):
        path = Path(_directory.name, f"{next(_numbers)}.sqlite3")
        return SQLiteStorage(path, clock=clock, tuning=EARLY_LISTS)


class TestExactStorage(StorageConformance):
    def make(self, clock):
        return InMemoryStorage(clock=clock, exact=True, tuning=EARLY_LISTS)


# Codes


numbers = st.floats(-1.0, 1.0, width=32, allow_subnormal=False)
any_vectors = st.lists(
    st.lists(numbers, min_size=5, max_size=5).filter(lambda each: np.linalg.norm(each) > 1e-3),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(vectors=any_vectors, query=any_vectors)
def test_scores_of_codes_are_no_further_off_than_they_say(vectors, query):
    vectors, queries = unit(vectors), CodedQueries.of(unit(query))
    codes, scales, error = encoded(vectors)
    for number, vector in enumerate(queries.vectors):
        query = queries.one(number)
        found = query.scores(codes, scales)
        assert np.abs(found - vectors @ vector).max() <= query.error(error) <= queries.error(error)


@settings(deadline=None)
@given(vectors=any_vectors)
def test_vectors_are_encoded_alike_one_by_one_and_together(vectors):
    vectors = unit(vectors)
    codes, scales, error = encoded(vectors)
    alone = [encoded(vector[np.newaxis]) for vector in vectors]
    np.testing.assert_allclose(scales, [each.scales[0] for each in alone], rtol=1e-6)
    assert np.abs(codes.astype(int) - [each.codes[0].astype(int) for each in alone]).max() <= 1
    assert error == pytest.approx(max(each.error for each in alone), abs=1e-6)


@pytest.mark.parametrize("dimensions", [1, 3, 384, 1536, 4096])
def test_the_largest_products_of_codes_do_not_overflow(dimensions):
    vectors = unit(np.ones((3, dimensions)))
    codes, scales, error = encoded(vectors)
    for sign in (1.0, -1.0):
        query = CodedQueries.of(vectors[:1] * np.float32(sign))
        np.testing.assert_allclose(query.scores(codes, scales), sign, atol=query.error(error))


# The inverted file


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "add", "remove", "move"]), st.integers(0, 200)),
        max_size=60,
    )
)
def test_an_inverted_file_knows_where_its_rows_are(steps):
    lists = InvertedFile(VECTORS[:4], 8, EARLY_LISTS)
    codes, scales, _ = encoded(VECTORS)
    rows = {}
    for action, number in steps:
        if action == "add":
            row = max(rows, default=-1) + 1 if number % 2 else number % 12
            if row not in rows:
                rows[row] = number % 96
                (near,) = lists.lists_of(codes[number % 96][np.newaxis])
                lists.add(row, codes[number % 96], scales[number % 96], near)
        elif action == "remove" and rows:
            row = sorted(rows)[number % len(rows)]
            del rows[row]
            moved = lists.remove(row)
            assert moved is None or moved in rows
            assert lists.remove(row) is None
        elif action == "move" and rows:
            row = sorted(rows)[number % len(rows)]
            target = number % 12
            if target < row and target not in rows:
                rows[target] = rows.pop(row)
                lists.renumber(row, target)
    query = CodedQueries.of(VECTORS[:1])
    found, scores = lists.search(query, -1.0, None)
    taken = found >= 0
    assert sorted(found[taken].tolist()) == sorted(rows)
    expected = [query.scores(codes[rows[row]][np.newaxis], scales[[rows[row]]])[0]
            for row in found[taken].tolist()]  # fmt: skip
    np.testing.assert_allclose(scores[taken], expected, atol=1e-6)
    assert not scores[~taken].any()


class NoBuilder:
    """Builds nothing by itself: the test does."""

    def request(self, vectors):
        pass


class Building:
    """The building of an index's inverted file, a step at a time."""

    def __init__(self, vectors):
        self._vectors = vectors
        self._steps = iter(())

    def step(self):
        try:
            next(self._steps)
        except StopIteration:
            self._steps = self._vectors.build(threading.Lock())


vector_numbers = st.integers(0, len(VECTORS) - 1)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), st.lists(vector_numbers, max_size=12)),
        st.tuples(st.just("replace"), vector_numbers, vector_numbers),
        st.tuples(st.just("remove"), st.sets(st.integers(0, 63), max_size=12)),
        st.tuples(st.just("clear")),
        st.tuples(st.just("build"), st.integers(1, 60)),
    ),
    max_size=8,
)


def change(vectors, numbers, building, action, *arguments):
    """Change an index, and alike the list of the numbers of the vectors in its rows."""
    if action == "extend":
        vectors.extend(VECTORS[arguments[0]])
        numbers.extend(arguments[0])
    elif action == "replace" and numbers:
        row = arguments[0] % len(numbers)
        vectors.replace(row, VECTORS[arguments[1]])
        numbers[row] = arguments[1]
    elif action == "remove":
        rows = sorted(row for row in arguments[0] if row < len(numbers))
        sources, targets = vectors.remove(np.array(rows, np.intp))
        for source, target in zip(sources, targets, strict=True):
            numbers[target] = numbers[source]
        del numbers[len(vectors) :]
    elif action == "clear":
        vectors.clear()
        numbers.clear()
    elif action == "build" and building:
        for _ in range(arguments[0]):
            building.step()


@settings(deadline=None)
@given(
    start=st.lists(vector_numbers, max_size=40),
    before=changes,
    during=changes,
    after=changes,
    query=vector_numbers,
    limit=st.integers(1, 20),
    least=st.sampled_from([-1.0, 0.3, 0.9]),
    share=st.sampled_from([None, 1, 2, 3, 30]),
)
def test_a_search_finds_the_best_that_the_index_holds_at_its_end(
    start, before, during, after, query, limit, least, share
):
    tuning = short_lists(
        block_bytes=5 * 4 * DIMENSIONS, few_rows=3, most_changes=40, small_numbers=-1
    )
    vectors = VectorIndex(DIMENSIONS, NoBuilder(), tuning)
    building = Building(vectors)
    numbers = []
    for each in [("extend", start), *before]:
        change(vectors, numbers, building, *each)
    mask = None if share is None else np.array([each % share == 0 for each in numbers], bool)
    rows = None if mask is None else mask.nonzero()[0]
    version = vectors._version
    search = vectors.search(VECTORS[[query]], [Wanted(limit, least, least, rows)])
    for each in during:
        change(vectors, numbers, building, *each)
    search.run()
    for each in after:
        change(vectors, numbers, building, *each)
    if not vectors.catch_up(search):
        return
    (found,) = search.found
    rows = vectors.contenders(search, 0, found, TIE)
    scores = vectors.products(rows, VECTORS[query])
    times = np.arange(len(numbers), dtype=float)
    order = best_rows(scores, times[rows], limit, least)
    found, scores = rows[order], scores[order]
    products = VECTORS[numbers] @ VECTORS[query]
    if mask is not None:
        unchecked = set(vectors._changed_since(version).tolist())
        assert mask[[row for row in found if row not in unchecked]].all()
        excluded = sorted(set(np.flatnonzero(~mask)) - unchecked)
        products[[row for row in excluded if row < len(products)]] = -np.inf
    assert len(set(found.tolist())) == len(found)
    np.testing.assert_allclose(scores, products[found], atol=1e-6)
    expected = np.sort(products[products >= least - 1e-6])[::-1][:limit]
    np.testing.assert_allclose(scores, expected[: len(scores)], atol=1e-5)
    assert len(scores) >= min(limit, np.count_nonzero(products >= least + 1e-6))
    np.testing.assert_array_equal(vectors.vectors(), VECTORS[numbers])


@settings(deadline=None)
@given(start=st.lists(vector_numbers, max_size=40), steps=changes, queries=st.data())
def test_searches_of_a_small_index_see_every_change(start, steps, queries):
    """It packs its codes when it has been searched twice without a change."""
    vectors = VectorIndex(DIMENSIONS)
    numbers = []
    for step in [("extend", start), *steps]:
        change(vectors, numbers, None, *step)
        for _ in range(queries.draw(st.integers(0, 3))):
            query = VECTORS[queries.draw(vector_numbers)]
            search = vectors.search(query[np.newaxis], [Wanted(3, -1.0, -1.0)])
            search.run()
            rows = vectors.contenders(search, 0, search.found[0], TIE)
            scores = vectors.products(rows, query)
            expected = np.sort(VECTORS[numbers] @ query)[::-1][:3]
            np.testing.assert_allclose(np.sort(scores)[::-1][:3], expected, atol=1e-6)


@pytest.mark.parametrize("exact", [True, False])
def test_of_many_vectors_that_are_all_but_equal_the_best_are_found(exact):
    vectors = unit(VECTORS[0] + 0.003 * random_vectors(500, DIMENSIONS, seed=1))
    storage = filled(vectors, short_lists(least_rows=100), exact=exact)
    for query in vectors[::50]:
        for limit in (1, 7):
            best = np.argsort(-(vectors.astype(np.float64) @ query), kind="stable")[:limit]
            found = storage.search_top(query, *SCOPE, 0.9, limit=limit)
            similarities = [match.similarity for match in found]
            expected = (1 + vectors[best].astype(np.float64) @ query) / 2
            np.testing.assert_allclose(similarities, expected, atol=2e-6)


def test_hits_are_those_of_exact_search(scans):
    tuning = IndexTuning(least_rows=1000, rows_per_list=16)
    vectors = random_vectors(4000, 64)
    queries = unit(vectors[:1000] + 0.4 * random_vectors(1000, 64, seed=1))
    storage, exact = filled(vectors, tuning), filled(vectors, exact=True)
    scans.clear()
    found = [storage.search_top(query, *SCOPE, 0.9, limit=3) for query in queries]
    assert scans == []
    expected = [exact.search_top(query, *SCOPE, 0.9, limit=3) for query in queries]
    assert sum(map(bool, expected)) > 900
    same = sum(
        [match.entry.id for match in ours] == [match.entry.id for match in theirs]
        for ours, theirs in zip(found, expected, strict=True)
    )
    assert same >= 995


def test_what_is_less_alike_is_searched_for_in_more_lists():
    vectors = random_vectors(1000, DIMENSIONS)
    lists = index_of(filled(vectors, short_lists(least_rows=100, lists=40)))._lists
    query = CodedQueries.of(unit(vectors[:1] + 0.2 * VECTORS[0]))
    near, _ = lists.search(query, 0.9, 1)
    far, _ = lists.search(query, 0.3, None)
    assert len(near) < len(far) < len(lists._rows)
    # With a hit, more need not be looked for.
    assert len(lists.search(query, 0.3, 1)[0]) == len(near)


@pytest.mark.parametrize("limit", [1, 3, 40])
@pytest.mark.parametrize("wanted", [{"tenth": "7"}, {"odd": "1"}, {"odd": "1", "tenth": "7"}])
@pytest.mark.parametrize("threshold", [0.0, 0.75, 0.9])
def test_a_filter_leaves_out_nothing_that_belongs_to_the_answer(limit, wanted, threshold):
    vectors = random_vectors(300, DIMENSIONS)
    queries = unit(vectors[::20] + 0.3 * random_vectors(15, DIMENSIONS, seed=1))
    storage, exact = filled(vectors), filled(vectors, exact=True)
    for query in queries:
        arguments = (query, *SCOPE, threshold)
        ours = storage.search_top(*arguments, limit=limit, attributes=wanted)
        theirs = exact.search_top(*arguments, limit=limit, attributes=wanted)
        assert [match.entry.id for match in ours] == [match.entry.id for match in theirs]


def test_of_many_equal_vectors_the_latest_wins():
    storage = InMemoryStorage(tuning=EARLY_LISTS)
    for number in range(200):
        updated_at = 999.0 if number == 150 else float(number)
        storage.store(make_entry(number, VECTORS[number % 2], updated_at=updated_at))
    wait_until_built(storage)
    assert storage.search(VECTORS[0], *SCOPE, 0.9).entry.id == "150"
    found = storage.search_top(VECTORS[0], *SCOPE, 0.9, limit=3)
    assert [match.entry.id for match in found] == ["150", "198", "196"]


def returned_by(generator):
    returned = []

    def run():
        returned.append((yield from generator))

    for _ in run():
        pass
    return returned[0]


def test_there_are_no_more_lists_than_different_vectors():
    """Of equal centroids one would have the vectors, and a search might look at the others."""
    codes = encoded(VECTORS[np.arange(400) % 5]).codes
    centroids = returned_by(training(codes, 40, EARLY_LISTS))
    lists = InvertedFile(centroids, 400, EARLY_LISTS)
    assert sorted(set(lists.lists_of(codes))) == list(range(len(centroids)))


def test_the_nearest_entry_is_reported_though_what_is_nearer_has_expired():
    now = 0.0
    storage = InMemoryStorage(clock=lambda: now)
    for number in range(80):
        storage.store(make_entry(number, VECTORS[0], expires_at=10.0))
    storage.store(make_entry("other", VECTORS[1]))
    wait_until_built(storage)
    now = 10.0
    cosine = float(VECTORS[0] @ VECTORS[1])
    found = storage.search(VECTORS[0], *SCOPE, 0.99)
    assert found.entry is None
    assert found.best_score == pytest.approx((1 + cosine) / 2, abs=1e-6)


def test_lists_are_made_anew_when_there_are_half_as_many_rows_more():
    storage = InMemoryStorage(tuning=short_lists(least_rows=20))
    made = []
    for number in range(96):
        storage.store(make_entry(number, VECTORS[number]))
        wait_until_built(storage)
        lists = index_of(storage)._lists
        if lists and lists not in made:
            made.append(lists)
    assert [lists.rows_when_made for lists in made] == [21, 32, 48, 72]
    for number in range(96):
        assert storage.search(VECTORS[number], *SCOPE, 0.99).entry.id == str(number)
    storage.delete("ns", [str(number) for number in range(9, 96)])
    assert index_of(storage)._lists is None
    for number in range(9):
        assert storage.search(VECTORS[number], *SCOPE, 0.99).entry.id == str(number)
    storage.store(make_entry("more", VECTORS[50]))
    assert storage.search(VECTORS[50], *SCOPE, 0.99).entry.id == "more"


def test_an_entry_that_keeps_its_vector_keeps_its_slot():
    storage = filled(VECTORS)
    before = index_of(storage)._lists._slots.tolist()
    for number in range(96):
        storage.edit("ns", str(number), lambda entry: dataclasses.replace(entry, response="new"))
    assert index_of(storage)._lists._slots.tolist() == before
    assert storage.search(VECTORS[5], *SCOPE, 0.9).entry.response == "new"


def test_the_room_of_what_is_removed_is_used_again():
    storage = filled(VECTORS)
    lists = index_of(storage)._lists
    for turn in range(30):
        for number in range(96):
            storage.store(make_entry(number, VECTORS[(number + turn) % 96]))
    assert index_of(storage)._lists is lists
    assert lists._rows.size < 5 * 96


def test_a_filter_that_few_entries_pass_is_applied_first(scans):
    storage = filled(VECTORS, short_lists(rows_filtered=96 * 4))
    storage.search_top(VECTORS[1], *SCOPE, 0.95, attributes={"odd": "1"})
    assert len(scans) == 0
    storage.search_top(VECTORS[1], *SCOPE, 0.95, attributes={"tenth": "1"})
    assert len(scans) == 1


def test_exact_storage_has_no_lists(tmp_path):
    file = SQLiteStorage(tmp_path / "file", exact=True, tuning=EARLY_LISTS)
    for storage in (InMemoryStorage(exact=True, tuning=EARLY_LISTS), file):
        for number in range(20):
            storage.store(make_entry(number, VECTORS[number]))
        assert index_of(storage)._lists is None
    file.close()


# The thread


class Gate:
    """Holds up the building of lists."""

    def __init__(self, patch):
        self.reached, self._open = threading.Event(), threading.Event()

        def held_up_training(*arguments):
            self.reached.set()
            assert self._open.wait(30)
            return training(*arguments)

        patch.setattr(index, "training", held_up_training)

    def open(self):
        self._open.set()


def test_nobody_waits_for_the_lists(monkeypatch):
    gate = Gate(monkeypatch)
    storage = InMemoryStorage(tuning=EARLY_LISTS)
    for number in range(50):
        storage.store(make_entry(number, VECTORS[number]))
    assert gate.reached.wait(10)
    for number in range(50, 96):
        storage.store(make_entry(number, VECTORS[number]))
    storage.delete("ns", ["0"])
    for number in range(1, 96):
        assert storage.search(VECTORS[number], *SCOPE, 0.99).entry.id == str(number)
    gate.open()
    wait_until_built(storage)
    assert index_of(storage)._lists is not None
    for number in range(1, 96):
        assert storage.search(VECTORS[number], *SCOPE, 0.99).entry.id == str(number)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_close_ends_the_thread(monkeypatch, tmp_path, kind):
    gate = Gate(monkeypatch)
    storage = (
        InMemoryStorage(tuning=EARLY_LISTS)
        if kind == "memory"
        else SQLiteStorage(tmp_path / "file", tuning=EARLY_LISTS)
    )
    for number in range(50):
        storage.store(make_entry(number, VECTORS[number]))
    assert gate.reached.wait(10)
    thread = storage._builder._thread
    gate.open()
    storage.close()
    assert not thread.is_alive()


def test_a_storage_that_is_dropped_is_freed_and_its_thread_ends(monkeypatch):
    gate = Gate(monkeypatch)
    storage = InMemoryStorage(tuning=EARLY_LISTS)
    for number in range(96):
        storage.store(make_entry(number, VECTORS[number]))
    assert gate.reached.wait(10)
    thread = storage._builder._thread
    dropped = weakref.ref(storage)
    del storage
    gc.collect()
    assert dropped() is None
    gate.open()
    thread.join(10)
    assert not thread.is_alive()


def test_lists_that_cannot_be_made_leave_search_exact(monkeypatch, caplog):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(index, "training", fail)
    storage = filled(VECTORS)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    storage.store(make_entry("more", VECTORS[0]))
    assert storage._builder._thread is None
    assert storage.search(VECTORS[40], *SCOPE, 0.99).entry.id == "40"


def build_and_search(storage, found):
    for number in range(48, 96):
        storage.store(make_entry(number, VECTORS[number]))
    wait_until_built(storage)
    built = index_of(storage)._lists is not None
    ids = [storage.search(vector, *SCOPE, 0.99).entry.id for vector in VECTORS]
    found.put((built, ids))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_goes_on_with_the_lists():
    fork = multiprocessing.get_context("fork")
    for _ in range(5):
        storage = InMemoryStorage(tuning=EARLY_LISTS)
        for number in range(48):
            storage.store(make_entry(number, VECTORS[number]))
        found = fork.SimpleQueue()
        child = fork.Process(target=build_and_search, args=(storage, found))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert found.get() == (True, [str(number) for number in range(96)])
        found.close()
        storage.close()


USAGE = """
import numpy as np
from langcache.engine import CacheEntry, InMemoryStorage
from langcache.engine.search.index_tuning import IndexTuning
vectors = np.random.default_rng(0).standard_normal((20_000, 64)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
storage = InMemoryStorage(tuning=IndexTuning(least_rows=19_999))
for number, vector in enumerate(vectors):
    storage.store(CacheEntry(id=str(number), prompt="", response="", embedding=vector,
                             namespace="ns", embedding_model_id="model",
                             created_at=1.0, updated_at=1.0))
print(storage._builder._thread is not None)
"""


def test_a_process_ends_well_in_the_midst_of_building():
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", USAGE], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", "True")
