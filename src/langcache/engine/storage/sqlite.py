"""The storage backend that keeps everything in memory and in one SQLite file."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from typing_extensions import override

from langcache.engine._locks import fork_safe_lock
from langcache.engine._utf8 import decoded, encoded
from langcache.engine.expiry import finite_or_none, has_expired
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage._metadata import metadata_json
from langcache.engine.storage._scope_table import Record
from langcache.engine.storage._sqlite_log import lost_changes
from langcache.engine.storage._sqlite_reserve import DiskReserve
from langcache.engine.storage.base import check_embedding, check_entry, with_free_ids
from langcache.engine.storage.entry import CacheEntry, Scope
from langcache.engine.storage.errors import StorageError, StorageFullError
from langcache.engine.storage.memory import InMemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

_APPLICATION_ID = int.from_bytes(b"LnCa", "big")
_VERSION = 2
_PAGE_BYTES = 4096
_LEAST_FILE = 512  # the smallest page of SQLite

_logger = logging.getLogger("langcache.engine")

# Texts are blobs: an SQLite text cannot hold a lone surrogate.
_SCHEMA = """
CREATE TABLE entries (
    namespace BLOB NOT NULL,
    id BLOB NOT NULL,
    embedding_model_id BLOB NOT NULL,
    context_hash BLOB NOT NULL,
    prompt BLOB NOT NULL,
    response BLOB NOT NULL,
    attributes BLOB NOT NULL,
    metadata BLOB,
    embedding BLOB NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    expires_at REAL,
    checksum BLOB NOT NULL,
    UNIQUE (namespace, id)
);
CREATE INDEX entries_by_expiry ON entries (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE records (
    collection BLOB NOT NULL,
    key BLOB NOT NULL,
    text BLOB NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID
"""
# Version 1 had no checksums. A new column needs a default.
_UPGRADE = """
ALTER TABLE entries ADD COLUMN checksum BLOB NOT NULL DEFAULT x'';
UPDATE entries SET checksum = langcache_checksum(
    namespace, id, embedding_model_id, context_hash, prompt, response, attributes, metadata,
    embedding, created_at, updated_at, expires_at
);
ALTER TABLE records ADD COLUMN checksum BLOB NOT NULL DEFAULT x'';
UPDATE records SET checksum = langcache_checksum(collection, key, text)
"""
# A replaced entry keeps its row, and so its position in the order of `entries`.
_STORE = """
INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (namespace, id) DO UPDATE SET
    embedding_model_id = excluded.embedding_model_id,
    context_hash = excluded.context_hash,
    prompt = excluded.prompt,
    response = excluded.response,
    attributes = excluded.attributes,
    metadata = excluded.metadata,
    embedding = excluded.embedding,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    expires_at = excluded.expires_at,
    checksum = excluded.checksum
"""
_PLACE = "WHERE namespace = ? AND id = ?"
_DELETE = f"DELETE FROM entries {_PLACE}"  # noqa: S608 - a constant
_HAS_EXPIRED = "expires_at <= ?"  # the rule of `engine/expiry.py`; NULL is never
_DELETE_EXPIRED = f"""
DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE {_HAS_EXPIRED} LIMIT ?)
"""  # noqa: S608 - a constant
_LOAD = "SELECT rowid, * FROM entries ORDER BY rowid"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_RECLAIM_BATCH = 256
_NO_LIMIT = -1
_LOAD_BATCH = 4096
_MOST_GROWTH = 1 << 21  # bytes that are in the write-ahead log only
_DELETION = 1 << 17  # bytes that deleting an entry takes in the write-ahead log


class SQLiteStorage(InMemoryStorage):
    """Entries in memory, each change written through to a file, which is read when it is opened.

    Searching is as fast as in `InMemoryStorage` and takes as much memory. A change is in the file
    when the method that makes it returns: no crash of the process loses it, not even `kill -9`. A
    power cut may lose the last changes, but does not damage the file. With `fsync` it loses
    nothing; each change then takes a few milliseconds instead of a tenth of one.

    Only one storage can use the file at a time. As long as it is open, any other storage, in this
    process or another, is refused, and so is a process forked from this one. A file that is
    damaged, or was made by another program or a later version of this library, is refused and not
    changed. A file of an earlier version is brought to this version in one transaction; earlier
    releases then refuse it. While the storage is open, a second file, whose name ends in "-wal", is
    part of the first. The file does not shrink, but the space of removed entries is used again.

    If the disk becomes full, entries can still be deleted, though not stored. For that, a file
    whose name ends in "-reserve" takes up some space, 192 KiB to 4 MiB, while the storage is open.
    If the disk is full already when the file is opened, entries are found, but perhaps not deleted.
    A new file is refused then, and so is one that needs space for what a killed process has left.

    Metadata must be JSON: it comes back equal.

    Args:
        path: The file. It is created if it does not exist; its directory is not.
        clock: Returns the present moment, in seconds since the epoch.
        max_entries: As for `InMemoryStorage`. When the file is opened, entries count as used when
            they were stored or changed last.
        max_bytes: As for `InMemoryStorage`.
        fsync: Whether each change waits until it is on the disk.
        exact: As for `InMemoryStorage`.
        tuning: As for `InMemoryStorage`.

    Raises:
        StorageError: The file is refused for one of the reasons above, or cannot be opened or
            written. `StorageFullError`, if the disk has no room for that.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        fsync: bool = False,
        exact: bool = False,
        tuning: IndexTuning = IndexTuning(),  # noqa: B008 - it cannot be changed
    ) -> None:
        super().__init__(
            clock=clock,
            max_entries=max_entries,
            max_bytes=max_bytes,
            exact=exact,
            tuning=tuning,
        )
        self._path = Path(path).absolute()
        self._process = os.getpid()
        self._closed = False
        # The size of the file, and how much of it is in the write-ahead log only, at most.
        self._written = self._growth = 0
        # Every change holds this lock until memory and file agree again. Searches do not take it,
        # so they never wait for the disk.
        self._file_lock = fork_safe_lock(waits=False)
        self._check_header()
        try:
            self._reserve = DiskReserve(self._beside("-reserve"))
        except ValueError as error:
            raise self._error(f"cannot use the -reserve file beside it ({error})") from error
        self._file = self._connect("")
        try:
            self._open(fsync)
        except sqlite3.Error as error:
            self._file.close()
            kind = StorageError
            if "locked" in str(error):
                reason = (
                    "in use by another storage or program; several processes can share a Redis, "
                    'storage="redis://HOST"'
                )
            elif "full" in str(error):
                kind = StorageFullError
                reason = f"cannot be opened before the disk has room, left as it is ({error})"
            elif isinstance(error, sqlite3.OperationalError):
                reason = f"cannot be opened or written ({error})"
            else:
                reason = f"damaged, left as it is ({error})"
            raise self._error(reason, kind) from error
        except BaseException:
            self._file.close()
            raise

    def __repr__(self) -> str:
        return f"SQLiteStorage({str(self._path)!r})"

    @override
    def store(self, entry: CacheEntry) -> None:
        """Keep an entry; one of the same id in the same namespace is replaced.

        Raises:
            ValueError: As for any storage; or the metadata is not JSON, or `created_at` is not a
                number. Nothing has changed.
            StorageError: The file cannot be written, or the storage is closed. Nothing has
                changed.
        """
        with self._file_lock:
            self._store([entry])

    @override
    def store_many(self, entries: Iterable[CacheEntry]) -> None:
        """Store entries in one transaction: all of them, or none if one is refused.

        Raises:
            ValueError: As `store` does, for any of them.
            StorageError: As `store` does.
        """
        with self._file_lock:
            self._store(list(entries))

    @override
    def store_distinct(self, entries: Sequence[CacheEntry], other_ids: Sequence[str]) -> list[str]:
        """Store entries in one transaction, as `store_many` does."""
        with self._file_lock:
            distinct = with_free_ids(entries, other_ids, self.get)
            self._store(distinct)
        return [entry.id for entry in distinct]

    @override
    def edit(
        self, namespace: str, entry_id: str, change: Callable[[CacheEntry], CacheEntry]
    ) -> CacheEntry | None:
        with self._file_lock:
            entry = self.get(namespace, entry_id)
            if entry is None:
                return None
            changed = change(entry)
            if changed is not entry:
                self._store([changed])
            return changed

    def _store(self, entries: Sequence[CacheEntry]) -> None:
        rows: list[tuple[Any, ...]] = []
        has_room = True
        dimensions: dict[Scope, int] = {}
        for entry in entries:
            check_entry(entry)
            known = dimensions.setdefault(entry.scope, len(entry.embedding))
            check_embedding(entry.embedding, known)
            rows.append(_row(entry))
            has_room &= self._has_room(entry)
        victims = self._plan(entries)

        def write(file: sqlite3.Connection, now: float) -> None:
            file.executemany(_DELETE, [_place(record) for record in victims])
            # Entries of other dimensions must not be loaded again.
            limit = _RECLAIM_BATCH if has_room else _NO_LIMIT
            file.execute(_DELETE_EXPIRED, (now, limit))
            for row in rows:
                # An expired entry is not replaced: the new entry comes last in the order.
                file.execute(f"{_DELETE} AND {_HAS_EXPIRED}", (*row[:2], now))
                file.execute(_STORE, row)

        self._add(write)
        with self._lock:
            self._evict(victims, self._clock())
        super().store_many(entries)

    def _add(self, write: Callable[[sqlite3.Connection, float], object]) -> None:
        """Write in a transaction, with the connection and the present moment."""
        with suppress(StorageFullError):
            with self._transaction(grows=True) as (file, now):
                write(file, now)
            return
        self._checkpoint()  # it may fit then
        with self._transaction(grows=True) as (file, now):
            write(file, now)

    def _plan(self, entries: Sequence[CacheEntry]) -> list[Record]:
        """Return the records to remove from memory and file so that entries fit."""
        if not self._usage:
            return []
        with self._lock:
            return self._victims([(entry, Record(entry)) for entry in entries], self._clock())

    @override
    def remove_expired(self) -> None:
        with self._file_lock:
            self._erase(f"WHERE {_HAS_EXPIRED}", [(self._clock(),)])
            super().remove_expired()

    @override
    def delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        with self._file_lock:
            return self._delete(namespace, entry_ids)

    @override
    def delete_by_attributes(self, namespace: str, attributes: Mapping[str, str]) -> int:
        if not attributes:
            return self.invalidate_namespace(namespace)
        with self._file_lock:
            return self._delete(namespace, self._ids_with_attributes(namespace, attributes))

    def _delete(self, namespace: str, entry_ids: Collection[str]) -> int:
        key = encoded(namespace)
        places = [(key, encoded(id)) for id in set(entry_ids)]
        self._erase(_PLACE, places, reclaims=True)
        return super().delete(namespace, entry_ids)

    @override
    def invalidate_namespace(self, namespace: str) -> int:
        with self._file_lock:
            self._erase("WHERE namespace = ?", [(encoded(namespace),)])
            return super().invalidate_namespace(namespace)

    @override
    def clear(self) -> None:
        with self._file_lock:
            self._erase("", [()])
            super().clear()

    def _erase(
        self, clause: str, values: Sequence[tuple[Any, ...]], *, reclaims: bool = False
    ) -> None:
        """Remove entries from the file, even if the disk is full.

        Args:
            clause: Which entries.
            values: The values in the clause; it is carried out for each of them.
            reclaims: Whether some expired entries go, too.

        Raises:
            StorageError: The file cannot be written. On a full disk, some entries may be removed.
        """
        delete = f"DELETE FROM entries {clause}"  # noqa: S608 - a constant
        try:
            with self._transaction() as (file, now):
                if reclaims:
                    file.execute(_DELETE_EXPIRED, (now, _RECLAIM_BATCH))
                file.executemany(delete, values)
        except StorageError as error:
            self._make_way(error)
        else:
            return
        select = f"SELECT rowid FROM entries {clause}"  # noqa: S608 - a constant
        rows = [row for each in values for row in self._file.execute(select, each)]
        size = len(rows)
        while rows:
            try:
                with self._transaction() as (file, _):
                    file.executemany("DELETE FROM entries WHERE rowid = ?", rows[:size])
            except StorageError as error:  # noqa: PERF203 - rare
                if size == 1:
                    raise
                size = max(1, size // 4)
                self._make_way(error)
            else:
                del rows[:size]

    @override
    def set_record(self, collection: str, key: str, text: str | None) -> None:
        """Keep a text in a collection, in place of the one with its key, or None to remove it.

        Raises:
            StorageError: The file cannot be written, or the storage is closed. Nothing has
                changed then.
        """
        with self._file_lock:
            self._write_record(collection, key, text)

    @override
    def replace_record(self, collection: str, key: str, old: str | None, new: str | None) -> bool:
        with self._file_lock:
            if self.record(collection, key) != old:
                return False
            self._write_record(collection, key, new)
            return True

    def _write_record(self, collection: str, key: str, text: str | None) -> None:
        place = (encoded(collection), encoded(key))
        if text is None:
            self._remove_record(place)
        else:
            row = (*place, encoded(text))
            row = (*row, _checksum(*row))
            statement = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)"
            self._add(lambda file, _: file.execute(statement, row))
        super().set_record(collection, key, text)

    def _remove_record(self, place: tuple[bytes, bytes], *, again: bool = True) -> None:
        try:
            with self._transaction() as (file, _):
                file.execute("DELETE FROM records WHERE collection = ? AND key = ?", place)
        except StorageError as error:
            if not again:
                raise
            self._make_way(error)
            self._remove_record(place, again=False)

    @override
    def close(self) -> None:
        """Close the file and remove the one beside it.

        Every other method then raises `StorageError`. Closing again does nothing.
        """
        with self._file_lock:
            if self._closed or os.getpid() != self._process:
                return
            self._closed = True
            self._reserve.release()
            self._file.close()
            super().clear()
        super().close()

    @override
    def _check_usable(self) -> None:
        if self._closed:
            raise self._error("the storage is closed")

    @contextmanager
    def _transaction(self, *, grows: bool = False) -> Generator[tuple[sqlite3.Connection, float]]:
        """Yield the connection and the present moment; at the end, write everything or nothing.

        Args:
            grows: Whether the file may grow. Then it is made sure that entries can be removed
                afterwards, even if the disk is full.
        """
        self._check_usable()
        if os.getpid() != self._process:
            raise self._error("belongs to the process that this one was forked from")
        if grows and self._growth > _MOST_GROWTH:
            self._checkpoint()
            self._reserve.trim()
        try:
            self._file.execute("BEGIN")
            try:
                yield self._file, self._clock()
                if grows and not self._could_delete():
                    raise sqlite3.OperationalError("database or disk is full")
                self._file.execute("COMMIT")
            finally:
                # Some errors have ended the transaction already.
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
        except sqlite3.Error as error:
            # Python 3.10 gives no error code.
            kind = StorageFullError if "full" in str(error) else StorageError
            raise self._error(f"cannot be written, nothing has changed ({error})", kind) from error

    def _could_delete(self) -> bool:
        """Return whether entries could be deleted if the disk were full, after taking space."""
        (pages,) = self._file.execute("PRAGMA page_count").fetchone()
        growth = pages * _PAGE_BYTES - self._written
        if growth > _MOST_GROWTH or not self._reserve.ensure(growth + _DELETION):
            # SQLite may have brought some of the log into the file by itself.
            self._written = self._size("")
            growth = pages * _PAGE_BYTES - self._written
        self._growth = growth
        return self._reserve.ensure(growth + _DELETION) or (
            growth <= 0 and self._size("-wal") >= _DELETION
        )

    def _checkpoint(self) -> None:
        """Bring the write-ahead log into the file, if that is possible; it is used anew then."""
        with suppress(sqlite3.Error):
            self._file.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _make_way(self, error: StorageError) -> None:
        """Make space for changes on a full disk; raise the error if that is not its reason."""
        # A file or a user may have a limit: then the reason is "disk I/O error".
        if not isinstance(error.__cause__, sqlite3.OperationalError):
            raise error
        self._reserve.release()
        self._checkpoint()

    def _error(self, reason: str, kind: type[StorageError] = StorageError) -> StorageError:
        return kind(f"{self._path}: {reason}")

    def _connect(self, query: str) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                f"{self._path.as_uri()}{query}",
                uri=True,
                isolation_level=None,
                timeout=0,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._error(f"cannot be opened ({error})") from error

    def _check_header(self) -> None:
        """Refuse the file of another program or version, without locking or changing anything.

        SQLite itself reads the header: if this process opened and closed the file in another way,
        it would lose the locks it may have on it. The header is right even if there is a
        write-ahead log, because it is written before there is one.
        """
        size = self._size("")
        if not size:
            self._check_companions()
            return
        if size < _LEAST_FILE:  # SQLite takes it for an empty one
            raise self._error("not a storage file, or a damaged one, left as it is")
        try:
            with closing(self._connect("?mode=ro&immutable=1")) as file:
                # Makes SQLite read the header of a file that is shorter than the header says. A
                # process that died leaves such a file: the rest is in the write-ahead log.
                file.execute("PRAGMA writable_schema = ON")
                self._check_format(file)
        except sqlite3.OperationalError as error:
            raise self._error(f"cannot be opened ({error})") from error
        except sqlite3.DatabaseError as error:
            raise self._error("not a storage file, or a damaged one, left as it is") from error

    def _size(self, suffix: str) -> int:
        """Return the size of the file, or of the one with a suffix beside it, in bytes."""
        try:
            return self._beside(suffix).stat().st_size
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise self._error(f"cannot be opened ({error})") from error

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _check_companions(self) -> None:
        """Refuse to begin a new file where SQLite would overwrite files beside it."""
        if self._size("-wal"):
            raise self._error("missing, but the -wal file that belongs to it is there")
        if self._size("-journal"):
            # A process that dies while it makes the file leaves one.
            with self._beside("-journal").open("rb") as journal:
                start = journal.read(len(_JOURNAL_MAGIC))
            if start not in (_JOURNAL_MAGIC, bytes(len(start))):
                raise self._error("the -journal file beside it is of another program")

    def _check_format(self, file: sqlite3.Connection) -> int:
        """Return the version of the file, 0 for a new one; refuse it if it has anything else."""
        application, version, objects = (
            cast("int", file.execute(query).fetchone()[0])
            for query in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if not (application or version or objects):
            return 0
        if application != _APPLICATION_ID:
            raise self._error("a file of another program, left as it is")
        if not 1 <= version <= _VERSION:
            raise self._error(
                f"has version {version} of the format, left as it is; this release of langcache "
                f"reads versions 1 to {_VERSION}"
            )
        return version

    def _open(self, fsync: bool) -> None:
        """Lock the file until it is closed, create tables in a new one, and load the entries."""
        file = self._file
        # If set before the first read, SQLite also does without shared memory.
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        file.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        file.execute("BEGIN EXCLUSIVE")
        version = self._check_format(file)
        if not version:
            file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            file.execute(f"PRAGMA user_version = {_VERSION}")
            for statement in _SCHEMA.split(";"):
                file.execute(statement)
        file.execute("COMMIT")
        if version:
            self._check_log()
            self._check_soundness()
        if version == 1:
            self._upgrade()
        self._is_upgraded = version == 1
        file.execute("PRAGMA journal_mode = WAL")
        file.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
        # On macOS, a plain fsync leaves data in the drive's own cache.
        file.execute(f"PRAGMA fullfsync = {int(fsync)}")
        self._load_file()

    def _check_log(self) -> None:
        """Warn if changes in the write-ahead log are lost, which SQLite does not tell.

        SQLite reads the log up to the first frame that is damaged. A process that died may leave
        the begin of a change at the end of the log, but not the end of a change after it.
        """
        if not self._size("-wal"):
            return
        self._reserve.release()
        log = self._beside("-wal").read_bytes()
        (_, readable, _) = self._file.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        lost = lost_changes(log, max(0, readable))
        if lost:
            _logger.warning(
                "%s: the file beside it, -wal, is damaged, and the last %d changes are lost",
                self._path,
                lost,
            )

    def _check_soundness(self) -> None:
        (soundness,) = self._file.execute("PRAGMA quick_check(1)").fetchone()
        if soundness != "ok":
            raise self._error(f"damaged, left as it is ({' '.join(soundness.split())})")

    def _upgrade(self) -> None:
        """Bring a file of version 1 to this version."""
        file = self._file
        file.create_function("langcache_checksum", -1, _checksum, deterministic=True)
        file.execute("BEGIN")
        for row in file.execute("SELECT rowid, * FROM entries"):
            self._entry((*row, _checksum(*row[1:])))
        for statement in _UPGRADE.split(";"):
            file.execute(statement)
        file.execute(f"PRAGMA user_version = {_VERSION}")
        file.execute("COMMIT")

    def _load_file(self) -> None:
        now = self._clock()
        rows = self._file.execute(_LOAD)
        while batch := rows.fetchmany(_LOAD_BATCH):
            entries = [
                entry for entry in map(self._entry, batch) if not has_expired(entry.expires_at, now)
            ]
            try:
                self._load(entries)
            except ValueError as error:
                raise self._error(f"damaged, left as it is ({error})") from error
        for row in self._file.execute("SELECT * FROM records"):
            self._load_record(row)
        victims = self._surplus()
        try:
            self._erase(f"WHERE {_HAS_EXPIRED}", [(now,)])
            self._erase(_PLACE, [_place(record) for record in victims])
        except StorageError as error:
            if not isinstance(error.__cause__, sqlite3.OperationalError):
                raise
            _logger.warning("%s; entries that have to go stay in the file", error)
        else:
            if victims:
                _logger.warning(
                    "%s: removed %d entries that are more than max_entries and max_bytes allow",
                    self._path,
                    len(victims),
                )
        with self._lock:
            self._evict(victims, now)

    def _surplus(self) -> list[Record]:
        """Return the records of the file that exceed the limits.

        None at the first start after an upgrade: earlier releases knew no limits.
        """
        if not self._usage:
            return []
        self._usage.order_by_update()
        victims = self._usage.victims()
        if victims and self._is_upgraded:
            self._usage.suspend()
            _logger.warning(
                "%s: %d entries are more than max_entries and max_bytes allow. They are kept, and "
                "the limits do not apply, until the file is opened again",
                self._path,
                len(victims),
            )
            return []
        return victims

    def _load_record(self, row: tuple[Any, ...]) -> None:
        *texts, checksum = row
        try:
            if checksum != _checksum(*texts):
                raise ValueError("its checksum does not match")
            super().set_record(*map(decoded, texts))
        except (AttributeError, TypeError, ValueError) as error:
            advice = "`DELETE FROM records` removes all of them"
            raise self._error(
                f"damaged, left as it is: a row of the table records ({error}); {advice}"
            ) from error

    def _entry(self, row: tuple[Any, ...]) -> CacheEntry:
        """Return the entry of a row, whose first column is its number.

        Raises:
            StorageError: The row is damaged.
        """
        number, *columns, checksum = row
        try:
            if checksum != _checksum(*columns):
                raise ValueError("its checksum does not match")
            return _entry(columns)
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            advice = f"`DELETE FROM entries WHERE rowid = {number}` removes it"  # noqa: S608
            raise self._error(
                f"damaged, left as it is: row {number} of the table entries ({error}); {advice}"
            ) from error


def _place(record: Record) -> tuple[bytes, bytes]:
    return encoded(record.table.scope.namespace), encoded(record.id)


def _checksum(*columns: bytes | float | None) -> bytes:
    """Return a checksum of the columns of a row."""
    digest = hashlib.blake2b(digest_size=8)
    for value in columns:
        data = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(b"%s%d:" % (b"b" if isinstance(value, bytes) else b"r", len(data)))
        digest.update(data)
    return digest.digest()


def _row(entry: CacheEntry) -> tuple[Any, ...]:
    """Return the columns of an entry.

    Raises:
        ValueError: The metadata is not JSON, or `created_at` is not a number.
    """
    if math.isnan(entry.created_at):
        raise ValueError(f"created_at: must be a number of seconds, got {entry.created_at}")
    expires_at = finite_or_none(entry.expires_at)
    columns = (
        encoded(entry.namespace),
        encoded(entry.id),
        encoded(entry.embedding_model_id),
        encoded(entry.context_hash),
        encoded(entry.prompt),
        encoded(entry.response),
        encoded(json.dumps(dict(entry.attributes), ensure_ascii=False)),
        None if entry.metadata is None else metadata_json(entry.metadata),
        entry.embedding.astype("<f4").tobytes(),
        _real(entry.created_at),
        _real(entry.updated_at),
        None if expires_at is None else _real(expires_at),
    )
    return (*columns, _checksum(*columns))


def _real(number: float) -> float:
    """Return a number as SQLite returns it: it knows no negative zero."""
    return float(number) + 0.0


def _entry(row: Sequence[Any]) -> CacheEntry:
    """Return the entry of some columns; its embedding is read-only.

    Raises:
        AttributeError, TypeError, ValueError: The columns are not those of an entry.
    """
    namespace, id, model_id, context_hash, prompt, response = map(decoded, row[:6])
    attributes, metadata, embedding, created_at, updated_at, expires_at = row[6:]
    entry = CacheEntry(
        id=id,
        prompt=prompt,
        response=response,
        embedding=np.frombuffer(embedding, "<f4").astype(np.float32, copy=False),
        namespace=namespace,
        embedding_model_id=model_id,
        context_hash=context_hash,
        attributes=json.loads(decoded(attributes)),
        metadata=None if metadata is None else json.loads(decoded(metadata)),
        created_at=created_at,
        updated_at=updated_at,
        expires_at=expires_at,
    )
    check_entry(entry)
    for pair in entry.attributes.items():
        "".join(pair)  # raises an error unless both are texts
    if not isinstance(entry.metadata, (dict, NoneType)):
        raise TypeError("metadata: must be an object")
    return entry
