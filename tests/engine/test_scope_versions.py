"""The version of a scope in memory: another object after each change, and the same otherwise."""

from __future__ import annotations

import pytest
from stored_entries import EAST, NORTH, SCOPE, make_entry

from langcache.engine import SQLiteStorage, StorageError
from langcache.engine.storage import InMemoryStorage, Scope

SCOPE = Scope(*SCOPE)


def test_what_is_read_changes_no_version():
    storage = InMemoryStorage()
    storage.store(make_entry())
    version = storage.version(SCOPE)
    assert version is not None
    storage.search_top(EAST, *SCOPE, 0.9)
    storage.find_exact("prompt 1", *SCOPE)
    storage.get("ns", "1")
    storage.mark_used("ns", ["1"])
    list(storage.entries("ns"))
    assert storage.delete("ns", ["none"]) == 0
    assert storage.version(SCOPE) is version


def test_what_happens_in_another_scope_changes_no_version():
    storage = InMemoryStorage()
    storage.store(make_entry())
    version = storage.version(SCOPE)
    storage.store(make_entry("2", context_hash="other"))
    storage.store(make_entry("3", namespace="other"))
    storage.invalidate_namespace("other")
    assert storage.version(SCOPE) is version


def test_a_scope_without_entries_has_no_version():
    storage = InMemoryStorage()
    assert storage.version(SCOPE) is None
    storage.store(make_entry())
    storage.delete("ns", ["1"])
    assert storage.version(SCOPE) is None


def test_the_version_changes_when_an_entry_is_removed_to_make_room():
    storage = InMemoryStorage(max_entries=2)
    storage.store(make_entry("1"))
    storage.store(make_entry("2", NORTH))
    version = storage.version(SCOPE)
    storage.store(make_entry("3", namespace="other"))
    assert storage.get("ns", "1") is None
    assert storage.version(SCOPE) is not version


def test_there_is_no_version_while_an_expired_entry_is_still_there():
    now = 0.0
    storage = InMemoryStorage(clock=lambda: now)
    storage.store(make_entry("1"))
    storage.store(make_entry("2", NORTH, expires_at=10.0))
    version = storage.version(SCOPE)
    now = 10.0
    assert storage.version(SCOPE) is None
    storage.search_top(EAST, *SCOPE, 0.9)  # removes it
    assert storage.version(SCOPE) not in (None, version)


def test_a_closed_file_has_no_version(tmp_path):
    storage = SQLiteStorage(tmp_path / "entries")
    storage.store(make_entry())
    assert storage.version(SCOPE) is not None
    storage.close()
    with pytest.raises(StorageError, match="closed"):
        storage.version(SCOPE)
