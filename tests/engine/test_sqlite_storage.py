"""What is special to the storage in a file: what is in it, when, and whose it is."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from enum import IntEnum

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_entries import EAST, NORTH, SCOPE, make_entry

from langcache.engine import SQLiteStorage, StorageError


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.sqlite3"


@pytest.fixture
def open_storage(path, clock):
    """Opens the file; what is still open at the end of the test is closed."""
    with contextlib.ExitStack() as stack:

        def opened(**options):
            return stack.enter_context(
                contextlib.closing(SQLiteStorage(path, clock=clock, **options))
            )

        yield opened


@pytest.fixture
def reopen(open_storage):
    def reopened(storage):
        storage.close()
        return open_storage()

    return reopened


def contents(storage, *namespaces):
    return [entry for namespace in namespaces or ["ns"] for entry in storage.entries(namespace)]


def rows(path):
    """The ids in the file of a storage that has been closed."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        return [id.decode() for (id,) in file.execute("SELECT id FROM entries ORDER BY rowid")]


def run(code, *arguments, **options):
    """Run Python code in another process and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        **options,
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


# What is there after the file has been closed and opened


def test_every_entry_is_there_again_as_it_was(open_storage, reopen):
    storage = open_storage()
    stored = [
        make_entry("1", attributes={"user": "Ω", "": ""}, metadata={"a": [1, None, {"b": 0.1}]}),
        make_entry("2", NORTH, context_hash="c", metadata={}, expires_at=2000.25),
        make_entry("3", NORTH, updated_at=950.125, created_at=-1.5),
        make_entry("4", EAST[:1], embedding_model_id="small", expires_at=float("inf")),
        make_entry("1", namespace="other"),
    ]
    for entry in stored:
        storage.store(entry)
    before = contents(storage, "ns", "other")
    storage = reopen(storage)
    assert contents(storage, "ns", "other") == before
    assert storage.search(NORTH, "ns", "model", "c", 0.9).entry == stored[1]
    assert storage.find_exact("PROMPT 3", *SCOPE) == [stored[2]]
    assert storage.search_top(EAST, *SCOPE, 0.0, attributes={"user": "Ω"})[0].entry == stored[0]


def test_what_was_replaced_or_removed_stays_so(open_storage, reopen):
    storage = open_storage()
    for id in "abcdef":
        storage.store(make_entry(id, attributes={"id": id}))
    storage.store(make_entry("a", namespace="other"))
    storage.store(make_entry("b", NORTH, response="new", context_hash="new"))
    assert storage.delete("ns", ["c", "unknown"]) == 1
    assert storage.delete_by_attributes("ns", {"id": "d"}) == 1
    assert storage.invalidate_namespace("other") == 1
    storage = reopen(storage)
    assert [entry.id for entry in storage.entries("ns")] == list("abef")
    assert storage.get("ns", "b").response == "new"
    assert storage.namespace_size("other") == 0
    storage.clear()
    assert contents(reopen(storage)) == []


def test_an_edit_is_kept(open_storage, reopen):
    storage = open_storage()
    storage.store(make_entry())
    edited = make_entry(response="edited", updated_at=950.0)
    assert storage.edit("ns", "1", lambda entry: edited) == edited
    assert storage.edit("ns", "1", lambda entry: entry) == edited
    assert storage.edit("ns", "unknown", lambda entry: edited) is None
    assert contents(reopen(storage)) == [edited]


def test_a_namespace_can_be_emptied_by_attributes_of_which_none_are_given(open_storage, reopen):
    storage = open_storage()
    storage.store(make_entry())
    assert storage.delete_by_attributes("ns", {}) == 1
    assert contents(reopen(storage)) == []


def test_entries_keep_their_order_when_they_are_replaced_or_expire(open_storage, reopen, clock):
    storage = open_storage()
    for id in "abc":
        storage.store(make_entry(id, expires_at=1010.0 if id == "b" else None))
    storage.store(make_entry("a", NORTH))
    clock.now = 1010.0
    storage.store(make_entry("b"))
    assert [entry.id for entry in storage.entries("ns")] == ["a", "c", "b"]
    assert [entry.id for entry in reopen(storage).entries("ns")] == ["a", "c", "b"]


texts = st.one_of(
    st.text(st.characters(), max_size=20),
    st.sampled_from(["\0", "a\0b", "\ud800", "\ud800\udc00", "\udc00\ud800x", "\U00010000"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(
    text=st.tuples(*[texts] * 6),
    attributes=st.dictionaries(texts, texts, max_size=4),
    metadata=st.none() | st.dictionaries(texts, json_values | texts, max_size=4),
    times=st.tuples(*[st.floats(allow_nan=False)] * 2),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_and_any_json_survives_exactly(
    open_storage, reopen, text, attributes, metadata, times
):
    id, prompt, response, namespace, model, context = text
    entry = make_entry(
        id,
        prompt=prompt,
        response=response,
        namespace=namespace,
        embedding_model_id=model,
        context_hash=context,
        attributes=attributes,
        metadata=metadata,
        created_at=times[0],
        updated_at=times[1],
    )
    storage = open_storage()
    storage.clear()
    storage.store(entry)
    storage = reopen(storage)
    assert contents(storage, namespace) == [entry]
    storage.close()


def test_many_entries_of_many_scopes_are_loaded_in_their_order(open_storage, reopen):
    random_numbers = np.random.default_rng(0)
    storage = open_storage()
    for number in range(9000):
        vector = random_numbers.standard_normal(8).astype(np.float32)
        storage.store(
            make_entry(str(number), vector / np.linalg.norm(vector), context_hash=str(number % 3))
        )
    before = contents(storage)
    storage = reopen(storage)
    after = contents(storage)
    assert len(after) == 9000
    assert after == before
    for entry in after[::1000]:
        found = storage.search(entry.embedding, "ns", "model", entry.context_hash, 1.0)
        assert found.entry == entry


# Expiry


def test_expired_entries_leave_the_file_with_the_next_change(open_storage, path, clock):
    storage = open_storage()
    storage.store(make_entry("short", expires_at=1010.0))
    storage.store(make_entry("long", expires_at=1020.0))
    clock.now = 1010.0
    storage.store(make_entry("new"))
    storage.close()
    assert rows(path) == ["long", "new"]


def test_expired_entries_leave_the_file_when_it_is_opened(open_storage, path, clock):
    storage = open_storage()
    for number in range(300):
        storage.store(make_entry(str(number), expires_at=1010.0))
    storage.store(make_entry("long", expires_at=1020.0))
    storage.close()
    clock.now = 1010.0
    storage = open_storage()
    assert [entry.id for entry in contents(storage)] == ["long"]
    storage.close()
    assert rows(path) == ["long"]


def test_a_scope_that_has_expired_may_get_other_dimensions(open_storage, reopen, clock):
    storage = open_storage()
    for number in range(300):
        storage.store(make_entry(str(number), expires_at=1010.0))
    clock.now = 1010.0
    storage.store(make_entry("new", EAST[:2]))
    clock.now = 1000.0
    assert [entry.id for entry in contents(reopen(storage))] == ["new"]


# What is refused, with nothing changed


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": {1, 2}},
        {"a": (1, 2)},
        {1: "a"},
        {"a": {None: 1}},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": b"bytes"},
        {"a": object()},
        {"a": np.float32(1)},
    ],
    ids=lambda metadata: repr(metadata).partition(" at 0x")[0],
)
def test_metadata_that_json_cannot_hold_is_refused(open_storage, reopen, metadata):
    storage = open_storage()
    storage.store(make_entry(metadata={"a": 1}))
    with pytest.raises(ValueError, match=r"^metadata: must be JSON"):
        storage.store(make_entry(metadata=metadata))
    assert contents(storage) == contents(reopen(storage)) == [make_entry(metadata={"a": 1})]


def test_metadata_without_end_is_refused(open_storage):
    storage = open_storage()
    circle = {}
    circle["a"] = circle
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    for metadata in (circle, deep):
        with pytest.raises(ValueError, match=r"^metadata: must be JSON"):
            storage.store(make_entry(metadata=metadata))
    assert contents(storage) == []


def test_metadata_equal_to_json_is_kept(open_storage, reopen):
    storage = open_storage()
    storage.store(make_entry(metadata={"a": Number.ONE}))
    assert reopen(storage).get("ns", "1").metadata == {"a": 1}


def test_a_creation_time_that_is_no_number_is_refused(open_storage):
    storage = open_storage()
    with pytest.raises(ValueError, match=r"^created_at: must be a number of seconds, got nan"):
        storage.store(make_entry(created_at=float("nan")))
    assert contents(storage) == []


def test_other_dimensions_in_a_scope_are_refused_also_after_reopening(open_storage, reopen):
    storage = open_storage()
    storage.store(make_entry())
    storage = reopen(storage)
    with pytest.raises(ValueError, match=r"^embedding: must have 3 dimensions, got 2"):
        storage.store(make_entry("2", EAST[:2]))
    assert contents(reopen(storage)) == [make_entry()]


# Files that are not ours


def assert_refused(path, message):
    before = path.read_bytes()
    with pytest.raises(StorageError, match=message) as caught:
        SQLiteStorage(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_not_a_database_is_refused(path):
    garbage = b"SQLite format 3\0" + b"\1" * 5000
    for content in (b"\n", b"hello", b"\0" * 511, b"\0" * 4096, b"x" * 10_000, garbage):
        path.write_bytes(content)
        assert_refused(path, "not a storage file, or a damaged one, left as it is")


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_database_of_another_program_is_refused(path, mode):
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA journal_mode = {mode}")
        file.execute("CREATE TABLE entries (id)")
    assert_refused(path, "a file of another program, left as it is")


def test_a_file_of_a_later_version_is_refused(open_storage, path):
    open_storage().close()
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 3")
    assert_refused(path, "has version 3 of the format, left as it is; .* reads versions 1 to 2")


def filled_file(open_storage, path):
    storage = open_storage()
    for number in range(200):
        storage.store(make_entry(f"{number:03}", response="x" * 500))
    storage.close()
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_has_lost_its_end_is_refused(open_storage, path, share):
    data = filled_file(open_storage, path)
    path.write_bytes(data[: int(len(data) * share)])
    assert_refused(path, "damaged, left as it is")


def test_a_file_with_damaged_pages_is_refused(open_storage, path):
    data = filled_file(open_storage, path)
    for page in range(1, len(data) // 4096, 5):
        start = page * 4096
        path.write_bytes(data[:start] + b"\xa5" * 4096 + data[start + 4096 :])
        assert_refused(path, "damaged, left as it is")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("embedding", b"\0" * 12),
        ("embedding", b"\0\0\x80\x3f"),
        ("embedding", b"odd"),
        ("prompt", b"\xff"),
        ("attributes", b"{"),
        ("metadata", b"{"),
    ],
)
def test_a_file_with_impossible_values_is_refused(open_storage, path, column, value):
    filled_file(open_storage, path)
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute(f"UPDATE entries SET {column} = ? WHERE rowid = 77", (value,))
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA journal_mode = WAL")
    assert_refused(path, "damaged, left as it is")


def tamper(path, *statements):
    """Change a file behind the back of the storage."""
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        for statement in statements:
            file.execute(statement)
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA journal_mode = WAL")


@pytest.mark.parametrize(
    "change",
    [
        "prompt = x'58'",
        "response = cast(replace(response, 'x', 'y') AS BLOB)",
        "attributes = x'5b5d'",
        "attributes = x'7b2261223a317d'",
        "metadata = x'5b5d'",
        "metadata = x'31'",
        "embedding = x''",
        "embedding = 7",
        "prompt = 7",
        "created_at = 'soon'",
        "updated_at = 0",
        "expires_at = 5000",
        "checksum = x''",
    ],
)
def test_a_changed_row_is_named(open_storage, path, change):
    filled_file(open_storage, path)
    tamper(path, f"UPDATE entries SET {change} WHERE rowid = 77")
    assert_refused(path, "row 77 of the table entries")
    tamper(path, "DELETE FROM entries WHERE rowid = 77")
    assert len(contents(open_storage())) == 199


@pytest.mark.parametrize("change", ["text = x'ff'", "text = 7", "key = x'00'", "checksum = x''"])
def test_a_changed_record_is_named(open_storage, path, change):
    storage = open_storage()
    storage.set_record("collection", "key", "text")
    storage.close()
    tamper(path, f"UPDATE records SET {change}")
    assert_refused(path, "a row of the table records")
    tamper(path, "DELETE FROM records")
    assert open_storage().records("collection") == {}


TO_VERSION_1 = (
    "ALTER TABLE entries DROP COLUMN checksum",
    "ALTER TABLE records DROP COLUMN checksum",
    "PRAGMA user_version = 1",
)


def test_a_file_of_version_1_is_brought_to_this_version(open_storage, reopen, path):
    storage = open_storage()
    stored = [
        make_entry("1", attributes={"user": "Ω"}, metadata={"a": 1}, created_at=-0.0),
        make_entry("2", NORTH, expires_at=2000.25),
    ]
    for entry in stored:
        storage.store(entry)
    storage.set_record("collection", "key", "text")
    storage.close()
    tamper(path, *TO_VERSION_1)
    storage = open_storage()
    assert contents(storage) == stored
    assert storage.record("collection", "key") == "text"
    storage.store(make_entry("3"))
    assert len(contents(reopen(storage))) == 3


def test_a_damaged_file_of_version_1_is_left_as_it_is(open_storage, path):
    filled_file(open_storage, path)
    tamper(path, "UPDATE entries SET attributes = x'5b5d' WHERE rowid = 77", *TO_VERSION_1)
    assert_refused(path, "row 77 of the table entries")


def unclosed_file(path):
    """Make a file with 20 entries, as a process leaves it that dies; return its log."""
    code = """
        import os, sys
        import numpy as np
        from langcache.engine import CacheEntry, SQLiteStorage
        storage = SQLiteStorage(sys.argv[1])
        for number in range(20):
            vector = np.array([1, 0], np.float32)
            storage.store(CacheEntry(id=str(number), prompt="p", response="r", embedding=vector,
                namespace="ns", embedding_model_id="model", created_at=1.0, updated_at=1.0))
        os._exit(0)
    """
    run(code, path)
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size
    return log


def test_a_sound_log_is_read_without_a_word(open_storage, path, caplog):
    log = unclosed_file(path)
    log.write_bytes(log.read_bytes()[:-100])  # the last change was not complete
    assert 0 < len(contents(open_storage())) < 20
    assert caplog.messages == []


@pytest.mark.parametrize("position", [0, 25, 40, 9000])
def test_changes_that_a_damaged_log_has_lost_are_said(open_storage, path, caplog, position):
    log = unclosed_file(path)
    data = bytearray(log.read_bytes())
    data[position] ^= 0xFF
    log.write_bytes(data)
    assert len(contents(open_storage())) < 20
    [message] = caplog.messages
    assert "-wal, is damaged" in message


def test_a_file_beside_a_new_one_is_not_overwritten(open_storage, path):
    for suffix, message in (("-wal", "missing"), ("-journal", "of another program")):
        beside = path.with_name(path.name + suffix)
        beside.write_bytes(b"hello")
        with pytest.raises(StorageError, match=message):
            open_storage()
        assert beside.read_bytes() == b"hello"
        assert not path.exists()
        beside.unlink()


def test_a_path_where_no_file_can_be_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "file"):
        with pytest.raises(StorageError, match="cannot be opened"):
            SQLiteStorage(path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_new_one(open_storage, reopen, path):
    path.touch()
    storage = open_storage()
    storage.store(make_entry())
    assert contents(reopen(storage)) == [make_entry()]


@pytest.mark.parametrize("name", ["a?b#c%20d.db", ":memory:", "Ω \udcff"])
def test_any_name_will_do(tmp_path, name):
    path = tmp_path / name
    for _ in range(2):
        with contextlib.closing(SQLiteStorage(path)) as storage:
            storage.store(make_entry())
    assert [each.name for each in tmp_path.iterdir()] == [name]


# One file, one storage


TRY_TO_OPEN = """
    import sys
    from langcache.engine import SQLiteStorage, StorageError
    try:
        SQLiteStorage(sys.argv[1]).close()
    except StorageError as error:
        print(error)
