"""Searching by the query engine of Redis: an index over the entries' hashes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from functools import partial
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

from langcache.engine._steps import Step, Steps
from langcache.engine.index import TIE, best_rows, row_numbers
from langcache.engine.storage.base import has_attributes
from langcache.engine.storage.errors import StorageError
from langcache.engine.storage.redis._codec import (
    DamagedError,
    index_number,
    prompt_token,
    stored_of,
)
from langcache.engine.storage.redis._connection import pairs, storage_error
from langcache.engine.storage.redis._keys import attribute_tokens, decoded, vector_field
from langcache.engine.storage.redis._mirror import warn_of_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from langcache.engine.storage.base import CacheEntry
    from langcache.engine.storage.redis._connection import Connection
    from langcache.engine.storage.redis._keys import Keys

Mode: TypeAlias = Literal["query-engine", "plain"]

_TRANSIENT = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_TRANSIENT_CODES = ("BUSY", "LOADING", "MISCONF", "NOREPLICAS", "UNKILLABLE")
# With the nearest alone there is no answer when it has just expired and is still in the index.
_LEAST_NEIGHBOURS = 8
_GROWTH = 4
_MOST_RESULTS = 1_000_000
_WAIT_SECONDS = 0.2
_POLL_SECONDS = 0.01
_LOOK_AGAIN_SECONDS = 0.25

_logger = logging.getLogger("langcache.engine")


class Scope(NamedTuple):
    """What a search looks in."""

    namespace: str
    embedding_model_id: str
    context_hash: str
    token: bytes


class QueryEngine:
    """The indexes under a prefix, one for each width of vectors, made when one is first needed.

    Args:
        connection: Where to send commands.
        keys: The names under the prefix.
        mode: "query-engine" to insist on it, "plain" to do without, None to find out.
        overwrite: Whether to replace an index of the same name that is made otherwise.
        timeout: How long a search may take, in seconds.
        clock: Returns the present moment, in seconds since the epoch.
    """

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        mode: Mode | None,
        overwrite: bool,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._demanded = mode == "query-engine"
        self._overwrite = overwrite
        self._milliseconds = b"%d" % max(1, round(1000 * timeout))
        self._clock = clock
        self._lock = threading.Lock()
        self.mode: Mode | None = None
        """How searches are done, or None as long as that is not known."""
        # Dimensions to None when the index is complete, or to when to look again.
        self._indexes: dict[int, float | None] = {}
        if mode == "plain":
            self._decide("plain")

    def is_ready(self, dimensions: int) -> bool:
        """Return whether the index is known to be complete."""
        return self._indexes.get(dimensions, 0.0) is None

    def any_ready(self) -> int | None:
        """Return the dimensions of some index that is complete; each one has all entries."""
        return next((each for each in self._indexes if self.is_ready(each)), None)

    def prepare(self, dimensions: int) -> Steps[bool]:
        """Make the index if there is none, and return whether it has all entries already.

        Raises:
            StorageError: There is another index of the name, or no query engine though it is
                demanded.
        """
        if self.mode == "plain":
            return False
        if self.is_ready(dimensions):
            return True
        if time.monotonic() < (self._indexes.get(dimensions) or 0.0):
            return False
        name = self._keys.index(dimensions)
        info = yield from self._connection.attempt(b"FT.INFO", name)
        if isinstance(info, ResponseError):
            if not self._may_be_absent(info):
                return self._do_without(info)
            info = yield from self._create(name, dimensions)
        elif self._overwrite and not self._is_as_wanted(info, dimensions):
            yield from self._connection.send(b"FT.DROPINDEX", name)
            info = yield from self._create(name, dimensions)
        if not isinstance(info, ResponseError) and not self._is_as_wanted(info, dimensions):
            raise StorageError(
                f"Redis: there is an index {_text(name)!r} of another kind; use another prefix, or"
                " overwrite=True to replace the index (the entries stay)"
            )
        # The last word on whether the engine can do all that is needed, which some cannot.
        trial = yield from self._connection.attempt(
            b"FT.SEARCH", name, b"@scope:{h}", b"LIMIT", b"0", b"0", b"DIALECT", b"2"
        )
        for reply in (info, trial):
            if isinstance(reply, ResponseError):
                return self._do_without(reply)
        self._decide("query-engine")
        complete = not _is_indexing(info)
        # Mostly it takes some milliseconds only, less than to compare the vectors here instead.
        wait = 0.0 if dimensions in self._indexes else _WAIT_SECONDS
        give_up_at = time.monotonic() + wait
        while not complete and time.monotonic() < give_up_at:
            yield Step(partial(time.sleep, _POLL_SECONDS), partial(asyncio.sleep, _POLL_SECONDS))
            info = yield from self._connection.send(b"FT.INFO", name)
            complete = not _is_indexing(info)
        self._indexes[dimensions] = None if complete else time.monotonic() + _LOOK_AGAIN_SECONDS
        return complete

    def nearest(
        self,
        scope: Scope,
        embedding: NDArray[np.float32],
        limit: int,
        least: float,
        attributes: Mapping[str, str] | None,
    ) -> Steps[list[tuple[CacheEntry, float]] | None]:
        """Return entries and cosines, in the order of `search_top`; None as `exact` does.

        Cosines are `least` or more.
        """
        field = vector_field(len(embedding))
        neighbours = max(_LEAST_NEIGHBOURS, 2 * limit)
        while True:
            neighbours = min(neighbours, _MOST_RESULTS)
            query = b"(%b)=>[KNN %d @%b $vector AS distance]" % (
                self._condition(scope, attributes),
                neighbours,
                field,
            )
            found = yield from self._search(
                len(embedding),
                query,
                b"PARAMS",
                b"2",
                b"vector",
                embedding.astype("<f4").tobytes(),
                b"SORTBY",
                b"distance",
                b"ASC",
                b"LIMIT",
                b"0",
                b"%d" % neighbours,
            )
            if found is None:
                return None
            entries = self._entries(found, scope, attributes)
            cosines = np.array([each.embedding.dot(embedding) for each in entries], np.float32)
            updated_at = np.array([each.updated_at for each in entries])
            best = row_numbers(best_rows(cosines, updated_at, limit, least))
            if len(found) < neighbours or neighbours == _MOST_RESULTS:
                break
            # The most recently updated among equals may be behind those that were asked for.
            last = float(cosines[best[-1]]) if len(best) == limit else least
            if len(cosines) and float(cosines.min()) < last - TIE:
                break
            neighbours *= _GROWTH
        return [(entries[row], float(cosines[row])) for row in best]

    def exact(
        self, scope: Scope, prompt: str, limit: int, attributes: Mapping[str, str] | None
    ) -> Steps[list[CacheEntry] | None]:
        """Return the entries of a prompt, latest first; an index must have been ready.

        None says that it has been lost since, and is not complete again.
        """
        condition = self._condition(scope, attributes)
        dimensions = self.any_ready()
        found = yield from self._search(
            cast("int", dimensions),
            b"%b @exact:{%b}" % (condition, prompt_token(prompt)),
            b"SORTBY",
            b"updated",
            b"DESC",
            b"LIMIT",
            b"0",
            b"%d" % min(_MOST_RESULTS, limit + _LEAST_NEIGHBOURS),
        )
        if found is None:
            return None
        entries = self._entries(found, scope, attributes)
        entries.sort(key=lambda entry: entry.updated_at, reverse=True)
        folded = prompt.casefold()
        return [entry for entry in entries if entry.prompt.casefold() == folded][:limit]

    def _condition(self, scope: Scope, attributes: Mapping[str, str] | None) -> bytes:
        tags = b"".join(b" @tags:{%b}" % each for each in attribute_tokens(attributes))
        now = index_number(self._clock())
        return b"@scope:{%b}%b @expires:[(%b +inf]" % (scope.token, tags, now)

    def _search(
        self, dimensions: int, query: bytes, *options: bytes
    ) -> Steps[list[tuple[bytes, dict[bytes, bytes]]] | None]:
        """Return keys and fields of what a query finds; None if the index is not complete."""
        command = (
            b"FT.SEARCH",
            self._keys.index(dimensions),
            query,
            *options,
            # Without it, the engine may return after half a second what it has found by then. At
            # this one nobody waits for the answer any more.
            b"TIMEOUT",
            self._milliseconds,
            b"DIALECT",
            b"2",
        )
        reply = yield from self._connection.attempt(*command)
        if isinstance(reply, ResponseError):
            # The index may be gone with all the data, by FLUSHALL.
            self._indexes.pop(dimensions, None)
            if not (yield from self.prepare(dimensions)):
                return None
            reply = yield from self._connection.send(*command)
        return _documents(reply)

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
                (entry.embedding_model_id, entry.context_hash) == scope[1:3]
                and (entry.expires_at is None or entry.expires_at > now)
                and has_attributes(entry.attributes, attributes)
            ):
                entries.append(entry)
        return entries

    def _create(self, name: bytes, dimensions: int) -> Steps[Any]:
        """Make an index, unless another process has just done so, and return what FT.INFO says."""
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
            b"HNSW",
            b"12",
            b"TYPE",
            b"FLOAT32",
            b"DIM",
            b"%d" % dimensions,
            b"DISTANCE_METRIC",
            b"COSINE",
            b"M",
            b"16",
            b"EF_CONSTRUCTION",
            b"200",
            b"EF_RUNTIME",
            b"64",
        )
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
            ):
                return False
            found[_text(attribute.get(b"identifier", b""))] = kind
        return all(found.get(name) == kind for name, kind in wanted.items())

    def _may_be_absent(self, error: ResponseError) -> bool:
        """Return whether an error of FT.INFO may be about the index, not the command."""
        text = str(error).lower()
        return not _is_transient(error) and "unknown command" not in text and "perm" not in text

    def _do_without(self, error: ResponseError) -> bool:
        if _is_transient(error):
            raise storage_error(error)
        if self._demanded:
            reason = str(storage_error(error))
            raise StorageError(f"{reason} (search='query-engine' needs Redis's query engine)")
        if self.mode == "query-engine":
            raise storage_error(error)
        self._decide("plain")
        return False

    def _decide(self, mode: Mode) -> None:
        with self._lock:
            if self.mode is None:
                self.mode = mode
                _logger.info("Redis storage: searches are done in the mode %r", mode)


def _is_indexing(info: Any) -> bool:
    """Return whether FT.INFO says that entries are being indexed which were there before."""
    return bool(float(_text(pairs(info).get(b"indexing", b"0"))))


def _is_transient(error: ResponseError) -> bool:
    return isinstance(error, _TRANSIENT) or str(error).startswith(_TRANSIENT_CODES)


def _documents(reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the keys and fields in a reply of FT.SEARCH, by either protocol.

    Raises:
        StorageError: The engine says that the results are not complete.
    """
    if isinstance(reply, dict):
        facts = pairs(reply)
        if facts.get(b"warning"):
            raise StorageError("Redis: the query engine stopped before the end of a search")
        results = [pairs(result) for result in facts.get(b"results", [])]
        return [(result[b"id"], pairs(result.get(b"extra_attributes"))) for result in results]
    flat = cast("list[Any]", reply)[1:]
    return [(key, pairs(fields)) for key, fields in zip(flat[::2], flat[1::2], strict=True)]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
