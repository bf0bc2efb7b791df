"""Embeddings in Redis, for `EmbeddingsCache`: a hash for each, with RedisVL's keys and fields."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from redis.exceptions import ResponseError

from langcache.engine._embeddings import EmbeddingRecord
from langcache.engine._steps import Steps, call
from langcache.engine._utf8 import decoded, encoded
from langcache.engine.expiry import moment_of_expiry, seconds_left
from langcache.engine.storage._metadata import metadata_json
from langcache.engine.storage.redis._connection import Connection, pairs, storage_error
from langcache.engine.storage.redis._keys import literal
from langcache.engine.storage.redis._scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

_T = TypeVar("_T")

_TIMEOUT = 5.0
_LONGEST_TTL_MILLIS = 10**14
_ID = re.compile(rb"[0-9a-f]{64}")

_logger = logging.getLogger("langcache.engine")

_PUT = script("embeddings_common", "embeddings_put").text
_TOUCH = script("embeddings_common", "embeddings_touch").text
_GET = script("embeddings_common", "embeddings_get").text


class RedisEmbeddings:
    """Records in Redis; see `EmbeddingsStore` for the methods.

    Args:
        name: The cache's name, which keys begin with.
        client: An asynchronous client, or None.
        sync_client: A synchronous client, or None.
        url: What to make clients of that are not given, or None.
        connection_kwargs: Arguments for the clients that are made.
        clock: Returns the present moment, in seconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        client: Any,
        sync_client: Any,
        url: str | None,
        connection_kwargs: Mapping[str, Any] | None,
        clock: Callable[[], float],
    ) -> None:
        self._prefix = encoded(name) + b":"
        self._clock = clock
        self._expires_by_itself = clock is time.time
        self._connect = partial(Connection, client, sync_client, url, connection_kwargs, _TIMEOUT)
        self._connection = self._connect()

    def run(self, steps: Steps[_T]) -> _T:
        """Carry out an operation in the caller's thread."""
        return self._connection.run(steps)

    async def arun(self, steps: Steps[_T]) -> _T:
        """Carry out an operation asynchronously."""
        return await self._connection.arun(steps)

    def read(self, keys: list[str], ttl: int | None) -> Steps[list[EmbeddingRecord | None]]:
        """See `EmbeddingsStore`."""
        replies = yield from self._run_each(_GET, keys, self._times(ttl), [])
        return [self._record(reply) for reply in replies]

    def write(self, records: Mapping[str, EmbeddingRecord]) -> Steps[None]:
        """See `EmbeddingsStore`."""
        now = self._clock()
        commands: list[tuple[bytes, ...]] = []
        for key, record in records.items():
            ttl = seconds_left(record.expires_at, now)
            fields = [part for item in _fields(record).items() for part in item]
            commands.append((b"EVAL", _PUT, b"1", encoded(key), *self._times(ttl), *fields))
        for reply in (yield from self._connection.attempt_all(commands)):
            if isinstance(reply, ResponseError):
                raise storage_error(reply)

    def are_there(self, keys: list[str], ttl: int | None = None) -> Steps[list[bool]]:
        """See `EmbeddingsStore`."""
        replies = yield from self._run_each(_TOUCH, keys, self._times(ttl), 0)
        return [bool(reply) and not isinstance(reply, ResponseError) for reply in replies]

    def remove(self, keys: list[str]) -> Steps[None]:
        """See `EmbeddingsStore`."""
        places = [place for place in map(encoded, keys) if self._is_ours(place)]
        yield from self._unlink(places)

    def clear(self) -> Steps[None]:
        """See `EmbeddingsStore`."""
        scan = self._connection.scan(literal(self._prefix) + b"*")
        while batch := (yield from scan.batch()):
            yield from self._unlink([place for place in batch if self._is_ours(place)])

    def totals(self) -> Steps[tuple[int, int]]:
        """See `EmbeddingsStore`."""
        sizes: dict[bytes, int] = {}
        scan = self._connection.scan(literal(self._prefix) + b"*")
        while batch := (yield from scan.batch()):
            keys = [decoded(place) for place in batch if self._is_ours(place)]
            for key, record in zip(keys, (yield from self.read(keys, None)), strict=True):
                if record is not None:
                    sizes[encoded(key)] = record.size()
        return len(sizes), sum(sizes.values())

    def close(self) -> Steps[None]:
        """Close the clients that were created here. The next operation creates new ones."""
        connection, self._connection = self._connection, self._connect()
        yield from call(connection.close, connection.aclose)

    def _is_ours(self, place: bytes) -> bool:
        prefix = self._prefix
        return place.startswith(prefix) and bool(_ID.fullmatch(place, len(prefix)))

    def _times(self, ttl: float | None) -> tuple[bytes, bytes, bytes]:
        now = repr(float(self._clock())).encode()
        if ttl is None:
            return b"", b"", now
        if self._expires_by_itself:
            return b"%d" % max(1, math.ceil(min(1000 * ttl, _LONGEST_TTL_MILLIS))), b"", now
        return b"", repr(float(moment_of_expiry(self._clock(), ttl))).encode(), now

    def _run_each(
        self, script: bytes, keys: list[str], arguments: tuple[bytes, ...], absent: Any
    ) -> Steps[list[Any]]:
        """Run a script for each key that may be one of this cache."""
        places = [encoded(key) for key in keys]
        ours = list(dict.fromkeys(place for place in places if self._is_ours(place)))
        replies = yield from self._connection.attempt_all(
            [(b"EVAL", script, b"1", place, *arguments) for place in ours]
        )
        found = dict(zip(ours, replies, strict=True))
        for reply in replies:
            if isinstance(reply, ResponseError) and "WRONGTYPE" not in str(reply):
                raise storage_error(reply)
        return [found.get(place, absent) for place in places]

    def _unlink(self, places: list[bytes]) -> Steps[None]:
        commands = [(b"UNLINK", place) for place in dict.fromkeys(places)]
        for reply in (yield from self._connection.attempt_all(commands)):
            if isinstance(reply, ResponseError):
                raise storage_error(reply)

    def _record(self, reply: Any) -> EmbeddingRecord | None:
        if not isinstance(reply, ResponseError) and not reply:
            return None
        try:
            return _record(pairs(reply))
        except (KeyError, ValueError, TypeError):
            _logger.warning(
                "skipped a key of an embeddings cache in Redis: it holds no entry, or a damaged one"
            )
            return None