"""


def test_a_file_in_use_is_refused_in_this_process_and_in_others(open_storage, path):
    storage = open_storage()
    storage.store(make_entry())
    for _ in range(2):
        with pytest.raises(StorageError, match="in use by another storage or program"):
            SQLiteStorage(path)
        # The attempt in this process has not taken the lock away.
        message = run(TRY_TO_OPEN, path)
        assert message.startswith(f"{path}: in use by another storage or program")
        assert "Redis" in message
    storage.store(make_entry("2"))
    storage.close()
    assert run(TRY_TO_OPEN, path) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_process_cannot_change_the_file(path):
    code = """
        import os, sys
        import numpy as np
        from langcache.engine import SQLiteStorage, StorageError
        storage = SQLiteStorage(sys.argv[1])
        child = os.fork()
        if not child:
            try:
                storage.clear()
            except StorageError as error:
                print(error, flush=True)
            storage.close()
            os._exit(0)
        os.waitpid(child, 0)
        storage.clear()
        storage.close()
    """
    expected = f"{path}: belongs to the process that this one was forked from"
    assert run(code, path) == expected


# The end of a storage


def test_a_closed_storage_says_so(open_storage):
    storage = open_storage()
    storage.store(make_entry())
    storage.close()
    storage.close()
    for call in (
        lambda: storage.store(make_entry()),
        lambda: storage.search(EAST, *SCOPE, 0.9),
        lambda: storage.search_top(EAST, *SCOPE, 0.9),
        lambda: storage.find_exact("prompt", *SCOPE),
        lambda: storage.get("ns", "1"),
        lambda: storage.entries("ns"),
        lambda: storage.namespace_size("ns"),
        lambda: storage.delete("ns", ["1"]),
        lambda: storage.delete_by_attributes("ns", {"a": "b"}),
        lambda: storage.delete_by_attributes("ns", {}),
        lambda: storage.invalidate_namespace("ns"),
        storage.clear,
    ):
        with pytest.raises(StorageError, match="the storage is closed"):
            call()


def test_closing_leaves_one_file(open_storage, path):
    storage = open_storage()
    storage.store(make_entry())
    storage.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_repr_names_the_file_and_nothing_else(open_storage, path):
    storage = open_storage()
    storage.store(make_entry(prompt="SECRET"))
    assert repr(storage) == f"SQLiteStorage({str(path)!r})"


# Failures and load


FILL_THE_DISK = """
    import resource, signal, sys
    import numpy as np
    from langcache.engine import CacheEntry, SQLiteStorage, StorageError

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    storage = SQLiteStorage(sys.argv[1])

    def make_entry(number, response="x" * 5000):
        return CacheEntry(id=str(number), prompt="p", response=response,
            embedding=np.array([1, 0, 0], np.float32), namespace="ns", embedding_model_id="m",
            created_at=1.0, updated_at=1.0)

    stored = 0
    try:
        while stored < 1000:
            storage.store(make_entry(stored))
            stored += 1
    except StorageError as error:
        print(error)
    assert 0 < stored < 1000
    assert storage.namespace_size("ns") == stored
    try:
        storage.store(make_entry(0, "y" * 100_000))
    except StorageError:
        pass
    assert storage.get("ns", "0").response == "x" * 5000
    # Deleting goes on, and makes room.
    for number in range(stored):
        assert storage.delete("ns", [str(number)]) == 1
    storage.store(make_entry(stored))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    storage.store(make_entry(stored + 1))
    before = list(storage.entries("ns"))
    assert [entry.id for entry in before] == [str(stored), str(stored + 1)]
    storage.close()
    assert list(SQLiteStorage(sys.argv[1]).entries("ns")) == before
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits to set")
def test_a_full_disk_is_an_error_and_memory_and_file_agree(path):
    message = run(FILL_THE_DISK, path)
    assert message.startswith(f"{path}: cannot be written, nothing has changed (")
    assert "\n" not in message


