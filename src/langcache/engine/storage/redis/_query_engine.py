"""Searching by the query engine of Redis: an index over the entries' hashes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from langcache.engine.storage.base import has_attributes
from langcache.engine.storage.entry import Scope
from langcache.engine.storage.errors import StorageError, StorageFullError
from langcache.engine.storage.ranking import TIE, best_rows
from langcache.engine.storage.redis._codec import (
    DamagedError,
    index_number,
    prompt_token,
    scope_token,
    stored_of,
)
from langcache.engine.storage.redis._connection import as_bytes, pairs, storage_error
from langcache.engine.storage.redis._keys import (
    TOKEN_LENGTH,
    attribute_tokens,
    decoded,
    vector_field,
)
from langcache.engine.storage.redis._mirror import pause, warn_of_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from langcache.engine._steps import Steps
    from langcache.engine.storage.entry import CacheEntry
    from langcache.engine.storage.redis._connection import Connection
    from langcache.engine.storage.redis._keys import Keys, NamespaceKeys

Mode: TypeAlias = Literal["query-engine", "plain"]
Algorithm: TypeAlias = Literal["hnsw", "flat"]

# How many candidates a walk through the graph keeps. With 64, 88 % of the nearest are found among
# 100,000; with 256, 99 %.
_EF_RUNTIME = b"256"
_HNSW_OPTIONS = (b"M", b"16", b"EF_CONSTRUCTION", b"200", b"EF_RUNTIME", _EF_RUNTIME)

_TRANSIENT = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
# How others begin that say nothing about what the server can do, some of which have a class in
# later versions of the client only. The last are those of a cluster that does not know all its
# nodes yet, and of a query that took too long.
_TRANSIENT_BEGINNINGS = (
    *("BUSY", "LOADING", "MISCONF", "NOREPLICAS", "UNKILLABLE"),
    *("CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MOVED"),
    *("ERRCLUSTER", "Uninitialized cluster", "Could not send query", "Timeout"),
)
# With the nearest alone there is no answer when it has just expired and is still in the index.
_LEAST_NEIGHBOURS = 8
_GROWTH = 4
_MOST_EQUALS = 2048
# Managed services refuse to return more.
_MOST_RESULTS = 10_000
_WAIT_SECONDS = 0.2
_POLL_SECONDS = 0.01
_LOOK_AGAIN_SECONDS = 0.25
# How many of a namespace's last entries are looked at when the index has none of a scope.
_SAMPLE = 200
# How many scopes something is remembered of.
_MOST_SCOPES = 10_000
_MOST_WARNINGS = 10
# An index may have been made with fewer candidates.
_CANDIDATES = b" EF_RUNTIME " + _EF_RUNTIME
# The engine compares all entries of a scope when it takes these for few. Where they are a large
# part of the index, a walk through the graph is faster; where they are a small part, much slower.
_BATCHES = b" HYBRID_POLICY BATCHES"
_LARGE_INDEX = 2000
_LARGE_SHARE = 0.1
_TRUSTED_SECONDS = 5.0

_logger = logging.getLogger("langcache.engine")


class _Seen(NamedTuple):
    """What is known of an index.

    It is forgotten after a while, and when a connection breaks: a server that was started again
    indexes all entries anew.
    """

    complete: bool
    entries: int
    until: float
    breaks: int


class QueryEngine:
    """The indexes under a prefix, one for each width of vectors, made when one is first needed.

    Args:
        connection: Where to send commands.
        keys: The names under the prefix.
        mode: "query-engine" to insist on it, "plain" to do without, None to find out.
        algorithm: What kind of index to make.
        overwrite: Whether to replace an index of the same name that is made otherwise.
        timeout: How long a search may take, in seconds.
        clock: Returns the present moment, in seconds since the epoch.
    """

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        mode: Mode | None,
        algorithm: Algorithm,
        overwrite: bool,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._demanded = mode == "query-engine"
        self._algorithm = algorithm.upper()
        self._overwrite = overwrite
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self.mode: Mode | None = None
        """How searches are done, or None as long as that is not known."""
        self._warnings: set[str] = set()
        # By dimensions.
        self._seen: dict[int, _Seen] = {}
        self._begun: set[int] = set()
        self._made: set[int] = set()
        # The tokens of scopes that the index is known to have entries of.
        self._covered: set[bytes] = set()
        # By token: how many entries a scope has, and until when that is taken for granted.
        self._sizes: dict[bytes, tuple[int, float]] = {}
        # What the engine understands of options of a search for the nearest.
        self._options = (_CANDIDATES, _BATCHES) if self._algorithm == "HNSW" else ()
        if mode == "plain":
            self._decide("plain")

    def is_ready(self, dimensions: int) -> bool:
        """Return whether the index is known to be complete."""
        seen = self._known(dimensions)
        return seen is not None and seen.complete

    def any_ready(self) -> int | None:
        """Return the dimensions of some index that is complete; each one has all entries."""
        return next(filter(self.is_ready, list(self._seen)), None)

    def _known(self, dimensions: int) -> _Seen | None:
        seen = self._seen.get(dimensions)
        if self.mode == "plain" or seen is None or seen.breaks != self._connection.breaks:
            return None
        return seen if time.monotonic() < seen.until else None

    def begin(self, dimensions: int) -> Steps[None]:
        """Make the index if there is none, so that it has all entries when it is first searched.

        Whatever is wrong is for the first search to find out.
        """
        if self.mode == "plain" or dimensions in self._begun:
            return
        self._begun.add(dimensions)
        name = self._keys.index(dimensions)
        with contextlib.suppress(StorageError):
            info = yield from self._connection.attempt(b"FT.INFO", name)
            if isinstance(info, ResponseError):
                yield from self._create(name, dimensions)

    def prepare(self, dimensions: int) -> Steps[bool]:
        """Create the index if there is none, and return whether it has all entries.

        Raises:
            StorageError: There is another index of the name, or no query engine though it is
                demanded.
        """
        if self.mode == "plain":
            return False
        seen = self._known(dimensions)
        if seen is not None:
            return seen.complete
        breaks = self._connection.breaks
        name = self._keys.index(dimensions)
        info = yield from self._connection.attempt(b"FT.INFO", name)
        if isinstance(info, ResponseError):
            info = yield from self._create(name, dimensions)
        elif self._overwrite and not self._is_as_wanted(info, dimensions):
            # Another process may be about to do the same.
            yield from self._connection.attempt(b"FT.DROPINDEX", name)
            info = yield from self._create(name, dimensions)
        if isinstance(info, ResponseError):
            if isinstance(storage_error(info), StorageFullError):
                # No reason for a search to fail: the entries can be compared here.
                self._warn("there is no memory for the search index of Redis")
                until = time.monotonic() + _LOOK_AGAIN_SECONDS
                self._seen[dimensions] = _Seen(False, 0, until, breaks)
                return False
            return self._do_without(info)
        if not self._is_as_wanted(info, dimensions):
            raise StorageError(
                f"Redis: there is an index {_text(name)!r} of another kind; use another prefix, or"
                " overwrite=True to replace the index (the entries stay)"
            )
        if self.mode is None:
            refusal = yield from self._refusal(dimensions)
            if refusal is not None:
                if dimensions in self._made and not _is_transient(refusal):
                    yield from self._connection.attempt(b"FT.DROPINDEX", name)
                return self._do_without(refusal)
            self._decide("query-engine")
        complete = not _is_indexing(info)
        # Usually this takes a few milliseconds, less than comparing the vectors here.
        wait = 0.0 if dimensions in self._seen else _WAIT_SECONDS
        give_up_at = time.monotonic() + wait
        while not complete and time.monotonic() < give_up_at:
            yield from pause(_POLL_SECONDS)
            info = yield from self._connection.send(b"FT.INFO", name)
            complete = not _is_indexing(info)
        trusted = _TRUSTED_SECONDS if complete else _LOOK_AGAIN_SECONDS
        entries = int(float(_text(pairs(info).get(b"num_docs", b"0"))))
        self._seen[dimensions] = _Seen(complete, entries, time.monotonic() + trusted, breaks)
        return complete

    def _refusal(self, dimensions: int) -> Steps[ResponseError | None]:
        """Return why the engine lacks something that is needed, or None.

        Options that it does not understand are left out from then on.
        """
        nothing = Scope("", "", "")
        vector = np.ones(dimensions, np.float32)
        while True:
            query = self._nearest_query(nothing, vector, 1, {"": ""}, self._options)
            reply = yield from self._connection.attempt(*self._command(dimensions, *query))
            if not isinstance(reply, ResponseError):
                break
            if not self._options or _is_transient(reply):
                return reply
            self._options = self._options[:-1]
        query = self._exact_query(nothing, "", 1, {"": ""})
        reply = yield from self._connection.attempt(*self._command(dimensions, *query))
        return reply if isinstance(reply, ResponseError) else None

    def nearest(
        self,
        scope: Scope,
        embedding: NDArray[np.float32],
        limit: int,
        least: float,
        attributes: Mapping[str, str] | None,
        *,
        partial: bool = False,
    ) -> Steps[list[tuple[CacheEntry, float]] | None]:
        """Return entries and cosines, in the order of `search_top`; the rest is as for `exact`.

        Cosines are `least` or more.
        """
        neighbours = min(max(_LEAST_NEIGHBOURS, 2 * limit), _MOST_RESULTS)
        options = self._options
        if _BATCHES in options and (
            attributes or not (yield from self._is_large(len(embedding), scope))
        ):
            options = options[:-1]
        while True:
            query = self._nearest_query(scope, embedding, neighbours, attributes, options)
            found = yield from self._search(len(embedding), scope, query, partial)
            if found is None:
                return None
            entries = self._entries(found, scope, attributes)
            cosines = np.array([each.embedding.dot(embedding) for each in entries], np.float32)
            updated_at = np.array([each.updated_at for each in entries])
            best = best_rows(cosines, updated_at, limit, least)
            if len(found) < neighbours or neighbours >= _MOST_EQUALS:
                break
            # The most recently updated among equals may be behind those that were asked for.
            last = float(cosines[best[-1]]) if len(best) == limit else least
            if len(cosines) and float(cosines.min()) < last - TIE:
                break
            neighbours *= _GROWTH
        return [(entries[row], float(cosines[row])) for row in best]

    def _is_large(self, dimensions: int, scope: Scope) -> Steps[bool]:
        """Return whether a scope is a large part of a large index."""
        seen = self._known(dimensions)
        if seen is None or seen.entries < _LARGE_INDEX:
            return False
        token = scope_token(scope)
        size, until = self._sizes.get(token, (0, 0.0))
        if until < time.monotonic():
            state = self._keys.of(scope.namespace).state
            size = int((yield from self._connection.send(b"HGET", state, b"c" + token)) or 0)
            with self._lock:
                if len(self._sizes) >= _MOST_SCOPES:
                    self._sizes.clear()
                self._sizes[token] = (size, time.monotonic() + _TRUSTED_SECONDS)
        return size >= _LARGE_SHARE * seen.entries

    def exact(
        self,
        dimensions: int,
        scope: Scope,
        prompt: str,
        limit: int,
        attributes: Mapping[str, str] | None,
        *,
        partial: bool = False,
    ) -> Steps[list[CacheEntry] | None]:
        """Return the entries of a prompt, latest first, by an index that was ready.

        None says that it has been lost since, and is not complete again. With `partial`, the
        entries are those that an index has so far which is being built.
        """
        count = min(_MOST_RESULTS, limit + _LEAST_NEIGHBOURS)
        query = self._exact_query(scope, prompt, count, attributes)
        found = yield from self._search(dimensions, scope, query, partial)
        if found is None:
            return None
        entries = self._entries(found, scope, attributes)
        entries.sort(key=lambda entry: entry.updated_at, reverse=True)
        folded = prompt.casefold()
        return [entry for entry in entries if entry.prompt.casefold() == folded][:limit]

    def _nearest_query(
        self,
        scope: Scope,
        embedding: NDArray[np.float32],
        count: int,
        attributes: Mapping[str, str] | None,
        options: tuple[bytes, ...],
    ) -> tuple[bytes, ...]:
        condition = self._condition(scope, attributes)
        field = vector_field(len(embedding))
        knn = b"KNN %d @%b $vector%b AS distance" % (count, field, b"".join(options))
        return (
            b"(%b)=>[%b]" % (condition, knn),
            *(b"PARAMS", b"2", b"vector", embedding.astype("<f4").tobytes()),
            *(b"SORTBY", b"distance", b"ASC"),
            *(b"LIMIT", b"0", b"%d" % count),
        )

    def _exact_query(
        self, scope: Scope, prompt: str, count: int, attributes: Mapping[str, str] | None
    ) -> tuple[bytes, ...]:
        condition = self._condition(scope, attributes)
        return (
            b"%b @exact:{%b}" % (condition, prompt_token(prompt)),
            *(b"SORTBY", b"updated", b"DESC"),
            *(b"LIMIT", b"0", b"%d" % count),
        )

    def _condition(self, scope: Scope, attributes: Mapping[str, str] | None) -> bytes:
        tags = b"".join(b" @tags:{%b}" % each for each in attribute_tokens(attributes))
        now = index_number(self._clock())
        return b"@scope:{%b}%b @expires:[(%b +inf]" % (scope_token(scope), tags, now)

    def _command(self, dimensions: int, *query: bytes) -> tuple[bytes, ...]:
        # By default, the engine may return after half a second what it has found so far. After this
        # time nobody waits for the answer.
        milliseconds = b"%d" % max(1, round(1000 * self._timeout))
        index = self._keys.index(dimensions)
        return (b"FT.SEARCH", index, *query, b"TIMEOUT", milliseconds, b"DIALECT", b"2")

    def _search(
        self, dimensions: int, scope: Scope, query: tuple[bytes, ...], partial: bool
    ) -> Steps[list[tuple[bytes, dict[bytes, bytes]]] | None]:
        """Return keys and fields of what a query finds; None if the index is not complete.

        That it is not may be known, by `partial`.
        """
        if partial:
            self._warn("the search index of Redis is being built: searches find a part only")
            reply = yield from self._connection.send(*self._command(dimensions, *query))
            return self._documents(reply)
        found = self._documents((yield from self._reply(dimensions, query)))
        if any(fields for _, fields in found or ()):
            self._note_covered(scope)
        if found is None or scope_token(scope) in self._covered:
            return found
        # No entry, and none has ever been found in this scope.
        covers = yield from self._covers(dimensions, scope)
        if covers is None:
            return found
        if covers:
            # The index may have come to know the entries since.
            self._note_covered(scope)
            return self._documents((yield from self._reply(dimensions, query)))
        # The server may have been started again, and index all entries anew.
        self._seen.pop(dimensions, None)
        ready = yield from self.prepare(dimensions)
        if ready and (yield from self._covers(dimensions, scope)) is False:
            self._distrust()
        return None

    def _reply(self, dimensions: int, query: tuple[bytes, ...]) -> Steps[Any]:
        """Send a query and return the reply; None if the index is not complete."""
        command = self._command(dimensions, *query)
        breaks, started = self._connection.breaks, time.monotonic()
        reply = yield from self._connection.attempt(*command)
        if isinstance(reply, ResponseError) or self._connection.breaks != breaks:
            # The index may be gone with all the data, by FLUSHALL, or be made anew by a server
            # that was started again.
            self._seen.pop(dimensions, None)
            self._covered.clear()
            if not (yield from self.prepare(dimensions)):
                return None
            started = time.monotonic()
            reply = yield from self._connection.send(*command)
        if time.monotonic() - started >= self._timeout:
            # The user's own client may wait longer. With RESP2 the engine does not report whether
            # it has stopped early.
            raise StorageError("Redis: no answer in time")
        return reply

    def _covers(self, dimensions: int, scope: Scope) -> Steps[bool | None]:
        """Return whether the index has entries of a scope; None if there are none to have.

        On a cluster without a search coordinator, an index has the entries of one node at most,
        and may find their keys only.
        """
        keys = self._keys.of(scope.namespace)
        count = yield from self._connection.send(b"HGET", keys.state, b"c" + scope_token(scope))
        # That number includes what has expired.
        if int(count or 0) <= 0:
            return None
        before = yield from self._last_entries(keys, scope)
        if not before:
            return None
        latest = (*(b"SORTBY", b"updated", b"DESC"), *(b"LIMIT", b"0", b"%d" % _LEAST_NEIGHBOURS))
        command = self._command(dimensions, b"@scope:{%b}" % scope_token(scope), *latest)
        reply = yield from self._connection.send(*command)
        # There is a key without fields if the entry has expired, or the engine cannot read it.
        if any(fields for _, fields in self._documents(reply) or ()):
            return True
        # They may have been removed meanwhile.
        after = yield from self._last_entries(keys, scope)
        return None if before.isdisjoint(after) else False

    def _last_entries(self, keys: NamespaceKeys, scope: Scope) -> Steps[set[bytes]]:
        """Return the members of a scope that are among the namespace's last and have an entry."""
        last = b"%d" % (_SAMPLE - 1)
        members: list[bytes] = yield from self._connection.send(
            b"ZREVRANGE", keys.members, b"0", last
        )
        own = [as_bytes(each) for each in members if as_bytes(each).startswith(scope_token(scope))]
        commands = [(b"HGET", keys.entry_prefix + each[TOKEN_LENGTH:], b"scope") for each in own]
        tokens = yield from self._connection.attempt_all(commands)
        wanted = scope_token(scope)
        return {each for each, token in zip(own, tokens, strict=True) if token == wanted}

    def _note_covered(self, scope: Scope) -> None:
        with self._lock:
            if len(self._covered) >= _MOST_SCOPES:
                self._covered.clear()
            self._covered.add(scope_token(scope))

    def _documents(self, reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]] | None:
        """Return the keys and fields in a reply of FT.SEARCH, by either protocol.

        Raises:
            StorageError: The engine says that it has stopped before the end.
        """
        if reply is None:
            return None
        if not isinstance(reply, dict):
            flat = cast("list[Any]", reply)[1:]
            return [(key, pairs(fields)) for key, fields in zip(flat[::2], flat[1::2], strict=True)]
        facts = pairs(reply)
        for warning in map(_text, facts.get(b"warning") or ()):
            if "timeout" in warning.lower():
                raise StorageError("Redis: the query engine stopped before the end of a search")
            self._warn(f"the query engine of Redis may find less than there is: {warning}")
        results = [pairs(result) for result in facts.get(b"results", [])]
        return [(result[b"id"], pairs(result.get(b"extra_attributes"))) for result in results]

    def _entries(
        self,
        found: list[tuple[bytes, dict[bytes, bytes]]],
        scope: Scope,
        attributes: Mapping[str, str] | None,
    ) -> list[CacheEntry]:
        prefix = self._keys.of(scope.namespace).entry_prefix
        now = self._clock()
        entries: list[CacheEntry] = []
        for key, fields in found:
            if not fields:
                continue  # it has expired since it was found
            try:
                if not key.startswith(prefix):
                    raise DamagedError
                stored = stored_of(scope.namespace, decoded(key[len(prefix) :]), fields)
            except (DamagedError, UnicodeDecodeError):
                warn_of_damage(scope.namespace)
                continue
            entry = stored.entry
            if (
                entry.scope == scope
                and (entry.expires_at is None or entry.expires_at > now)
                and has_attributes(entry.attributes, attributes)
            ):
                entries.append(entry)
        return entries

    def _create(self, name: bytes, dimensions: int) -> Steps[Any]:
        """Make an index, unless another process has just done so, and return what FT.INFO says."""
        options = [b"TYPE", b"FLOAT32", b"DIM", b"%d" % dimensions, b"DISTANCE_METRIC", b"COSINE"]
        if self._algorithm == "HNSW":
            options.extend(_HNSW_OPTIONS)
        created = yield from self._connection.attempt(
            b"FT.CREATE",
            name,
            b"ON",
            b"HASH",
            b"PREFIX",
            b"1",
            self._keys.entries,
            b"SCHEMA",
            b"scope",
            b"TAG",
            b"exact",
            b"TAG",
            b"tags",
            b"TAG",
            b"SEPARATOR",
            b",",
            b"updated",
            b"NUMERIC",
            b"SORTABLE",
            b"expires",
            b"NUMERIC",
            vector_field(dimensions),
            b"VECTOR",
            self._algorithm.encode(),
            b"%d" % len(options),
            *options,
        )
        if not isinstance(created, ResponseError):
            self._made.add(dimensions)
        info = yield from self._connection.attempt(b"FT.INFO", name)
        failed = isinstance(info, ResponseError) and isinstance(created, ResponseError)
        return created if failed else info

    def _is_as_wanted(self, info: Any, dimensions: int) -> bool:
        facts = pairs(info)
        definition = pairs(facts.get(b"index_definition"))
        prefixes = [_text(prefix) for prefix in definition.get(b"prefixes", [])]
        if prefixes != [_text(self._keys.entries)]:
            return False
        wanted = {
            "scope": "TAG",
            "exact": "TAG",
            "tags": "TAG",
            "updated": "NUMERIC",
            "expires": "NUMERIC",
            _text(vector_field(dimensions)): "VECTOR",
        }
        found: dict[str, str] = {}
        for each in facts.get(b"attributes", []):
            attribute = pairs(each)
            kind = _text(attribute.get(b"type", b"")).upper()
            # Older servers do not say more of a vector than that it is one.
            if (
                int(attribute.get(b"dim", dimensions)) != dimensions
                or _text(attribute.get(b"distance_metric", b"COSINE")).upper() != "COSINE"
                or _text(attribute.get(b"data_type", b"FLOAT32")).upper() != "FLOAT32"
                or _text(attribute.get(b"algorithm", self._algorithm)).upper() != self._algorithm
            ):
                return False
            found[_text(attribute.get(b"identifier", b""))] = kind
        return all(found.get(name) == kind for name, kind in wanted.items())

    def _do_without(self, error: ResponseError) -> bool:
        if _is_transient(error):
            raise storage_error(error)
        if self._demanded:
            reason = str(storage_error(error))
            raise StorageError(f"{reason} (search='query-engine' needs Redis's query engine)")
        if self.mode == "query-engine":
            raise storage_error(error)
        self._decide("plain", f" ({storage_error(error)})")
        return False

    def _warn(self, text: str) -> None:
        if text not in self._warnings and len(self._warnings) < _MOST_WARNINGS:
            self._warnings.add(text)
            _logger.warning(text)

    def _distrust(self) -> None:
        """Do without an engine that says its index is complete, but does not find entries.

        Raises:
            StorageError: The query engine is demanded.
        """
        reason = "the query engine does not find entries that exist, as on a cluster without a"
        reason += " search coordinator"
        if self._demanded:
            raise StorageError(f"Redis: {reason} (search='plain' does without it)")
        with self._lock:
            if self.mode != "plain":
                self.mode = "plain"
                _logger.warning("Redis storage: %s; searches are done in the mode 'plain'", reason)

    def _decide(self, mode: Mode, reason: str = "") -> None:
        with self._lock:
            if self.mode is None:
                self.mode = mode
                _logger.info("Redis storage: searches are done in the mode %r%s", mode, reason)


def _is_indexing(info: Any) -> bool:
    """Return whether FT.INFO says that entries are being indexed which were there before."""
    facts = pairs(info)
    # The second is what the search module of Valkey says.
    states = (facts.get(name, b"0") for name in (b"indexing", b"backfill_in_progress"))
    return any(float(_text(state)) for state in states)


def _is_transient(error: ResponseError) -> bool:
    return isinstance(error, _TRANSIENT) or str(error).startswith(_TRANSIENT_BEGINNINGS)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
