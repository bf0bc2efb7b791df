"""The embeddings cache: stores the vectors of contents that have been embedded."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np

from langcache.engine._checks import (
    checked_metadata,
    checked_name,
    checked_numbers,
    checked_text,
    checked_texts,
    checked_ttl,
    kind,
    wants_redis,
)
from langcache.engine._embeddings import (
    EmbeddingRecord,
    EmbeddingsStore,
    MemoryEmbeddings,
)
from langcache.engine._locks import fork_safe_lock
from langcache.engine._steps import Steps, arun, call, run
from langcache.engine._utf8 import encoded
from langcache.engine.embedders.text_facts import DescribesTexts
from langcache.engine.expiry import moment_of_expiry
from langcache.engine.statistics import EmbeddingsCacheStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from langcache.engine.embedders.base import Embedder
    from langcache.engine.embedders.text_facts import TextFacts

__all__ = ["CachedEmbedder", "EmbeddingsCache"]

_ITEM_FIELDS = frozenset(("content", "model_name", "embedding", "metadata"))
_REQUIRED_ITEM_FIELDS = frozenset(("content", "model_name", "embedding"))
_HEX = re.compile("([0-9a-f]{2})*")


class EmbeddingsCache:
    """Stores embeddings by content and model name.

    They are stored in memory or, when a Redis client or URL is given, in Redis: each entry is a
    hash with RedisVL's fields, which Redis expires. Redis needs the extra `redis`, and metadata
    that JSON can express. With Redis, each method may also raise `StorageError`: Redis cannot be
    reached, returns an error, or does not answer within 5 seconds.

    An entry has an id, the SHA-256 of its content and model name, and a key, `name:id`. If the
    entry of another content or model has that id, the new entry gets another one. Methods with
    `_by_key` take keys instead of content and model name. Methods that start with `m` take several
    at once and return results in the same order. Each method has an asynchronous twin, whose name
    starts with `a`. In memory, no method blocks. A cache may be used from several threads and tasks
    at once.

    Embeddings are returned exactly as they were stored.

    Args:
        name: The cache's name, which is the prefix of its keys.
        ttl: The default time to live of an entry, in seconds, 1 or more; None means without expiry.
            With a default, `get` restarts the time to live of the entry it returns.
        redis_client: A synchronous redis-py client, for the synchronous methods. Without one (and
            without a URL), they raise RuntimeError.
        async_redis_client: An asynchronous client, for the twins. Without one (and without a URL),
            they use the synchronous client in a thread. Clients you pass are not closed.
        redis_url: A URL to create the clients for; see `RedisStorage`.
        connection_kwargs: More arguments for the clients created for `redis_url`.
        refresh_ttl_on_hit: Whether `get` restarts the time to live.
        clock: Returns the time in seconds since the epoch; for tests.

    Raises:
        TypeError: The name is not a str, or the TTL is not an int.
        ValueError: The name is empty, the TTL is below 1, or the URL is not a Redis URL; or a URL
            comes with a client, or `connection_kwargs` without a URL.
    """

    def __init__(
        self,
        name: str = "embedcache",
        ttl: int | None = None,
        redis_client: Any = None,
        async_redis_client: Any = None,
        redis_url: str | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        *,
        refresh_ttl_on_hit: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = checked_name(name)
        self._ttl = checked_ttl(ttl)
        self._refresh_ttl_on_hit = refresh_ttl_on_hit
        self._clock = clock
        self._lock = fork_safe_lock()
        self._hits = 0
        self._misses = 0
        redis_arguments = {
            "redis_client": redis_client,
            "async_redis_client": async_redis_client,
            "redis_url": redis_url,
            "connection_kwargs": connection_kwargs,
        }
        self._store: EmbeddingsStore
        if wants_redis(redis_arguments):
            # Imported here because it needs another extra.
            from langcache.engine.storage.redis._embeddings import RedisEmbeddings

            self._store = RedisEmbeddings(
                self._name, async_redis_client, redis_client, redis_url, connection_kwargs, clock
            )
        else:
            self._store = MemoryEmbeddings(clock)

    def __repr__(self) -> str:
        return f"EmbeddingsCache(name={self._name!r})"

    def wrap(self, embedder: Embedder) -> CachedEmbedder:
        """Return an embedder that calls `embedder` only for texts missing from the cache."""
        return CachedEmbedder(embedder, self)

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._name

    @property
    def ttl(self) -> int | None:
        """The default time to live of an entry, in seconds; None means without expiry."""
        return self._ttl

    def set_ttl(self, ttl: int | None = None) -> None:
        """Set the default time to live of the entries stored from now on.

        Args:
            ttl: Seconds, 1 or more; None means without expiry.

        Raises:
            ValueError: It is not an int, or below 1.
        """
        self._ttl = checked_ttl(ttl, ValueError)

    @property
    def statistics(self) -> EmbeddingsCacheStatistics:
        """Counts of hits and misses so far, and the size of the cache. Reads every entry."""
        return self._store.run(self._statistics())

    async def astatistics(self) -> EmbeddingsCacheStatistics:
        """Asynchronous twin of `statistics`."""
        return await self._store.arun(self._statistics())

    def _statistics(self) -> Steps[EmbeddingsCacheStatistics]:
        entries, size = yield from self._store.totals()
        with self._lock:
            return EmbeddingsCacheStatistics(
                hits=self._hits, misses=self._misses, entries=entries, bytes=size
            )

    # Several entries at once; the methods for one entry call these.

    def mget(self, contents: Iterable[bytes | str], model_name: str) -> list[dict[str, Any] | None]:
        """Return the entries of contents.

        Args:
            contents: The contents that were embedded.
            model_name: The model's name.

        Returns:
            For each content, in order: a dict of `entry_id`, `content`, `model_name`, `embedding`
            (a list of float), `inserted_at` (seconds since the epoch) and, if the entry has any,
            `metadata`; or None when there is no entry.

        Raises:
            TypeError: A content is neither a str nor bytes, or the model name is not a str.
        """
        return self._store.run(self._mget(self._asked(contents, model_name)))

    def _mget(self, asked: list[_Asked]) -> Steps[list[dict[str, Any] | None]]:
        ttl = self._ttl if self._refresh_ttl_on_hit else None
        plain = [each.keys[0] for each in asked if len(each.keys) == 1]
        found = dict(zip(plain, (yield from self._store.read(plain, ttl)), strict=True))
        found.update((yield from self._read_ambiguous(asked)))
        ambiguous = [key for each in asked if len(each.keys) > 1 and (key := each.key_in(found))]
        if ttl is not None and ambiguous:
            yield from self._store.are_there(ambiguous, ttl)
        keys = [each.key_in(found) for each in asked]
        return self._counted([found[key] if key else None for key in keys])

    def _read_ambiguous(self, asked: list[_Asked]) -> Steps[_Found]:
        """Return the records under the keys of what has more than one key. TTLs do not change."""
        keys = [key for each in asked if len(each.keys) > 1 for key in each.keys]
        records: list[EmbeddingRecord | None] = []
        if keys:
            records = yield from self._store.read(keys, None)
        return dict(zip(keys, records, strict=True))

    def mget_by_keys(self, keys: list[str]) -> list[dict[str, Any] | None]:
        """Return the entries of keys, each as `mget` does, or None.

        Raises:
            TypeError: The keys are not a list of str.
        """
        return self._store.run(self._mget_by_keys(keys))

    def _mget_by_keys(self, keys: list[str]) -> Steps[list[dict[str, Any] | None]]:
        wanted = checked_texts("keys", keys)
        found = yield from self._store.read(wanted, self._ttl if self._refresh_ttl_on_hit else None)
        return self._counted(found)

    def _counted(self, found: list[EmbeddingRecord | None]) -> list[dict[str, Any] | None]:
        """Count hits and misses, and return the entries."""
        hits = sum(record is not None for record in found)
        with self._lock:
            self._hits += hits
            self._misses += len(found) - hits
        return [record and record.entry() for record in found]

    def mset(self, items: list[dict[str, Any]], ttl: int | None = None) -> list[str]:
        """Store embeddings. An entry with the same content and model name is replaced.

        All items are checked before the first is stored.

        Args:
            items: Dicts of `content` (str or bytes), `model_name`, `embedding` (a sequence of
                finite numbers) and optionally `metadata` (a dict, or None).
            ttl: The time to live in seconds, 1 or more; None for the cache's default.

        Returns:
            The keys, in the order of the items.

        Raises:
            TypeError: The items are not a list of dicts, or a value has the wrong type.
            ValueError: An item lacks a field or has an unknown one, an embedding is not a sequence
                of finite numbers, or the TTL is below 1.
        """
        return self._store.run(self._mset(items, ttl))

    def _mset(self, items: list[dict[str, Any]], ttl: int | None) -> Steps[list[str]]:
        given = cast("object", items)
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"items: must be a list of dicts, got {kind(given)}")
        lifetime = checked_ttl(ttl) or self._ttl
        records = [
            _checked_item(f"items[{position}]", item)
            for position, item in enumerate(cast("Sequence[object]", given))
        ]
        now = self._clock()
        for record in records:
            record.inserted_at = now
            record.expires_at = moment_of_expiry(now, lifetime)
        keys = yield from self._free_keys(records)
        yield from self._store.write(dict(zip(keys, records, strict=True)))
        return keys

    def _free_keys(self, records: list[EmbeddingRecord]) -> Steps[list[str]]:
        """Return a key for each record, none of which has the entry of another content.

        Sets the id of a record whose first id is taken.
        """
        asked = [self._asked_for(record.content, record.model_name) for record in records]
        found = yield from self._read_ambiguous(asked)
        keys: list[str] = []
        for record, each in zip(records, asked, strict=True):
            key = each.key_in(found) or next(
                (key for key in each.keys if found.get(key) is None), each.keys[-1]
            )
            found[key] = record
            record.entry_id = key[len(self._key("")) :]
            keys.append(key)
        return keys

    def mexists(self, contents: Iterable[bytes | str], model_name: str) -> list[bool]:
        """Return for each content, in order, whether it has an entry. TTLs do not change.

        Raises:
            TypeError: As for `mget`.
        """
        return self._store.run(self._mexists(self._asked(contents, model_name)))

    def _mexists(self, asked: list[_Asked]) -> Steps[list[bool]]:
        plain = [each.keys[0] for each in asked if len(each.keys) == 1]
        there = dict(zip(plain, (yield from self._store.are_there(plain)), strict=True))
        found = yield from self._read_ambiguous(asked)
        return [
            there[each.keys[0]] if len(each.keys) == 1 else each.key_in(found) is not None
            for each in asked
        ]

    def mexists_by_keys(self, keys: list[str]) -> list[bool]:
        """Return for each key, in order, whether it has an entry. TTLs do not change.

        Raises:
            TypeError: The keys are not a list of str.
        """
        return self._store.run(self._mexists_by_keys(keys))

    def _mexists_by_keys(self, keys: list[str]) -> Steps[list[bool]]:
        return (yield from self._store.are_there(checked_texts("keys", keys)))

    def mdrop(self, contents: Iterable[bytes | str], model_name: str) -> None:
        """Remove the entries of contents. Contents without an entry are ignored.

        Raises:
            TypeError: As for `mget`.
        """
        self._store.run(self._mdrop(self._asked(contents, model_name)))

    def _mdrop(self, asked: list[_Asked]) -> Steps[None]:
        found = yield from self._read_ambiguous(asked)
        keys = [each.keys[0] if len(each.keys) == 1 else each.key_in(found) for each in asked]
        yield from self._store.remove([key for key in keys if key])

    def mdrop_by_keys(self, keys: list[str]) -> None:
        """Remove the entries of keys. Keys without an entry are ignored.

        Raises:
            TypeError: The keys are not a list of str.
        """
        self._store.run(self._mdrop_by_keys(keys))

    def _mdrop_by_keys(self, keys: list[str]) -> Steps[None]:
        yield from self._store.remove(checked_texts("keys", keys))

    # One entry

    def get(self, content: bytes | str, model_name: str) -> dict[str, Any] | None:
        """Return the entry of a content, as `mget` does, or None."""
        return self.mget([content], model_name)[0]

    def get_by_key(self, key: str) -> dict[str, Any] | None:
        """Return the entry of a key, as `mget` does, or None."""
        return self.mget_by_keys([key])[0]

    def set(
        self,
        content: bytes | str,
        model_name: str,
        embedding: Sequence[float] | NDArray[Any],
        metadata: dict[str, Any] | None = None,
        ttl: int | None = None,
    ) -> str:
        """Store an embedding and return its key; see `mset`."""
        item = _item(content, model_name, embedding, metadata)
        return self.mset([item], ttl)[0]

    def exists(self, content: bytes | str, model_name: str) -> bool:
        """Return whether a content has an entry. Its TTL does not change."""
        return self.mexists([content], model_name)[0]

    def exists_by_key(self, key: str) -> bool:
        """Return whether a key has an entry. Its TTL does not change."""
        return self.mexists_by_keys([key])[0]

    def drop(self, content: bytes | str, model_name: str) -> None:
        """Remove the entry of a content, if it has one."""
        self.mdrop([content], model_name)

    def drop_by_key(self, key: str) -> None:
        """Remove the entry of a key, if it has one."""
        self.mdrop_by_keys([key])

    def expire(self, key: str, ttl: int | None = None) -> None:
        """Set an entry's time to live, counted from now.

        A key without an entry is ignored.

        Args:
            key: The entry's key.
            ttl: Seconds, 1 or more. None for the cache's default; without a default, the entry
                does not change.

        Raises:
            ValueError: The TTL is below 1.
            TypeError: The TTL is not an int, or the key is not a str.
        """
        self._store.run(self._expire(key, ttl))

    def _expire(self, key: str, ttl: int | None) -> Steps[None]:
        checked_text("key", key)
        lifetime = checked_ttl(ttl) or self._ttl
        if lifetime is not None:
            yield from self._store.are_there([key], lifetime)

    def clear(self) -> None:
        """Remove all entries."""
        self._store.run(self._store.clear())

    def disconnect(self) -> None:
        """Close the Redis connections created for a URL. Entries stay, also those in memory.

        The cache can be used again, which opens new ones.
        """
        self._store.run(self._store.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()

    # Asynchronous twins

    async def amget(
        self, contents: Iterable[bytes | str], model_name: str
    ) -> list[dict[str, Any] | None]:
        """Asynchronous twin of `mget`."""
        return await self._store.arun(self._mget(self._asked(contents, model_name)))

    async def amget_by_keys(self, keys: list[str]) -> list[dict[str, Any] | None]:
        """Asynchronous twin of `mget_by_keys`."""
        return await self._store.arun(self._mget_by_keys(keys))

    async def amset(self, items: list[dict[str, Any]], ttl: int | None = None) -> list[str]:
        """Asynchronous twin of `mset`."""
        return await self._store.arun(self._mset(items, ttl))

    async def amexists(self, contents: Iterable[bytes | str], model_name: str) -> list[bool]:
        """Asynchronous twin of `mexists`."""
        return await self._store.arun(self._mexists(self._asked(contents, model_name)))

    async def amexists_by_keys(self, keys: list[str]) -> list[bool]:
        """Asynchronous twin of `mexists_by_keys`."""
        return await self._store.arun(self._mexists_by_keys(keys))

    async def amdrop(self, contents: Iterable[bytes | str], model_name: str) -> None:
        """Asynchronous twin of `mdrop`."""
        await self._store.arun(self._mdrop(self._asked(contents, model_name)))

    async def amdrop_by_keys(self, keys: list[str]) -> None:
        """Asynchronous twin of `mdrop_by_keys`."""
        await self._store.arun(self._mdrop_by_keys(keys))

    async def aget(self, content: bytes | str, model_name: str) -> dict[str, Any] | None:
        """Asynchronous twin of `get`."""
        return (await self.amget([content], model_name))[0]

    async def aget_by_key(self, key: str) -> dict[str, Any] | None:
        """Asynchronous twin of `get_by_key`."""
        return (await self.amget_by_keys([key]))[0]

    async def aset(
        self,
        content: bytes | str,
        model_name: str,
        embedding: Sequence[float] | NDArray[Any],
        metadata: dict[str, Any] | None = None,
        ttl: int | None = None,
    ) -> str:
        """Asynchronous twin of `set`."""
        item = _item(content, model_name, embedding, metadata)
        return (await self.amset([item], ttl))[0]

    async def aexists(self, content: bytes | str, model_name: str) -> bool:
        """Asynchronous twin of `exists`."""
        return (await self.amexists([content], model_name))[0]

    async def aexists_by_key(self, key: str) -> bool:
        """Asynchronous twin of `exists_by_key`."""
        return (await self.amexists_by_keys([key]))[0]

    async def adrop(self, content: bytes | str, model_name: str) -> None:
        """Asynchronous twin of `drop`."""
        await self.amdrop([content], model_name)

    async def adrop_by_key(self, key: str) -> None:
        """Asynchronous twin of `drop_by_key`."""
        await self.amdrop_by_keys([key])

    async def aexpire(self, key: str, ttl: int | None = None) -> None:
        """Asynchronous twin of `expire`."""
        await self._store.arun(self._expire(key, ttl))

    async def aclear(self) -> None:
        """Asynchronous twin of `clear`."""
        await self._store.arun(self._store.clear())

    async def adisconnect(self) -> None:
        """Asynchronous twin of `disconnect`."""
        await self._store.arun(self._store.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.adisconnect()

    def _key(self, entry_id: str) -> str:
        return f"{self._name}:{entry_id}"

    def _asked(self, contents: Iterable[bytes | str], model_name: str) -> list[_Asked]:
        checked_text("model_name", model_name)
        if isinstance(contents, (str, bytes)):
            raise TypeError(f"contents: must be an iterable of str or bytes, got {kind(contents)}")
        return [
            self._asked_for(_checked_content(f"contents[{position}]", content), model_name)
            for position, content in enumerate(contents)
        ]

    def _asked_for(self, content: bytes | str, model_name: str) -> _Asked:
        ids = _entry_ids(content, model_name)
        return _Asked(content, model_name, [self._key(entry_id) for entry_id in ids])


_Found: TypeAlias = "dict[str, EmbeddingRecord | None]"
"""Records by key."""


class _Asked(NamedTuple):
    """A content and a model name that an entry is asked for.

    Attributes:
        content: The content.
        model_name: The model's name.
        keys: The keys that the entry may have.
    """

    content: bytes | str
    model_name: str
    keys: list[str]

    def key_in(self, found: _Found) -> str | None:
        """Return the key under which the entry was found, or None."""
        for key in self.keys:
            record = found.get(key)
            if record and (record.content, record.model_name) == (self.content, self.model_name):
                return key
        return None


def _item(
    content: bytes | str,
    model_name: str,
    embedding: Sequence[float] | NDArray[Any],
    metadata: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "content": content,
        "model_name": model_name,
        "embedding": embedding,
        "metadata": metadata,
    }


def _checked_item(where: str, item: object) -> EmbeddingRecord:
    if not isinstance(item, dict):
        raise TypeError(f"{where}: must be a dict, got {kind(item)}")
    fields = cast("dict[str, Any]", item)
    missing = _REQUIRED_ITEM_FIELDS - fields.keys()
    if missing:
        raise ValueError(f"{where}.{min(missing)}: is required")
    unknown = len(fields.keys() - _ITEM_FIELDS)
    if unknown:
        raise ValueError(f"{where}: must not have unknown fields, got {unknown}")
    content = _checked_content(f"{where}.content", fields["content"])
    model_name = checked_text(f"{where}.model_name", fields["model_name"])
    metadata = fields.get("metadata")
    return EmbeddingRecord(
        entry_id="",
        content=content,
        model_name=model_name,
        embedding=checked_numbers(f"{where}.embedding", fields["embedding"]),
        metadata=None if metadata is None else copy.deepcopy(checked_metadata(metadata)),
    )


def _checked_content(where: str, content: object) -> bytes | str:
    if not isinstance(content, (str, bytes)):
        raise TypeError(f"{where}: must be a str or bytes, got {kind(content)}")
    return content


def _entry_ids(content: bytes | str, model_name: str) -> list[str]:
    """Return the ids that an entry may have, the preferred one first.

    The first is the SHA-256 of content and model name that RedisVL uses. Other contents may have
    the same one: "a" of the model "b:c" and "a:b" of "c", or bytes and their hexadecimal text. If
    that is possible, there is a second one that no other content has.
    """
    text = content.hex() if isinstance(content, bytes) else content
    first = hashlib.sha256(encoded(f"{text}:{model_name}")).hexdigest()
    if isinstance(content, str) and ":" not in text + model_name and not _HEX.fullmatch(text):
        return [first]
    # No text begins with the byte FF, so no first id is equal to this one.
    parts = json.dumps([type(content).__name__, text, model_name]).encode()
    return [first, hashlib.sha256(b"\xff" + parts).hexdigest()]


class CachedEmbedder:
    """An embedder with an `EmbeddingsCache`: embeds only texts that are not in the cache.

    Args:
        embedder: Embeds the texts that are not in the cache, in one call.
        cache: Stores the vectors by text and `model_id`. Several embedders may share it; embedders
            with the same `model_id` must return the same vectors.
    """

    def __init__(self, embedder: Embedder, cache: EmbeddingsCache) -> None:
        self._embedder = embedder
        self._cache = cache
        if isinstance(embedder, DescribesTexts):
            # A wrapper must not hide what its embedder can tell, nor claim more.
            self.describe: Callable[[str], TextFacts] = embedder.describe

    @property
    def model_id(self) -> str:
        """Name of the embedder's model."""
        return self._embedder.model_id

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return self._embedder.dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; see `Embedder.embed`."""
        return run(self._embed(texts))

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Asynchronous twin of `embed`."""
        return await arun(self._embed(texts))

    def _embed(self, texts: Sequence[str]) -> Steps[NDArray[np.float32]]:
        if isinstance(texts, str):
            raise TypeError("texts: must be a sequence of str, got a single str")
        distinct = [checked_text("texts", text) for text in dict.fromkeys(texts)]
        if not distinct:
            return np.empty((0, self.dimensions), np.float32)
        cache, model_id = self._cache, self.model_id
        found = yield from call(cache.mget, cache.amget, distinct, model_id)
        vectors = {
            text: np.array(entry["embedding"], np.float32)
            for text, entry in zip(distinct, found, strict=True)
            if entry is not None
        }
        missing = [text for text in distinct if text not in vectors]
        if missing:
            embedder = self._embedder
            embedded = yield from call(embedder.embed, embedder.aembed, missing)
            vectors.update(zip(missing, embedded, strict=True))
            items = [
                {"content": text, "model_name": model_id, "embedding": vectors[text]}
                for text in missing
            ]
            yield from call(cache.mset, cache.amset, items)
        return np.stack([vectors[text] for text in texts])