DELETE_ON_A_FULL_DISK = """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from langcache.engine import CacheEntry, SQLiteStorage, StorageError

    path = Path(sys.argv[1], "entries.db")

    def store_until_full(storage):
        storage.set_record("keys", "key", "secret")
        for number in range(1000):
            try:
                storage.store(CacheEntry(id=str(number), prompt="p", response="x" * number * 90,
                    embedding=np.array([1, 0, 0], np.float32), namespace="ab"[number % 2],
                    embedding_model_id="m", created_at=1.0, updated_at=1.0))
            except StorageError as error:
                assert "full" in str(error)
                return

    def use_up():
        # As other programs do that write to the same disk.
        with path.with_name("other").open("ab", buffering=0) as other:
            for size in (4096, 1):
                try:
                    while True:
                        other.write(bytes(size))
                except OSError:
                    pass

    def delete_all(storage):
        ids = [(name, entry.id) for name in "ab" for entry in storage.entries(name)]
        assert len(ids) > 20
        for name, id in ids[:5]:
            use_up()
            assert storage.delete(name, [id]) == 1
        use_up()
        assert storage.invalidate_namespace("a") > 0
        use_up()
        storage.clear()
        use_up()
        storage.set_record("keys", "key", None)
        storage.close()
        again = SQLiteStorage(path)
        assert not again.namespaces()
        assert again.record("keys", "key") is None
        again.close()
        for each in path.parent.iterdir():
            each.unlink()

    storage = SQLiteStorage(path)
    store_until_full(storage)
    use_up()
    delete_all(storage)

    # The same after the process has been killed.
    if not os.fork():
        store_until_full(SQLiteStorage(path))
        os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
    use_up()
    delete_all(SQLiteStorage(path))
"""


