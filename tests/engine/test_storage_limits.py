"""The limits of the storages in memory: which entries go, and what an entry is taken to need."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from stored_entries import EAST, make_entry

from langcache.engine import InMemoryStorage, SemanticCache, SQLiteStorage
from langcache.engine.storage import StorageFullError


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path):
    """Creates a storage; a second one reads the file of the first."""
    with contextlib.ExitStack() as stack:

        def make(**options):
            if request.param == "memory":
                return InMemoryStorage(**options)
            path = tmp_path / "cache.sqlite3"
            return stack.enter_context(contextlib.closing(SQLiteStorage(path, **options)))

        yield make


def ids(storage, namespace="ns"):
    return {entry.id for entry in storage.entries(namespace)}


def test_without_limits_nothing_is_counted(make):
    assert make().usage is None


def test_the_entry_that_was_not_used_for_the_longest_time_goes(make):
    storage = make(max_entries=np.int64(3))
    for id in "abc":
        storage.store(make_entry(id))
    storage.mark_used("ns", ["a", "unknown"])
    storage.mark_used("other", ["b"])
    storage.store(make_entry("d"))
    assert ids(storage) == {"a", "c", "d"}
    storage.store(make_entry("c", response="new"))  # replaces, so that nothing has to go
    assert ids(storage) == {"a", "c", "d"}
    storage.edit("ns", "a", lambda entry: make_entry("a", response="edited"))
    storage.store(make_entry("e", namespace="other"))
    assert (ids(storage), ids(storage, "other")) == ({"a", "c"}, {"e"})
    usage = storage.usage
    assert (usage.entries, usage.max_entries, usage.max_bytes, usage.evictions) == (3, 3, None, 2)


def test_removed_entries_make_room(make):
    storage = make(max_entries=2)
    for remove in (
        lambda: storage.delete("ns", ["a"]),
        lambda: storage.delete_by_attributes("ns", {"x": "1"}),
        lambda: storage.invalidate_namespace("ns"),
        storage.clear,
    ):
        storage.store(make_entry("a", attributes={"x": "1"}))
        storage.store(make_entry("b", namespace="other"))
        remove()
        storage.store(make_entry("c", namespace="other"))
        assert storage.usage.evictions == 0
        storage.clear()
        assert (storage.usage.entries, storage.usage.bytes) == (0, 0)


def test_expired_entries_go_first(make):
    now = [1000.0]
    storage = make(max_entries=2, clock=lambda: now[0])
    storage.store(make_entry("old"))
    storage.store(make_entry("expired", expires_at=1001.0))
    now[0] = 1002.0
    storage.store(make_entry("new"))
    assert ids(storage) == {"old", "new"}
    assert storage.usage.evictions == 0


def test_bytes_are_bounded(make):
    storage = make(max_bytes=20_000)
    for number in range(50):
        storage.store(make_entry(str(number), response="x" * 1000))
        assert storage.usage.bytes <= 20_000
    assert 5 <= storage.usage.entries <= 15
    assert "49" in ids(storage)


def test_an_entry_that_does_not_fit_alone_is_refused(make):
    storage = make(max_bytes=20_000)
    storage.store(make_entry("a"))
    with pytest.raises(StorageFullError, match="max_bytes=20000"):
        storage.store(make_entry("b", response="x" * 20_000))
    assert ids(storage) == {"a"}


def test_several_entries_at_once_make_room(make):
    storage = make(max_entries=3)
    storage.store_many([make_entry(id) for id in "abc"])
    storage.store_many([make_entry(id) for id in "cde"])
    assert ids(storage) == {"c", "d", "e"}


def test_what_is_removed_leaves_the_file(tmp_path):
    path = tmp_path / "cache.sqlite3"
    with contextlib.closing(SQLiteStorage(path, max_entries=2)) as storage:
        for id in "abc":
            storage.store(make_entry(id))
    with contextlib.closing(SQLiteStorage(path)) as storage:
        assert ids(storage) == {"b", "c"}


def test_a_file_that_exceeds_the_limits_is_reduced_when_it_is_opened(tmp_path, caplog):
    path = tmp_path / "cache.sqlite3"
    with contextlib.closing(SQLiteStorage(path)) as storage:
        for number, id in enumerate("abcd"):
            storage.store(make_entry(id, updated_at=100.0 - number))
    for _ in range(2):
        with contextlib.closing(SQLiteStorage(path, max_entries=3)) as storage:
            assert ids(storage) == {"a", "b", "c"}
    [message] = caplog.messages
    assert "removed 1 entries" in message


def test_the_first_start_after_an_upgrade_removes_nothing(tmp_path, caplog):
    path = tmp_path / "cache.sqlite3"
    with contextlib.closing(SQLiteStorage(path)) as storage:
        for id in "abcd":
            storage.store(make_entry(id))
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("ALTER TABLE entries DROP COLUMN checksum")
        file.execute("ALTER TABLE records DROP COLUMN checksum")
        file.execute("PRAGMA user_version = 1")
    with contextlib.closing(SQLiteStorage(path, max_entries=3)) as storage:
        storage.store(make_entry("e"))
        assert ids(storage) == set("abcde")
        assert storage.usage.max_entries is None
    [message] = caplog.messages
    assert "1 entries are more than" in message
    with contextlib.closing(SQLiteStorage(path, max_entries=3)) as storage:
        assert len(ids(storage)) == 3


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError), (True, TypeError)]
)
@pytest.mark.parametrize("name", ["max_entries", "max_bytes"])
def test_a_limit_that_is_none_is_named(name, limit, error):
    with pytest.raises(error, match=f"^{name}: "):
        InMemoryStorage(**{name: limit})


class OneVector:
    model_id = "model"
    dimensions = len(EAST)

    def embed(self, texts):
        return np.tile(EAST, (len(texts), 1))

    async def aembed(self, texts):
        return self.embed(texts)


def test_a_hit_is_a_use():
    fields = [{"name": "user", "type": "tag"}]
    cache = SemanticCache(vectorizer=OneVector(), filterable_fields=fields, max_entries=2)
    for prompt in ("a", "b"):
        cache.store(prompt, prompt)
    assert cache.check("a", num_results=1)[0]["prompt"] == "b"
    cache.storage.mark_used(cache.name, [])
    cache.store("c", "c")
    assert {entry.prompt for entry in cache.storage.entries(cache.name)} == {"b", "c"}


@pytest.mark.parametrize("options", [{"storage": InMemoryStorage()}, {"redis_url": "redis://x"}])
def test_limits_of_a_cache_are_for_the_storage_that_it_creates(options):
    with pytest.raises(ValueError, match="max_entries, max_bytes: must not be given with"):
        SemanticCache(vectorizer=OneVector(), max_bytes=1, **options)


MEASURE = """
    import gc, os, sys
    import numpy as np
    from langcache.engine import CacheEntry, InMemoryStorage

    text, dimensions, limit = map(int, sys.argv[1:])
    random = np.random.default_rng(0)

    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def entry(number):
        vector = random.standard_normal(dimensions).astype(np.float32)
        return CacheEntry(
            id=f"{number:032x}", prompt=f"{number} " + "x" * text,
            response=f"{number} " + "y" * int(text * (0.5 + random.random())),
            embedding=vector / np.linalg.norm(vector), namespace="ns",
            embedding_model_id="model", created_at=1.0, updated_at=1.0,
            attributes={"user": str(number)})

    warm = InMemoryStorage()
    warm.store(entry(0))
    warm.search_top(entry(0).embedding, "ns", "model", "", 0.5)
    del warm
    gc.collect()
    storage = InMemoryStorage(max_bytes=limit)
    before = resident()
    number = 0
    while storage.usage.evictions < number // 2 + 1:  # twice what fits
        storage.store(entry(number))
        number += 1
    print((resident() - before) / limit)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("text", "dimensions", "limit"),
    [(0, 8, 8_000_000), (100, 384, 15_000_000), (5000, 384, 15_000_000)],
)
def test_resident_memory_stays_near_the_limit(text, dimensions, limit):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE), *map(str, (text, dimensions, limit))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert 0.5 <= float(done.stdout) <= 1.3
