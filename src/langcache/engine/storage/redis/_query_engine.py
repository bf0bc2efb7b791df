"""Searching by the query engine of Redis: an index over the entries' hashes."""

from __future__ import annotations

import contextlib
import logging
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

from langcache.engine._locks import fork_safe_lock
from langcache.engine.expiry import has_expired
from langcache.engine.same_prompt import are_same
from langcache.engine.storage.base import has_attributes, meets
from langcache.engine.storage.entry import Scope
from langcache.engine.storage.errors import StorageError, StorageFullError
from langcache.engine.storage.ranking import TIE
from langcache.engine.storage.redis._candidates import Candidates, Document, entry_in
from langcache.engine.storage.redis._codec import VECTOR, prompt_token, scope_token
from langcache.engine.storage.redis._conditions import (
    EVERYTHING,
    NUMBER_FIELDS,
    PROBE,
    condition_of,
)
from langcache.engine.storage.redis._connection import as_bytes, pairs, storage_error
from langcache.engine.storage.redis._keys import (
    TOKEN_LENGTH,
    attribute_tokens,
    vector_field,
)
from langcache.engine.storage.redis._local_copy import pause
from langcache.engine.storage.redis._queries import Command, limits, nearest, returned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from langcache.engine._steps import Steps
    from langcache.engine.filters import FilterExpression
    from langcache.engine.storage.entry import CacheEntry
    from langcache.engine.storage.redis._connection import Connection
    from langcache.engine.storage.redis._keys import Keys, NamespaceKeys

Mode: TypeAlias = Literal["query-engine", "plain"]
Algorithm: TypeAlias = Literal["hnsw", "flat"]

# How many candidates a walk through the graph keeps, for so many entries of the index. With 64, all
# of the nearest are found among 1,000, but 88 % among 100,000; with 256, 99 %.
_FEWEST_CANDIDATES, _MOST_CANDIDATES = 64, 256
_ENTRIES_PER_CANDIDATE = 64
_HNSW_OPTIONS = (b"M", b"16", b"EF_CONSTRUCTION", b"200", b"EF_RUNTIME", b"%d" % _MOST_CANDIDATES)

_TRANSIENT = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
# How others begin that say nothing about what the server can do, some of which have a class in
# later versions of the client only. The last are those of a cluster that does not know all its
# nodes yet, and of a query that took too long.
_TRANSIENT_BEGINNINGS = (
    *("BUSY", "LOADING", "MISCONF", "NOREPLICAS", "UNKILLABLE"),
    *("CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MOVED"),
    *("ERRCLUSTER", "Uninitialized cluster", "Could not send query", "Timeout"),
)
# One more than is asked for, because the most recently updated among equals comes first. More when
# that does not suffice, because entries have expired or do not meet a filter.
_MORE_NEIGHBOURS = 1
_FILTERED_NEIGHBOURS = 16
_GROWTH = 8
_MOST_NEIGHBOURS = 2048
_SAMPLE_RESULTS = 8
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
# The engine compares all entries of a scope when it takes these for few. Where they are a large
# part of the index, a walk through the graph is faster; where they are a small part, much slower.
_BATCHES = b" HYBRID_POLICY BATCHES"
# Thousands of equal vectors are linked with one another only, which leaves other entries hard to
# reach in the graph. Where so many have been found, all entries of the scope are compared.
_COMPARE_ALL = b" HYBRID_POLICY ADHOC_BF"
_CROWD = 128
_MOST_COMPARED = 20_000
_LARGE_INDEX = 2000
_LARGE_SHARE = 0.1
_TRUSTED_SECONDS = 5.0

_logger = logging.getLogger("langcache.engine")


class Filter(NamedTuple):
    """What entries a search is for.

    Attributes:
        attributes: The attributes that they have.
        expression: What they meet, or None.
        is_indexed: Whether the index has all that the expression compares.
    """

    attributes: Mapping[str, str] | None = None
    expression: FilterExpression | None = None
    is_indexed: bool = True

    def query(self) -> tuple[bytes, bool]:
        """Return a query that finds all such entries, and whether it may find many others."""
        if not self.attributes and self.expression is None:
            return b"", False
        tags = b""
        if self.attributes:
            tags = b" ".join(b"@tags:{%b}" % each for each in attribute_tokens(self.attributes))
        if self.expression is None:
            return tags, False
        condition = condition_of(self.expression, is_indexed=self.is_indexed)
        wide = b"" if condition.wide == EVERYTHING else condition.wide
        return b"%b %b" % (tags, wide), condition.is_loose

    def accepts(self, entry: CacheEntry) -> bool:
        """Return whether an entry is one."""
        return has_attributes(entry.attributes, self.attributes) and (
            self.expression is None or meets(entry, self.expression)
        )