OPEN_ON_A_FULL_DISK = """
    import logging, os, signal, subprocess, sys
    from pathlib import Path
    import numpy as np
    from langcache.engine import CacheEntry, SQLiteStorage, StorageError
    from langcache.engine.storage import StorageFullError

    logging.disable()
    path = Path(sys.argv[1], "entries.db")
    other = path.with_name("other")

    def entries(count):
        return [CacheEntry(id=str(number), prompt="p", response="x" * 2000,
            embedding=np.array([1, 0, 0], np.float32), namespace="a", embedding_model_id="m",
            created_at=1.0, updated_at=1.0, expires_at=5e9) for number in range(count)]

    def use_up():
        with other.open("ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass

    def check_that_it_is_refused():
        use_up()
        before = {each: each.read_bytes() for each in path.parent.iterdir() if each != path}
        try:
            SQLiteStorage(path)
        except StorageFullError as error:
            assert "cannot be opened before the disk has room" in str(error)
        else:
            raise AssertionError
        assert before == {each: each.read_bytes() for each in before}

    def check_what_the_server_says():
        command = [sys.executable, "-m", "langcache_mockserver", f"--storage=sqlite:{path}",
            "--port=0"]
        server = subprocess.run(command, capture_output=True, text=True)
        assert server.returncode == 1
        assert server.stderr.startswith("langcache-mockserver: error: "), server.stderr
        assert server.stderr.count("\\n") == 1

    def check_what_it_has(count, **options):
        storage = SQLiteStorage(path, **options)
        assert storage.namespace_size("a") == count
        storage.close()

    # A new file.
    check_that_it_is_refused()
    other.unlink()

    # A file that was closed.
    storage = SQLiteStorage(path)
    storage.store_many(entries(30))
    storage.close()
    use_up()
    check_what_it_has(30)
    check_what_it_has(0, clock=lambda: 6e9)  # all have expired, but cannot be removed
    check_what_it_has(3, max_entries=3)
    check_what_it_has(30)
    other.unlink()
    check_what_it_has(3, max_entries=3)
    check_what_it_has(3)

    # What a process has left that was killed, without the space that it had kept.
    if not os.fork():
        SQLiteStorage(path).store_many(entries(60))
        os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
    path.with_name("entries.db-reserve").unlink()
    check_that_it_is_refused()
    check_what_the_server_says()
    other.unlink()
    check_what_it_has(60)
"""


