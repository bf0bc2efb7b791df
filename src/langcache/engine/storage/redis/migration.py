"""Data of earlier versions: under their default prefix, or in the first format."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from redis.exceptions import ResponseError

from langcache.engine._utf8 import decoded, encoded
from langcache.engine.storage.redis._codec import FORMAT, added_fields
from langcache.engine.storage.redis._connection import as_bytes, pairs
from langcache.engine.storage.redis._keys import hash_tag
from langcache.engine.storage.redis._scripts import AMEND, CHANGES, DELETE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langcache.engine._steps import Steps
    from langcache.engine.storage.redis._codec import Stored
    from langcache.engine.storage.redis._connection import Connection
    from langcache.engine.storage.redis._keys import Keys, NamespaceKeys

__all__ = ["Migration"]

_BATCH = 200


class Migration(NamedTuple):
    """What a migration has done.

    Attributes:
        entries: How many entries were moved or got the fields of this format.
        records: How many records were moved.
        skipped: How many entries stay as they are, because they are damaged or changed meanwhile.
    """

    entries: int = 0
    records: int = 0
    skipped: int = 0


class Migrator:
    """Moves and completes the data of earlier versions. It may stop at any time and begin again.

    Args:
        connection: Where to send commands.
        read: Returns the entries of members of a namespace, by the namespace and its keys.
        store_if_absent: Stores entries of a namespace of which the storage has none.
        progress: Called with the number of entries so far.
    """

    def __init__(
        self,
        connection: Connection,
        read: Callable[[str, NamespaceKeys, Sequence[bytes]], Steps[list[Stored]]],
        store_if_absent: Callable[[Sequence[Stored]], Steps[None]],
        progress: Callable[[int], None] | None,
    ) -> None:
        self._connection = connection
        self._read = read
        self._store_if_absent = store_if_absent
        self._progress = progress
        self._done = Migration()

    def run(self, former: Keys | None, keys: Keys) -> Steps[Migration]:
        """Move what is under a former prefix, if there is one, and complete what has no format."""
        if former is not None:
            yield from self._for_each_namespace(former, self._move)
            yield from self._move_records(former, keys)
            yield from self._drop_index(former)
        yield from self._for_each_namespace(keys, self._complete)
        yield from self._drop_index(keys)
        return self._done

    def _for_each_namespace(
        self, keys: Keys, act: Callable[[str, NamespaceKeys], Steps[None]]
    ) -> Steps[None]:
        scan = self._connection.scan(keys.namespaces_pattern())
        while batch := (yield from scan.batch()):
            for state in batch:
                found = keys.of_tag(hash_tag(state))
                yield from act(keys.namespace_of(hash_tag(state)), found)

    def _move(self, namespace: str, old: NamespaceKeys) -> Steps[None]:
        since = b"0"
        while since:
            since, members = yield from self._page(old, since)
            stored = yield from self._read(namespace, old, members)
            yield from self._store_if_absent(stored)
            ids = [encoded(each.entry.id) for each in stored]
            if ids:
                # Which ones had expired does not matter.
                yield from self._connection.evaluate(DELETE, old[:4], old.entry_prefix, b"0", *ids)
            self._count(len(stored), len(members) - len(stored))
        # What is left are damaged entries, which nothing finds.
        yield from self._connection.send(b"UNLINK", *old[:4])

    def _complete(self, namespace: str, keys: NamespaceKeys) -> Steps[None]:
        if (yield from self._connection.send(b"HGET", keys.state, b"format")) == FORMAT:
            return
        since, skipped = b"0", 0
        while since:
            since, members = yield from self._page(keys, since)
            stored = yield from self._read(namespace, keys, members)
            done = 0
            for each in stored:
                flat = [part for item in added_fields(each.entry).items() for part in item]
                number = b"%d" % each.seq
                done += yield from self._connection.evaluate(
                    AMEND, keys[:4], keys.entry_prefix, encoded(each.entry.id), number, *flat
                )
            skipped += len(stored) - done
            self._count(done, len(members) - done)
        # Damaged entries are found by no search. The next run looks at those that have changed.
        if not skipped:
            yield from self._connection.send(b"HSET", keys.state, b"format", FORMAT)

    def _page(self, keys: NamespaceKeys, since: bytes) -> Steps[tuple[bytes, list[bytes]]]:
        """Return where the next page begins, or b"" at the end, and the members of this one."""
        reply = yield from self._connection.evaluate(
            CHANGES, keys[:4], keys.entry_prefix, b"", since, b"%d" % _BATCH
        )
        flat: list[bytes] = reply[3] if reply else []
        return (flat[-1] if len(flat) == 2 * _BATCH else b""), flat[::2]

    def _count(self, entries: int, skipped: int) -> None:
        done = self._done
        self._done = Migration(done.entries + entries, done.records, done.skipped + skipped)
        if self._progress is not None:
            self._progress(self._done.entries)

    def _move_records(self, former: Keys, keys: Keys) -> Steps[None]:
        scan = self._connection.scan(former.records_pattern())
        while batch := (yield from scan.batch()):
            for key in batch:
                new = keys.records(decoded(key[len(former.records("")) :]))
                records = pairs((yield from self._connection.send(b"HGETALL", key)))
                for name, text in records.items():
                    yield from self._connection.send(b"HSETNX", new, name, text)
                yield from self._connection.send(b"UNLINK", key)
                self._done = self._done._replace(records=self._done.records + len(records))

    def _drop_index(self, keys: Keys) -> Steps[None]:
        """Drop the indexes of the first format, if Redis has a query engine and lets us."""
        names = yield from self._connection.attempt(b"FT._LIST")
        for name in () if isinstance(names, ResponseError) else map(as_bytes, names):
            if keys.is_first_index(name):
                yield from self._connection.attempt(b"FT.DROPINDEX", name)
