"""The index of a large scope: what it finds, how it is kept, and the thread that builds it."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import logging
import math
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

from langcache.engine import hnsw, index
from langcache.engine.index import VectorIndex
from langcache.engine.storage import CacheEntry, InMemoryStorage, SQLiteStorage, memory
from langcache.engine.testing import StorageConformance

SCOPE = ("ns", "model", "")
DIMENSIONS = 16


def unit(array):
    array = np.asarray(array, np.float32)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def random_vectors(count, dimensions=DIMENSIONS, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


VECTORS = random_vectors(96)


def make_entry(number, embedding, **changes):
    fields = {
        "id": str(number),
        "prompt": f"prompt {number}",
        "response": f"response {number}",
        "embedding": embedding,
        "namespace": "ns",
        "embedding_model_id": "model",
        "created_at": 1.0,
        "updated_at": 1.0,
    }
    return CacheEntry(**(fields | changes))


def lower_limits(patch, *, least_rows=3):
    patch.setattr(hnsw, "LEAST_ROWS", least_rows)
    patch.setattr(hnsw, "LARGEST_TAIL", 0)
    patch.setattr(index, "_TAIL_OF_OLD_GRAPH", 2)
    patch.setattr(index, "_LARGEST_TAIL_SHARE", math.inf)
    patch.setattr(index, "_LARGEST_PROBE_SHARE", math.inf)
    patch.setattr(memory, "_ROWS_FILTERED_DURING_PROBE", 0)


@pytest.fixture
def early_graphs(monkeypatch):
    """An index of more than three rows has a graph, which is asked whenever it is possible."""
    lower_limits(monkeypatch)


@pytest.fixture
def scans(monkeypatch):
    """A list that grows with every exact search."""
    made = []
    scan = VectorIndex.scan

    def noting_scan(*arguments):
        made.append(arguments)
        return scan(*arguments)

    monkeypatch.setattr(VectorIndex, "scan", noting_scan)
    return made


def wait_until_built(storage):
    thread = storage._builder and storage._builder._thread
    if thread:
        thread.join(60)
        assert not thread.is_alive()


def index_of(storage):
    return storage._namespaces["ns"].scopes["model", ""].index


def filled(vectors, **changes):
    storage = InMemoryStorage(**changes)
    for number, vector in enumerate(vectors):
        attributes = {"tenth": str(number % 10), "odd": str(number % 2)}
        storage.store(make_entry(number, vector, attributes=attributes))
    wait_until_built(storage)
    return storage


# The rules of every storage


_directory = tempfile.TemporaryDirectory()
_numbers = itertools.count()


@pytest.mark.usefixtures("early_graphs")
class TestInMemoryStorageWithGraphs(StorageConformance):
    def make(self, clock):
        return InMemoryStorage(clock=clock)


@pytest.mark.usefixtures("early_graphs")
class TestSQLiteStorageWithGraphs(StorageConformance):
    def make(self, clock):
        return SQLiteStorage(Path(_directory.name, f"{next(_numbers)}.sqlite3"), clock=clock)


class TestExactStorage(StorageConformance):
    def make(self, clock):
        return InMemoryStorage(clock=clock, exact=True)


# The graph


class NoBuilder:
    """Builds nothing by itself: the test does."""

    def request(self, vectors):
        pass


vector_numbers = st.integers(0, len(VECTORS) - 1)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), st.lists(vector_numbers, max_size=12)),
        st.tuples(st.just("replace"), vector_numbers, vector_numbers),
        st.tuples(st.just("remove"), st.sets(st.integers(0, 63), max_size=12)),
        st.tuples(st.just("build"), st.integers(1, 3)),
    ),
    max_size=8,
)


def change(vectors, numbers, action, *arguments):
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
    elif action == "build":
        for _ in range(arguments[0]):
            if batch := vectors.next_batch():
                graph, slots, part, end = batch
                graph.add(slots, part)
                graph.added(end)


@settings(deadline=None)
@given(
    start=st.lists(vector_numbers, max_size=40),
    before=changes,
    during=changes,
    after=changes,
    query=vector_numbers,
    count=st.integers(1, 20),
)
def test_a_probe_finds_the_best_that_the_index_holds_at_its_end(
    start, before, during, after, query, count
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_BLOCK_BYTES", 5 * 4 * DIMENSIONS)
        patch.setattr(hnsw, "_BATCH", 5)
        lower_limits(patch)
        vectors = VectorIndex(DIMENSIONS, NoBuilder())
        numbers = []
        for each in [("extend", start), *before]:
            change(vectors, numbers, *each)
        probe = vectors.probe(VECTORS[query], count)
        if probe is None:
            return
        for each in during:
            change(vectors, numbers, *each)
        probe.run()
        for each in after:
            change(vectors, numbers, *each)
        found = vectors.candidates(probe)
        vectors.end(probe)
    if found is None:
        return
    rows, scores, edge = found
    products = VECTORS[numbers] @ VECTORS[query]
    assert len(set(rows.tolist())) == len(rows)
    np.testing.assert_allclose(scores, products[rows], atol=1e-6)
    assert set(np.flatnonzero(products > edge + 0.03)) <= set(rows.tolist())


def test_hits_are_those_of_exact_search(monkeypatch, scans):
    lower_limits(monkeypatch, least_rows=1000)
    vectors = random_vectors(4000, 64)
    queries = unit(vectors[:1000] + 0.4 * random_vectors(1000, 64, seed=1))
    storage, exact = filled(vectors), filled(vectors, exact=True)
    found = [storage.search_top(query, *SCOPE, 0.9, limit=3) for query in queries]
    assert len(scans) < 5
    expected = [exact.search_top(query, *SCOPE, 0.9, limit=3) for query in queries]
    assert sum(map(bool, expected)) > 900
    same = sum(
        [match.entry.id for match in ours] == [match.entry.id for match in theirs]
        for ours, theirs in zip(found, expected, strict=True)
    )
    assert same >= 995


@pytest.mark.usefixtures("early_graphs")
@pytest.mark.parametrize("limit", [1, 3, 40])
@pytest.mark.parametrize("wanted", [{"tenth": "7"}, {"odd": "1"}, {"odd": "1", "tenth": "7"}])
@pytest.mark.parametrize("threshold", [0.0, 0.75, 0.9])
def test_a_filter_leaves_out_nothing_that_belongs_to_the_answer(limit, wanted, threshold):
    vectors = random_vectors(300)
    queries = unit(vectors[::20] + 0.3 * random_vectors(15, seed=1))
    storage, exact = filled(vectors), filled(vectors, exact=True)
    for query in queries:
        arguments = (query, *SCOPE, threshold)
        ours = storage.search_top(*arguments, limit=limit, attributes=wanted)
        theirs = exact.search_top(*arguments, limit=limit, attributes=wanted)
        assert [match.entry.id for match in ours] == [match.entry.id for match in theirs]


@pytest.mark.usefixtures("early_graphs")
def test_of_more_equal_vectors_than_the_graph_is_asked_for_the_latest_wins():
    storage = InMemoryStorage()
    for number in range(200):
        updated_at = 999.0 if number == 150 else float(number)
        storage.store(make_entry(number, VECTORS[number % 2], updated_at=updated_at))
    wait_until_built(storage)
    assert storage.search(VECTORS[0], *SCOPE, 0.9).entry.id == "150"
    found = storage.search_top(VECTORS[0], *SCOPE, 0.9, limit=3)
    assert [match.entry.id for match in found] == ["150", "198", "196"]


@pytest.mark.usefixtures("early_graphs")
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


def test_a_graph_is_made_anew_when_much_of_it_is_gone(monkeypatch):
    lower_limits(monkeypatch, least_rows=20)
    storage = filled(VECTORS)
    graph = index_of(storage)._graphs[0]
    for turn in range(40):
        for number in range(0, 96, 3):
            storage.store(make_entry(number, VECTORS[(number + turn + 1) % 96]))
        slots = sum(len(each._rows) for each in index_of(storage)._graphs)
        assert slots < 2 * (3 * 96 + 64) * 9 / 8
    wait_until_built(storage)
    assert graph not in index_of(storage)._graphs
    assert storage.search(VECTORS[40], *SCOPE, 0.99).entry is not None
    storage.delete("ns", [str(number) for number in range(95)])
    assert index_of(storage)._graphs == []


@pytest.mark.usefixtures("early_graphs")
def test_an_entry_that_keeps_its_vector_keeps_its_place_in_the_graph():
    storage = filled(VECTORS)
    for turn in range(10):
        for number in range(96):
            storage.edit(
                "ns",
                str(number),
                lambda entry, turn=turn: dataclasses.replace(entry, response=f"{turn}"),
            )
    (graph,) = index_of(storage)._graphs
    assert graph.gone(96) == 0
    assert storage.search(VECTORS[5], *SCOPE, 0.9).entry.response == "9"


@pytest.mark.usefixtures("early_graphs")
def test_a_filter_that_few_entries_pass_is_applied_first(monkeypatch, scans):
    storage = filled(VECTORS)
    monkeypatch.setattr(memory, "_ROWS_FILTERED_DURING_PROBE", 96 * 4)
    storage.search_top(VECTORS[1], *SCOPE, 0.95, attributes={"odd": "1"})
    assert len(scans) == 0
    storage.search_top(VECTORS[1], *SCOPE, 0.95, attributes={"tenth": "1"})
    assert len(scans) == 1
    assert index_of(storage)._scans == []


@pytest.mark.usefixtures("early_graphs")
def test_exact_storage_has_no_graph(tmp_path):
    file = SQLiteStorage(tmp_path / "file", exact=True)
    for storage in (InMemoryStorage(exact=True), file):
        for number in range(20):
            storage.store(make_entry(number, VECTORS[number]))
        assert index_of(storage)._graphs == []
    file.close()


# The thread


class Gate:
    """Holds up the building of graphs."""

    def __init__(self, patch):
        self.reached, self._open = threading.Event(), threading.Event()
        add = hnsw.Graph.add

        def held_up_add(*arguments):
            self.reached.set()
            assert self._open.wait(30)
            add(*arguments)

        patch.setattr(hnsw.Graph, "add", held_up_add)

    def open(self):
        self._open.set()


@pytest.mark.usefixtures("early_graphs")
def test_nobody_waits_for_the_graph(monkeypatch):
    gate = Gate(monkeypatch)
    storage = InMemoryStorage()
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
    assert index_of(storage)._graphs[0].tail_length == 0
    for number in range(1, 96):
        assert storage.search(VECTORS[number], *SCOPE, 0.99).entry.id == str(number)


@pytest.mark.usefixtures("early_graphs")
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_close_ends_the_thread(monkeypatch, tmp_path, kind):
    gate = Gate(monkeypatch)
    storage = InMemoryStorage() if kind == "memory" else SQLiteStorage(tmp_path / "file")
    for number in range(50):
        storage.store(make_entry(number, VECTORS[number]))
    assert gate.reached.wait(10)
    thread = storage._builder._thread
    gate.open()
    storage.close()
    assert not thread.is_alive()


@pytest.mark.usefixtures("early_graphs")
def test_a_storage_that_is_dropped_is_freed_and_its_thread_ends(monkeypatch):
    gate = Gate(monkeypatch)
    storage = InMemoryStorage()
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


@pytest.mark.usefixtures("early_graphs")
def test_a_graph_that_cannot_be_built_leaves_search_exact(monkeypatch, caplog):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(hnsw.Graph, "add", fail)
    storage = filled(VECTORS)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    storage.store(make_entry("more", VECTORS[0]))
    assert storage._builder._thread is None
    assert storage.search(VECTORS[40], *SCOPE, 0.99).entry.id == "40"


def build_and_search(storage, found):
    for number in range(48, 96):
        storage.store(make_entry(number, VECTORS[number]))
    wait_until_built(storage)
    built = index_of(storage)._graphs[0].tail_length == 0
    ids = [storage.search(vector, *SCOPE, 0.99).entry.id for vector in VECTORS]
    found.put((built, ids))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.usefixtures("early_graphs")
def test_a_forked_process_goes_on_with_the_graph():
    fork = multiprocessing.get_context("fork")
    for _ in range(5):
        storage = InMemoryStorage()
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
import sys
import numpy as np
from langcache.engine import CacheEntry, InMemoryStorage, hnsw
hnsw.LEAST_ROWS = int(sys.argv[1])
vectors = np.random.default_rng(0).standard_normal((3000, 128)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
storage = InMemoryStorage()
for number, vector in enumerate(vectors):
    storage.store(CacheEntry(id=str(number), prompt="", response="", embedding=vector,
                             namespace="ns", embedding_model_id="model",
                             created_at=1.0, updated_at=1.0))
print(storage._builder._thread is not None, "usearch" in sys.modules)
"""


def run_usage(least_rows):
    done = subprocess.run(
        [sys.executable, "-c", USAGE, str(least_rows)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_a_process_ends_well_in_the_midst_of_building():
    for _ in range(3):
        assert run_usage(100)[0] == "True"


def test_who_needs_no_graph_does_not_import_usearch():
    assert run_usage(10_000) == ["False", "False"]
