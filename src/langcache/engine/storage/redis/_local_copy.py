"""Searching without a query engine: a copy of a namespace's vectors in this process.

Before each search, the copy is brought up to date with what all processes have stored or removed.
If nothing has changed, that takes one short command. The copy serves only to find entries: the
entries themselves are read from Redis.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from langcache.engine._locks import fork_safe_lock
from langcache.engine._steps import Steps, call
from langcache.engine._utf8 import decoded
from langcache.engine.storage.memory import InMemoryStorage
from langcache.engine.storage.redis._codec import OUTLINE as OUTLINE_FIELDS
from langcache.engine.storage.redis._codec import DamagedError, outline_of, seq_of
from langcache.engine.storage.redis._keys import TOKEN_LENGTH
from langcache.engine.storage.redis._scripts import CHANGES, OUTLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine.storage.redis._connection import Connection
    from langcache.engine.storage.redis._keys import NamespaceKeys

_T = TypeVar("_T")

PLAIN_LIMIT = 50_000
"""How many entries of a namespace are searched without a query engine before there is a warning."""

_CHANGES_AT_ONCE = 250
_OFFLOADED = 64
_MOST_RELISTS = 2
_EMPTY_BYTES = 4096
_ROW_BYTES = 1500
_NO_EPOCH = b"none"
_LOADING_SECONDS = 0.25
_POLL_SECONDS = 0.01

_logger = logging.getLogger("langcache.engine")


class _Changes(NamedTuple):
    epoch: bytes
    size: int
    seq: int
    stored: dict[bytes, int]
    removed: dict[bytes, int]


class Mirror:
    """A copy, in this process, of what a search needs of the entries of a namespace.

    Args:
        namespace: The namespace.
        keys: Its keys.
        clock: Returns the present moment, in seconds since the epoch.
    """

    def __init__(self, namespace: str, keys: NamespaceKeys, clock: Callable[[], float]) -> None:
        self._namespace = namespace
        self._keys = keys
        self._lock = fork_safe_lock()
        self._warned = False
        self.entries = InMemoryStorage(clock=clock)
        """The outlines of the entries, as `outline_of` makes them."""
        # The number of the change that stored each member, and the member of each id in `entries`.
        self._known: dict[bytes, int] = {}
        self._members: dict[str, bytes] = {}
        self._epoch = _NO_EPOCH
        self._since = 0
        self._version = 0
        # Who loads many changes now, and until when the others wait for it.
        self._loader: object = None
        self._loaded_by = 0.0
        self.bytes = _EMPTY_BYTES
        """About how much memory it takes."""
        self.counted_bytes = 0
        """How much of it the owner of several copies has counted."""

    def __len__(self) -> int:
        return len(self._known)

    def close(self) -> None:
        """Stop the background work. Searches that are running may finish."""
        self.entries.close()

    def hide(self, member: bytes, seq: int) -> None:
        """Skip an entry that turned out to be damaged, until it is stored again."""
        with self._lock:
            if self._known.get(member) == seq:
                self._drop_row(member)

    def forget(self) -> None:
        """Drop everything, because the server has lost what was read from it."""
        with self._lock:
            self._clear(_NO_EPOCH)

    def refresh(self, connection: Connection) -> Steps[None]:
        """Load what has changed since the last time."""
        myself = object()
        relists = 0
        listed: set[bytes] | None = None
        start = 0
        while True:
            if self._is_loaded_by_another(myself):
                yield from pause(_POLL_SECONDS)
                continue
            with self._lock:
                epoch, since, version = self._epoch, self._since, self._version
            since = since if listed is None else start
            changes = yield from self._changes(connection, epoch, since)
            if changes is None:
                self.forget()
                self._ends_loading(myself)
                return
            if changes.epoch != epoch or changes.seq < since:
                # The namespace was begun anew, or the server has lost its last changes.
                with self._lock:
                    if self._epoch == epoch:
                        self._clear(changes.epoch)
                listed = None
                continue
            complete = len(changes.stored) < _CHANGES_AT_ONCE
            if not complete and listed is None and not self._begins_loading(myself):
                continue
            rows = yield from self._outlines(connection, changes.stored)
            if listed is not None:
                listed.update(changes.stored)
                start = max(changes.stored.values(), default=start)
            apply = partial(self._apply, changes, rows, version, complete, listed)
            in_order = yield from offload(len(rows) > _OFFLOADED, apply)
            if not complete:
                continue
            self._ends_loading(myself)
            if in_order or relists == _MOST_RELISTS:
                return
            # The server has forgotten some removals: compare with all members.
            relists += 1
            listed, start = set[bytes](), 0

    def _is_loaded_by_another(self, who: object) -> bool:
        with self._lock:
            return self._loader is not who and time.monotonic() < self._loaded_by

    def _begins_loading(self, who: object) -> bool:
        """Return whether the caller is the one to load many changes; the others wait for it.

        They wait for a limited time, because the caller may be cancelled.
        """
        now = time.monotonic()
        with self._lock:
            if self._loader is not who and now < self._loaded_by:
                return False
            self._loader, self._loaded_by = who, now + _LOADING_SECONDS
            return True

    def _ends_loading(self, who: object) -> None:
        with self._lock:
            if self._loader is who:
                self._loader, self._loaded_by = None, 0.0

    def _changes(self, connection: Connection, epoch: bytes, since: int) -> Steps[_Changes | None]:
        reply = yield from connection.evaluate(
            CHANGES,
            self._keys[:4],
            self._keys.entry_prefix,
            epoch,
            b"%d" % since,
            b"%d" % _CHANGES_AT_ONCE,
        )
        if not reply:
            return None
        found, size, seq, stored, removed = reply
        return _Changes(found, size, int(seq or 0), _numbers(stored), _numbers(removed))

    def _outlines(
        self, connection: Connection, stored: dict[bytes, int]
    ) -> Steps[list[tuple[bytes, int, list[Any]]]]:
        """Return the fields of the members whose number is new."""
        new = [(member, seq) for member, seq in stored.items() if self._known.get(member) != seq]
        if not new:
            return []
        values = yield from connection.evaluate(
            OUTLINE,
            self._keys[:4],
            self._keys.entry_prefix,
            b"%d" % len(OUTLINE_FIELDS),
            *OUTLINE_FIELDS,
            *(member for member, _ in new),
        )
        return [(*each, found) for each, found in zip(new, values, strict=True)]

    def _apply(
        self,
        changes: _Changes,
        rows: list[tuple[bytes, int, list[Any]]],
        version: int,
        complete: bool,
        listed: set[bytes] | None,
    ) -> bool:
        """Apply what was loaded, and return whether the copy seems to be complete.

        Args:
            changes: What has changed.
            rows: The fields of what was stored.
            version: The version of this copy when the changes were asked for.
            complete: Whether these are the last changes.
            listed: All members there are, if they have been asked for.
        """
        with self._lock:
            if self._epoch != changes.epoch:
                return False
            undisturbed = self._version == version
            gone = {
                member
                for member, seq in changes.removed.items()
                if self._known.get(member, seq) < seq
            }
            if listed is not None and complete:
                gone.update(
                    member
                    for member, seq in self._known.items()
                    if member not in listed and seq <= changes.seq
                )
            for member in gone:
                self._drop_row(member)
                del self._known[member]
            for member, seq, values in rows:
                if values:
                    self._put(member, seq, values)
            if gone or rows:
                self._version += 1
            if complete:
                self._since = max(self._since, changes.seq)
            elif listed is None:
                self._since = max(self._since, *changes.stored.values())
            self._warn_of_size()
            # If others have applied newer changes meanwhile, the numbers may differ.
            return not undisturbed or len(self._known) == changes.size

    def _put(self, member: bytes, seq: int, values: list[Any]) -> None:
        if self._known.get(member, 0) >= seq:
            return
        self._known[member] = seq
        entry_id = decoded(member[TOKEN_LENGTH:])
        try:
            entry = outline_of(self._namespace, entry_id, values)
            self.entries.store(entry)
        except (DamagedError, ValueError):
            warn_of_damage(self._namespace)
            self._drop_row(member)
            return
        self._known[member] = max(seq, seq_of(entry))
        self._members[entry_id] = member
        self.bytes = _EMPTY_BYTES + len(self._known) * (entry.embedding.nbytes + _ROW_BYTES)

    def _drop_row(self, member: bytes) -> None:
        entry_id = decoded(member[TOKEN_LENGTH:])
        # It may have moved to another scope, as another member.
        if self._members.get(entry_id) == member:
            del self._members[entry_id]
            self.entries.delete(self._namespace, [entry_id])

    def _clear(self, epoch: bytes) -> None:
        self.entries.clear()
        self._known.clear()
        self._members.clear()
        self._epoch = epoch
        self._since = 0
        self._version += 1
        self.bytes = _EMPTY_BYTES

    def _warn_of_size(self) -> None:
        if len(self._known) > PLAIN_LIMIT and not self._warned:
            self._warned = True
            _logger.warning(
                "a namespace has more than %d entries, which is a lot to search without Redis's"
                " query engine: every process keeps a copy of their vectors",
                PLAIN_LIMIT,
            )


def pause(seconds: float) -> Steps[None]:
    """Wait."""
    yield from call(partial(time.sleep, seconds), partial(asyncio.sleep, seconds))


def offload(worthwhile: bool, function: Callable[[], _T]) -> Steps[_T]:
    """Call a function that only computes; when asynchronous and if worthwhile, in a thread."""
    if not worthwhile:
        return function()
    return (yield from call(function, partial(asyncio.to_thread, function)))


def warn_of_damage(namespace: str) -> None:
    """Log that a key under the prefix is not what this storage wrote."""
    _logger.warning(
        "skipped a key of the namespace %r in Redis: it holds no entry, or a damaged one", namespace
    )


def _numbers(flat: list[bytes]) -> dict[bytes, int]:
    return {member: int(float(seq)) for member, seq in zip(flat[::2], flat[1::2], strict=True)}