class _Seen(NamedTuple):
    """What is known of an index.

    It is forgotten after a while, and when a connection breaks: a server that was started again
    indexes all entries anew.
    """

    complete: bool
    entries: int
    algorithm: str
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
        creates: Whether to make an index that does not exist.
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
        creates: bool,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._demanded = mode == "query-engine"
        self._algorithm = algorithm.upper()
        self._overwrite = overwrite
        self._creates = creates
        self._timeout = timeout
        # By default, the engine may return after half a second what it has found so far. After this
        # time nobody waits for the answer.
        self._milliseconds = max(1, round(1000 * timeout))
        self._clock = clock
        self._lock = fork_safe_lock()
        self.mode: Mode | None = None
        """How searches are done, or None as long as that is not known."""
        self._warnings: set[str] = set()
        # By dimensions.
        self._seen: dict[int, _Seen] = {}
        self._begun: set[int] = set()
        self._made: set[int] = set()
        # The tokens of scopes that the index is known to have entries of.
        self._covered: set[bytes] = set()
        # Those of scopes in which a filter's query has found other entries.
        self._doubted: set[bytes] = set()
        # Those of scopes that have many equal vectors.
        self._crowded: set[bytes] = set()
        # By token: the width of a scope's vectors, and until when that is taken for granted.
        self._widths: dict[bytes, tuple[int, float]] = {}
        # By token: how many entries a scope has, and until when that is taken for granted.
        self._sizes: dict[bytes, tuple[int, float]] = {}
        # The indexes that this process has found or made as it wants them.
        self._accepted: set[int] = set()
        # What the engine understands of options of a search for the nearest.
        self._takes_candidates = self._takes_policy = True
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
        if self.mode == "plain" or not self._creates or dimensions in self._begun:
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
            if self._creates:
                info = yield from self._create(name, dimensions)
        elif self._overwrite and not self._is_accepted(info, dimensions):
            # Another process may be about to do the same.
            yield from self._connection.attempt(b"FT.DROPINDEX", name)
            info = yield from self._create(name, dimensions)
        if isinstance(info, ResponseError):
            if isinstance(storage_error(info), StorageFullError):
                # No reason for a search to fail: the entries can be compared here.
                self._warn("there is no memory for the search index of Redis")
                until = time.monotonic() + _LOOK_AGAIN_SECONDS
                self._seen[dimensions] = _Seen(False, 0, self._algorithm, until, breaks)
                return False
            return self._do_without(info)
        if not self._is_accepted(info, dimensions):
            raise StorageError(
                f"Redis: there is an index {_text(name)!r} of another kind; use another prefix, or"
                " overwrite=True to replace the index (the entries stay)"
            )
        algorithm = self._algorithm_of(info, dimensions) or self._algorithm
        if self.mode is None:
            refusal = yield from self._refusal(dimensions, algorithm)
            if refusal is not None:
                if dimensions in self._made and not _is_transient(refusal):
                    yield from self._connection.attempt(b"FT.DROPINDEX", name)
                return self._do_without(refusal)
            self._decide("query-engine")
        self._accepted.add(dimensions)
        complete = not _is_indexing(info)
        # Usually this takes a few milliseconds, less than comparing the vectors here.
        wait = 0.0 if dimensions in self._seen else _WAIT_SECONDS
        give_up_at = time.monotonic() + wait
        while not complete and time.monotonic() < give_up_at:
            yield from pause(_POLL_SECONDS)
            info = yield from self._connection.send(b"FT.INFO", name)
            complete = not _is_indexing(info)
        trusted = _TRUSTED_SECONDS if complete else _LOOK_AGAIN_SECONDS
        until = time.monotonic() + trusted
        self._seen[dimensions] = _Seen(complete, _entries_of(info), algorithm, until, breaks)
        return complete

    def drop_empty(self) -> Steps[None]:
        """Remove the indexes under the prefix that have no entries, if Redis lets us list them.

        A process that needs one makes it anew.
        """
        if self.mode == "plain":
            return
        names = yield from self._connection.attempt(b"FT._LIST")
        for name in () if isinstance(names, ResponseError) else map(as_bytes, names):
            dimensions = self._keys.dimensions_of(name)
            if dimensions is None:
                continue
            info = yield from self._connection.attempt(b"FT.INFO", name)
            if isinstance(info, ResponseError) or _entries_of(info) > 0:
                continue
            yield from self._connection.attempt(b"FT.DROPINDEX", name)
            self._seen.pop(dimensions, None)
            self._begun.discard(dimensions)

    def _refusal(self, dimensions: int, algorithm: str) -> Steps[ResponseError | None]:
        """Return why the engine lacks something that is needed, or None.

        Options that it does not understand are left out from then on.
        """
        nothing = Scope("", "", "")
        vector, index = np.ones(dimensions, VECTOR).tobytes(), self._keys.index(dimensions)
        while True:
            options = self._options(algorithm, 0, batches=True)
            token, limit = scope_token(nothing), 1
            search = nearest(index, dimensions, limit, options, self._milliseconds, token, PROBE)
            command = search.command(vector)
            reply = yield from self._connection.attempt(*command.parts)
            if not isinstance(reply, ResponseError):
                break
            if not options or _is_transient(reply):
                return reply
            self._takes_candidates, self._takes_policy = self._takes_policy, False
        exact = self._exact_command(nothing, "", 1, b"@tags:{h}", dimensions)
        reply = yield from self._connection.attempt(*exact.parts)
        return reply if isinstance(reply, ResponseError) else None

    def _options(self, algorithm: str, entries: int, *, batches: bool) -> bytes:
        """Return the options of a search for the nearest in an index of so many entries."""
        if algorithm != "HNSW":
            return b""
        wanted = entries // _ENTRIES_PER_CANDIDATE
        candidates = min(_MOST_CANDIDATES, max(_FEWEST_CANDIDATES, wanted))
        options = b" EF_RUNTIME %d" % candidates if self._takes_candidates else b""
        return options + (_BATCHES if batches and self._takes_policy else b"")

    def nearest(
        self,
        scope: Scope,
        embedding: NDArray[np.float32],
        limit: int,
        least: float,
        wanted: Filter,
        *,
        partial: bool = False,
    ) -> Steps[list[tuple[CacheEntry, float]] | None]:
        """Return entries and cosines, in the order of `search_top`; the rest is as for `exact`.

        Cosines are `least` or more. What the query cannot say of the filter is looked for among the
        `_MOST_NEIGHBOURS` nearest.
        """
        dimensions, token = len(embedding), scope_token(scope)
        condition, is_loose = wanted.query()
        neighbours = limit + _MORE_NEIGHBOURS
        if is_loose or (wanted.expression is not None and token in self._doubted):
            neighbours = max(neighbours, _FILTERED_NEIGHBOURS)
        neighbours = min(neighbours, _MOST_RESULTS)
        seen = self._seen.get(dimensions)
        batches = (
            seen is not None
            and seen.entries >= _LARGE_INDEX
            and not condition.strip()
            and (yield from self._is_large(dimensions, scope))
        )
        compares_all = token in self._crowded and ((yield from self._size(scope)) <= _MOST_COMPARED)
        vector, index = embedding.astype(VECTOR, copy=False).tobytes(), self._keys.index(dimensions)

        def ask() -> Command:
            # The index may have been replaced by one of another kind.
            seen = self._seen.get(dimensions)
            algorithm, entries = (seen.algorithm, seen.entries) if seen else (self._algorithm, 0)
            options = self._options(algorithm, entries, batches=batches)
            if compares_all and algorithm == "HNSW" and self._takes_policy:
                options = _COMPARE_ALL
            return nearest(
                index, dimensions, neighbours, options, self._milliseconds, token, condition
            ).command(vector)

        prefix = self._keys.of(scope.namespace).entry_prefix
        while True:
            found = yield from self._search(dimensions, scope, ask, partial)
            if found is None:
                return None
            candidates = Candidates(found, prefix, scope, embedding, self._clock())
            best = candidates.best(limit, least, wanted.accepts)
            if candidates.has_others:
                self._note(self._doubted, scope)
            if len(found) < neighbours or neighbours >= _MOST_NEIGHBOURS:
                return best
            # The most recently updated among equals may be behind those that were asked for.
            last = best[-1][1] if len(best) == limit else least
            if candidates.least_cosine < last - TIE and not candidates.are_equal:
                return best
            if candidates.are_equal and neighbours >= _CROWD:
                self._note(self._crowded, scope)
            neighbours = min(neighbours * _GROWTH, _MOST_NEIGHBOURS)

    def note_width(self, scope: Scope, dimensions: int) -> None:
        """Remember for a while that a scope has vectors of so many dimensions."""
        with self._lock:
            if len(self._widths) >= _MOST_SCOPES:
                self._widths.clear()
            until = time.monotonic() + _TRUSTED_SECONDS
            self._widths[scope_token(scope)] = (dimensions, until)

    def has_width(self, scope: Scope, dimensions: int) -> bool:
        """Return whether a scope is known to have vectors of so many dimensions."""
        width, until = self._widths.get(scope_token(scope), (0, 0.0))
        return width == dimensions and time.monotonic() < until

    def _is_large(self, dimensions: int, scope: Scope) -> Steps[bool]:
        """Return whether a scope is a large part of a large index."""
        seen = self._known(dimensions)
        if seen is None:
            return False
        return (yield from self._size(scope)) >= _LARGE_SHARE * seen.entries

    def _size(self, scope: Scope) -> Steps[int]:
        """Return how many entries a scope has had lately."""
        token = scope_token(scope)
        size, until = self._sizes.get(token, (0, 0.0))
        if until < time.monotonic():
            state = self._keys.of(scope.namespace).state
            size = int((yield from self._connection.send(b"HGET", state, b"c" + token)) or 0)
            with self._lock:
                if len(self._sizes) >= _MOST_SCOPES:
                    self._sizes.clear()
                self._sizes[token] = (size, time.monotonic() + _TRUSTED_SECONDS)
        return size

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
        wanted = Filter(attributes)
        condition, _ = wanted.query()
        prefix = self._keys.of(scope.namespace).entry_prefix
        count = limit + _MORE_NEIGHBOURS

        def ask() -> Command:
            most = min(count, _MOST_RESULTS)
            return self._exact_command(scope, prompt, most, condition, dimensions)

        while True:
            found = yield from self._search(dimensions, scope, ask, partial)
            if found is None:
                return None
            now = self._clock()
            entries = [
                entry
                for document in found
                if document[1]
                and (entry := entry_in(document, prefix, scope, dimensions)) is not None
                and not has_expired(entry.expires_at, now)
                and are_same(entry.prompt, prompt)
                and wanted.accepts(entry)
            ]
            # Some of those that were found may have expired.
            if len(entries) >= limit or len(found) < count or count >= _MOST_NEIGHBOURS:
                entries.sort(key=lambda entry: entry.updated_at, reverse=True)
                return entries[:limit]
            count *= _GROWTH

    def _exact_command(
        self, scope: Scope, prompt: str, count: int, condition: bytes, dimensions: int
    ) -> Command:
        token = prompt_token(prompt)
        return self._command(
            dimensions,
            b"@scope:{%b} @exact:{%b} %b" % (scope_token(scope), token, condition),
            *(b"SORTBY", b"updated", b"DESC"),
            *(b"LIMIT", b"0", b"%d" % count),
            *returned(dimensions),
        )

    def _command(self, dimensions: int, *query: bytes) -> Command:
        index = self._keys.index(dimensions)
        return Command((b"FT.SEARCH", index, *query, *limits(self._milliseconds)))

    def _search(
        self, dimensions: int, scope: Scope, ask: Callable[[], Command], partial: bool
    ) -> Steps[list[Document] | None]:
        """Return keys and fields of what a query finds; None if the index is not complete.

        That it is not may be known, by `partial`.
        """
        if partial:
            self._warn("the search index of Redis is being built: searches find a part only")
            return self._documents((yield from self._connection.send(*ask().parts)))
        found = self._documents((yield from self._reply(dimensions, ask)))
        if found is None or scope_token(scope) in self._covered:
            return found
        if any(fields for _, fields in found):
            self._note(self._covered, scope)
            return found
        # No entry, and none has ever been found in this scope.
        covers = yield from self._covers(dimensions, scope)
        if covers is None:
            return found
        if covers:
            # The index may have come to know the entries since.
            self._note(self._covered, scope)
            return self._documents((yield from self._reply(dimensions, ask)))
        # The server may have been started again, and index all entries anew.
        self._seen.pop(dimensions, None)
        ready = yield from self.prepare(dimensions)
        if ready and (yield from self._covers(dimensions, scope)) is False:
            self._distrust()
        return None

    def _reply(self, dimensions: int, ask: Callable[[], Command]) -> Steps[Any]:
        """Send a query and return the reply; None if the index is not complete."""
        breaks, started = self._connection.breaks, time.monotonic()
        command = ask()
        reply = yield from self._connection.attempt(*command.parts, packed=command.packed)
        if isinstance(reply, ResponseError) or self._connection.breaks != breaks:
            # The index may be gone with all the data, by FLUSHALL, or be made anew by a server
            # that was started again.
            self._seen.pop(dimensions, None)
            self._covered.clear()
            if not (yield from self.prepare(dimensions)):
                return None
            started = time.monotonic()
            reply = yield from self._connection.send(*ask().parts)
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
        latest = (*(b"SORTBY", b"updated", b"DESC"), *(b"LIMIT", b"0", b"%d" % _SAMPLE_RESULTS))
        command = self._command(dimensions, b"@scope:{%b}" % scope_token(scope), *latest)
        reply = yield from self._connection.send(*command.parts)
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

    def _note(self, scopes: set[bytes], scope: Scope) -> None:
        """Add a scope to some."""
        with self._lock:
            if len(scopes) >= _MOST_SCOPES:
                scopes.clear()
            scopes.add(scope_token(scope))

    def _documents(self, reply: Any) -> list[Document] | None:
        """Return the keys and fields in a reply of FT.SEARCH, by either protocol.

        Raises:
            StorageError: The engine says that it has stopped before the end.
        """
        if reply is None:
            return None
        if not isinstance(reply, dict):
            flat = cast("list[Any]", reply)[1:]
            return [(key, pairs(fields)) for key, fields in zip(flat[::2], flat[1::2], strict=True)]
        has_bytes = b"results" in reply
        facts = cast("dict[bytes, Any]", reply) if has_bytes else pairs(reply)
        for warning in map(_text, facts.get(b"warning") or ()):
            if "timeout" in warning.lower():
                raise StorageError("Redis: the query engine stopped before the end of a search")
            self._warn(f"the query engine of Redis may find less than there is: {warning}")
        results = facts.get(b"results", ())
        if has_bytes:
            return [(found[b"id"], found.get(b"extra_attributes") or {}) for found in results]
        named = map(pairs, results)
        return [(found[b"id"], pairs(found.get(b"extra_attributes"))) for found in named]

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
            b"words",
            b"TAG",
            b"SEPARATOR",
            b",",
            b"updated",
            b"NUMERIC",
            b"SORTABLE",
            b"created",
            b"NUMERIC",
            *(part for field in NUMBER_FIELDS for part in (field, b"NUMERIC")),
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

    def _is_accepted(self, info: Any, dimensions: int) -> bool:
        """Return whether this process can search an index, and wants it as it is."""
        found = self._algorithm_of(info, dimensions)
        # Another process may replace the index while this one is running.
        return found == self._algorithm or (found is not None and dimensions in self._accepted)

    def _algorithm_of(self, info: Any, dimensions: int) -> str | None:
        """Return the algorithm of an index over our entries; None if it is made otherwise."""
        facts = pairs(info)
        definition = pairs(facts.get(b"index_definition"))
        prefixes = [_text(prefix) for prefix in definition.get(b"prefixes", [])]
        if prefixes != [_text(self._keys.entries)]:
            return None
        wanted = dict.fromkeys(("scope", "exact", "tags", "words"), "TAG")
        wanted |= dict.fromkeys(("updated", "created", *map(_text, NUMBER_FIELDS)), "NUMERIC")
        wanted[_text(vector_field(dimensions))] = "VECTOR"
        found: dict[str, str] = {}
        algorithm = self._algorithm
        for each in facts.get(b"attributes", []):
            attribute = pairs(each)
            kind = _text(attribute.get(b"type", b"")).upper()
            # Older servers do not say more of a vector than that it is one.
            if (
                int(attribute.get(b"dim", dimensions)) != dimensions
                or _text(attribute.get(b"distance_metric", b"COSINE")).upper() != "COSINE"
                or _text(attribute.get(b"data_type", b"FLOAT32")).upper() != "FLOAT32"
            ):
                return None
            algorithm = _text(attribute.get(b"algorithm", algorithm)).upper()
            found[_text(attribute.get(b"identifier", b""))] = kind
        return algorithm if all(found.get(name) == kind for name, kind in wanted.items()) else None

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


def _entries_of(info: Any) -> int:
    return int(float(_text(pairs(info).get(b"num_docs", b"0"))))


def _is_indexing(info: Any) -> bool:
    """Return whether FT.INFO says that entries which were there before are not indexed yet.

    An engine that had no memory to go on will not index them, nor new ones.
    """
    facts = pairs(info)
    scan = pairs(facts.get(b"Index Errors")).get(b"background indexing status", b"OK")
    if _text(scan).startswith("OOM"):
        return True
    # The second is what the search module of Valkey says.
    states = (facts.get(name, b"0") for name in (b"indexing", b"backfill_in_progress"))
    return any(float(_text(state)) for state in states)


def _is_transient(error: ResponseError) -> bool:
    return isinstance(error, _TRANSIENT) or str(error).startswith(_TRANSIENT_BEGINNINGS)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