def _fields(record: EmbeddingRecord) -> dict[bytes, bytes]:
    content = record.content
    fields = {
        b"entry_id": record.entry_id.encode(),
        b"content": content.hex().encode() if isinstance(content, bytes) else encoded(content),
        b"model_name": encoded(record.model_name),
        b"embedding": json.dumps(record.embedding.astype(np.float64).tolist()).encode(),
        b"embedding_type": str(record.embedding.dtype).encode(),
        b"inserted_at": repr(float(record.inserted_at)).encode(),
    }
    if isinstance(content, bytes):
        fields[b"content_type"] = b"bytes"
    if record.metadata is not None:
        fields[b"metadata"] = metadata_json(record.metadata)
    return fields


def _record(fields: dict[bytes, bytes]) -> EmbeddingRecord:
    content = decoded(fields[b"content"])
    metadata = fields.get(b"metadata")
    # RedisVL does not say the type, but every number is a float64.
    precision = fields.get(b"embedding_type")
    dtype = precision.decode() if precision in (b"float16", b"float32") else "float64"
    embedding: NDArray[np.floating[Any]] = np.array(json.loads(fields[b"embedding"]), dtype)
    if embedding.ndim != 1 or not embedding.size:
        raise ValueError
    return EmbeddingRecord(
        entry_id=decoded(fields[b"entry_id"]),
        content=bytes.fromhex(content) if fields.get(b"content_type") == b"bytes" else content,
        model_name=decoded(fields[b"model_name"]),
        embedding=embedding,
        metadata=json.loads(metadata) if metadata else None,
        inserted_at=float(fields[b"inserted_at"]),
    )