@pytest.mark.parametrize("code", [DELETE_ON_A_FULL_DISK, OPEN_ON_A_FULL_DISK])
def test_deleting_and_opening_work_on_a_full_disk_or_are_refused(tmp_path, code):
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec"
    sandbox = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount + ' "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*sandbox, "true"], check=False).returncode:
        pytest.skip("a small disk can only be made with user namespaces")
    command = [*sandbox, sys.executable, "-c", textwrap.dedent(code), tmp_path]
    subprocess.run(command, check=True, timeout=60)


OPEN_UNDER_A_LIMIT = """
    import logging, resource, signal, sys
    import numpy as np
    from langcache.engine import CacheEntry, SQLiteStorage

    logging.disable()
    storage = SQLiteStorage(sys.argv[1])
    storage.store(CacheEntry(id="1", prompt="p", response="r",
        embedding=np.array([1, 0, 0], np.float32), namespace="a", embedding_model_id="m",
        created_at=1.0, updated_at=1.0, expires_at=5e9))
    storage.close()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    storage = SQLiteStorage(sys.argv[1], clock=lambda: 6e9)
    assert storage.namespace_size("a") == 0
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits to set")
def test_entries_that_cannot_be_removed_when_a_file_is_opened_are_not_found(path):
    code = textwrap.dedent(OPEN_UNDER_A_LIMIT)
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)


@pytest.mark.parametrize("content", [b"notes", bytes(100_000)])
def test_a_file_of_another_program_is_not_taken_for_the_reserve(open_storage, path, content):
    other = path.with_name(path.name + "-reserve")
    other.write_bytes(content)
    with pytest.raises(StorageError, match="-reserve file beside it"):
        open_storage()
    assert other.read_bytes() == content


def test_threads_leave_memory_and_file_equal(open_storage, reopen):
    storage = open_storage()
    until = time.monotonic() + 1.0

    def work(seed):
        choose = random.Random(seed)
        while time.monotonic() < until:
            id = str(choose.randrange(30))
            action = choose.random()
            if action < 0.6:
                storage.store(
                    make_entry(
                        id,
                        choose.choice([EAST, NORTH]),
                        response=str(choose.random()),
                        attributes={"seed": str(seed)},
                        context_hash=choose.choice("ab"),
                    )
                )
            elif action < 0.8:
                storage.delete("ns", [id])
            elif action < 0.98:
                storage.search(EAST, "ns", "model", "a", 0.5)
            elif action < 0.995:
                storage.delete_by_attributes("ns", {"seed": str(seed)})
            else:
                storage.invalidate_namespace("ns")

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = contents(storage)
    assert contents(reopen(storage)) == before


def test_edits_in_threads_do_not_undo_each_other(open_storage):
    storage = open_storage()
    storage.store(make_entry(response="0"))

    def count_to_a_hundred():
        for _ in range(100):
            storage.edit(
                "ns",
                "1",
                lambda each: dataclasses.replace(each, response=f"{int(each.response) + 1}"),
            )

    threads = [threading.Thread(target=count_to_a_hundred) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.get("ns", "1").response == "400"


@pytest.mark.parametrize("fsync", [False, True])
def test_changes_are_kept_with_and_without_waiting_for_the_disk(open_storage, reopen, fsync):
    storage = open_storage(fsync=fsync)
    storage.store(make_entry())
    assert contents(reopen(storage)) == [make_entry()]


# What was acknowledged survives the death of the process


CHANGE_UNTIL_KILLED = """
    import json, os, random, sys
    import numpy as np
    from langcache.engine import CacheEntry, SQLiteStorage

    def say(*words):
        # In one piece, so that no death leaves half a line.
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    def change_for_ever(seed):
        storage = SQLiteStorage(sys.argv[1])
        choose = random.Random(seed)
        say("ready", os.getpid())
        for number in range(10**9):
            id = str(choose.randrange(40))
            action = choose.random()
            if action < 0.75:
                change = ["store", id, f"{seed}-{number}" + "x" * choose.randrange(3000)]
            elif action < 0.99:
                change = ["delete", id]
            else:
                change = ["invalidate"]
            say(json.dumps(change))
            if change[0] == "store":
                storage.store(CacheEntry(id=id, prompt="p", response=change[2],
                    embedding=np.array([1, 0, 0], np.float32), namespace="ns",
                    embedding_model_id="m", created_at=1.0, updated_at=1.0))
            elif change[0] == "delete":
                storage.delete("ns", [id])
            else:
                storage.invalidate_namespace("ns")
            say("done")

    # One process for each seed, without the time that it takes to import everything anew.
    for line in sys.stdin:
        child = os.fork()
        if not child:
            change_for_ever(int(line))
        say("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def changed(responses, change):
    """The responses by id after a change."""
    action, *rest = change
    if action == "invalidate":
        return {}
    if action == "store":
        return responses | {rest[0]: rest[1]}
    return {id: response for id, response in responses.items() if id != rest[0]}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_what_was_acknowledged_survives_fifty_kills(path):
    choose = random.Random(0)
    acknowledged = {}
    changes = 0
    command = [sys.executable, "-c", textwrap.dedent(CHANGE_UNTIL_KILLED), str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        for kill in range(50):
            parent.stdin.write(f"{kill}\n")
            parent.stdin.flush()
            ready, child = parent.stdout.readline().split()
            assert ready == "ready"
            timer = threading.Timer(choose.uniform(0, 0.1), os.kill, [int(child), signal.SIGKILL])
            timer.start()
            pending = None
            while not (line := parent.stdout.readline()).startswith("ended"):
                if line == "done\n":
                    acknowledged = changed(acknowledged, pending)
                    pending = None
                    changes += 1
                else:
                    pending = json.loads(line)
            assert line == f"ended {-signal.SIGKILL}\n"

            possible = [acknowledged, *([changed(acknowledged, pending)] if pending else [])]
            with contextlib.closing(SQLiteStorage(path)) as storage:
                found = {entry.id: entry.response for entry in storage.entries("ns")}
            assert found in possible, f"kill {kill}"
            acknowledged = found
        parent.stdin.close()
    assert changes > 500


@pytest.mark.skipif(sys.platform == "win32", reason="the file is locked")
def test_a_kill_while_the_log_is_folded_into_the_file_loses_nothing(open_storage, path, tmp_path):
    storage = open_storage()
    for number in range(200):
        storage.store(make_entry(str(number)))
    before = contents(storage)
    directory = tmp_path / "copy"
    directory.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        shutil.copy(each, directory)
    storage.close()
    copy = directory / path.name
    first_page = path.read_bytes()[:4096]
    assert len(copy.read_bytes()) < path.stat().st_size
    copy.write_bytes(first_page + copy.read_bytes()[4096:])
    with contextlib.closing(SQLiteStorage(copy)) as storage:
        assert contents(storage) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_while_the_file_is_made_leaves_one_that_can_be_opened(tmp_path):
    code = """
        import itertools, sys
        from langcache.engine import SQLiteStorage
        print("ready", flush=True)
        for number in itertools.count():
            SQLiteStorage(f"{sys.argv[1]}/{number}").close()
    """
    choose = random.Random(0)
    for kill in range(5):
        directory = tmp_path / str(kill)
        directory.mkdir()
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(directory)], stdout=subprocess.PIPE
        )
        assert child.stdout.readline() == b"ready\n"
        time.sleep(choose.uniform(0.01, 0.1))
        child.kill()
        child.communicate(timeout=10)
        names = [each for each in directory.iterdir() if each.suffix == "" and "-" not in each.name]
        for name in names:
            SQLiteStorage(name).close()


def test_records_are_kept_in_the_file(tmp_path):
    path = tmp_path / "cache.db"
    with contextlib.closing(SQLiteStorage(path)) as storage:
        storage.set_record("fields", "faq", "{}")
        storage.set_record("fields", "faq", "\ud800")
        storage.set_record("fields", "faq\0", "")
        storage.set_record("fields", "gone", "text")
        storage.set_record("fields", "gone", None)
        storage.set_record("others", "faq", "other")
    with contextlib.closing(SQLiteStorage(path)) as storage:
        assert storage.records("fields") == {"faq": "\ud800", "faq\0": ""}
        assert storage.records("others") == {"faq": "other"}
        storage.clear()
    with contextlib.closing(SQLiteStorage(path)) as storage:
        assert storage.records("others") == {"faq": "other"}


def test_metadata_that_could_not_be_copied_is_refused_and_nothing_is_written(open_storage, reopen):
    def nested(levels):
        value = []
        for _ in range(levels - 2):
            value = [value]
        return {"a": value}

    storage = open_storage()
    storage.store(make_entry(metadata=nested(100)))
    # JSON can be written far deeper than Python can copy it.
    for metadata in (nested(101), nested(600)):
        with pytest.raises(ValueError, match=r"^metadata: must be nested at most 100 levels deep"):
            storage.store(make_entry(metadata=metadata))
    before = contents(storage)
    assert contents(reopen(storage)) == before
