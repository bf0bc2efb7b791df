"""The state of a server: seed, reset, dump and load it."""

from __future__ import annotations

import base64
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

import numpy as np
from typing_extensions import NotRequired

from langcache.engine._steps import run
from langcache.engine.expiry import moment_of_expiry
from langcache.engine.feedback import Feedback
from langcache.engine.storage import CacheEntry
from langcache.engine.storage.base import check_embedding
from langcache_mockserver.domain.caches import entry_id_of
from langcache_mockserver.domain.registry import COLLECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.domain.lookups import Lookups
    from langcache_mockserver.domain.registry import Registry

FORMAT = 1
"""The version of the format of dumps."""

_BATCH = 256


class SeedEntry(TypedDict):
    """An entry to seed.

    Attributes:
        cacheId: The cache; required here or for all entries.
        prompt: The prompt.
        response: The response.
        attributes: Names and values to filter by.
        ttlMillis: How long the entry lives, in milliseconds; by default the TTL that its cache
            declares, else without limit.
    """

    cacheId: NotRequired[str]
    prompt: str
    response: str
    attributes: NotRequired[Mapping[str, str]]
    ttlMillis: NotRequired[float]


class DumpedEntry(TypedDict):
    """An entry in a dump.

    Attributes:
        id: Its id.
        prompt: The prompt.
        response: The response.
        attributes: Names and values.
        createdAt: When it was first stored, in seconds since the epoch.
        updatedAt: When it was last stored, in seconds since the epoch.
        expiresAt: When it expires, in seconds since the epoch; None for never.
        embeddingModel: The embedding model.
        embedding: The vector: its float32 numbers, little-endian, as base64.
    """

    id: str
    prompt: str
    response: str
    attributes: dict[str, str]
    createdAt: float
    updatedAt: float
    expiresAt: float | None
    embeddingModel: NotRequired[str]
    embedding: NotRequired[str]


class DumpedCache(TypedDict):
    """The entries of one cache, first stored first."""

    cacheId: str
    entries: list[DumpedEntry]


class DumpedClock(TypedDict):
    """The clock: its time in seconds since the epoch, and whether it is frozen."""

    now: float
    frozen: bool


class Dump(TypedDict):
    """The state of a server.

    Attributes:
        format: The version of the format: 1.
        clock: The clock; None if it cannot be controlled.
        caches: The entries.
        records: The caches and keys of the control plane, by collection and name. Of a key, only
            the SHA-256.
    """

    format: Literal[1]
    clock: NotRequired[DumpedClock | None]
    caches: list[DumpedCache]
    records: NotRequired[dict[str, dict[str, str]]]


class State:
    """The entries and records of a server. All methods block. Thread-safe.

    Args:
        embedder: Embeds prompts.
        storage: Keeps the entries and records.
        registry: The declared caches and keys.
        clock: Returns the time in seconds since the epoch.
        lookups: The latest lookups, or None if none are kept.
    """

    def __init__(
        self,
        embedder: Embedder,
        storage: StorageBackend,
        registry: Registry,
        clock: Callable[[], float],
        lookups: Lookups | None = None,
    ) -> None:
        self._embedder = embedder
        self._storage = storage
        self._registry = registry
        self._clock = clock
        self._lookups = lookups

    def seed(self, entries: Iterable[SeedEntry], cache_id: str | None = None) -> list[str]:
        """Store entries. Their prompts are embedded in batches.

        Args:
            entries: The entries.
            cache_id: The cache of entries without `cacheId`.

        Returns:
            Their ids, in the order of the entries.

        Raises:
            ValueError: An entry has no cache. Nothing has changed then.
        """
        seeds = list(entries)
        for index, seed in enumerate(seeds):
            if "cacheId" not in seed and cache_id is None:
                raise ValueError(f"entries[{index}].cacheId: is required")
        return self._store(self._seeded(seed, cache_id or "") for seed in seeds)

    def reset(self, cache_id: str | None = None) -> None:
        """Remove the entries of one cache; or all entries, and the records of the control plane."""
        if cache_id is not None:
            self._storage.invalidate_namespace(cache_id)
            self._forget_reports([cache_id])
            self._forget_lookups(cache_id)
            return
        known = self._known_caches()
        self._storage.clear()
        self._forget_reports(known)
        self._forget_lookups()
        self._set_records({})

    def dump(self, cache_ids: Iterable[str] = (), *, vectors: bool = True) -> Dump:
        """Return the entries and records.

        Args:
            cache_ids: Caches to include besides the declared ones and those that the storage lists.
                A storage that several processes share lists none.
            vectors: Whether to include the vectors. Without them, `load` embeds the prompts again.
        """
        caches: list[DumpedCache] = []
        for cache_id in sorted(self._known_caches().union(cache_ids)):
            entries = [_dumped(entry, vectors=vectors) for entry in self._storage.entries(cache_id)]
            caches.append({"cacheId": cache_id, "entries": entries})
        records = {name: self._storage.records(name) for name in COLLECTIONS}
        return {"format": FORMAT, "caches": caches, "records": records}

    def load(self, dump: Dump, set_clock: Callable[[], object]) -> int:
        """Replace all entries and records by those of a dump, which has no reports on hits.

        It takes the vectors of the dump if they are of the server's embedding model, and embeds the
        other prompts.

        Args:
            dump: The dump.
            set_clock: Sets the clock. Called after the check of the dump, before entries are
                stored.

        Returns:
            The number of entries in the dump.

        Raises:
            ValueError: A vector or a record is invalid. Nothing has changed then.
        """
        drafts = [
            self._loaded(cache["cacheId"], entry)
            for cache in dump["caches"]
            for entry in cache["entries"]
        ]
        known = {collection: self._storage.records(collection) for collection in COLLECTIONS}
        try:
            self._set_records(dump.get("records", {}))
        except (AttributeError, LookupError, TypeError, ValueError):
            self._set_records(known)
            raise ValueError("records: must be those of a dump") from None
        set_clock()
        caches = self._known_caches()
        self._storage.clear()
        self._forget_reports(caches)
        self._forget_lookups()
        return len(self._store(drafts))

    def _known_caches(self) -> set[str]:
        """Return the caches that are declared, and those that the storage tells to have entries."""
        return {cache.id for cache in self._registry.caches()}.union(self._storage.namespaces())

    def _forget_reports(self, cache_ids: Iterable[str]) -> None:
        for cache_id in cache_ids:
            run(Feedback(self._storage, cache_id, self._clock).forget())

    def _seeded(self, seed: SeedEntry, cache_id: str) -> _Draft:
        cache_id = seed.get("cacheId", cache_id)
        attributes = seed.get("attributes", {})
        now = self._clock()
        cache = self._registry.cache(cache_id)
        ttl_millis = seed.get("ttlMillis", cache.default_ttl_millis if cache else -1)
        return _Draft(
            cache_id=cache_id,
            id=entry_id_of(seed["prompt"], attributes),
            prompt=seed["prompt"],
            response=seed["response"],
            attributes=attributes,
            created_at=now,
            updated_at=now,
            expires_at=moment_of_expiry(now, ttl_millis / 1000) if ttl_millis > 0 else None,
            embedding=None,
        )

    def _loaded(self, cache_id: str, entry: DumpedEntry) -> _Draft:
        embedding = None
        if entry.get("embeddingModel") == self._embedder.model_id and "embedding" in entry:
            try:
                embedding = np.frombuffer(base64.b64decode(entry["embedding"]), "<f4")
            except ValueError:
                raise ValueError("embedding: must be float32 numbers as base64") from None
            embedding = embedding.astype(np.float32)
            check_embedding(embedding, self._embedder.dimensions)
        return _Draft(
            cache_id=cache_id,
            id=entry["id"],
            prompt=entry["prompt"],
            response=entry["response"],
            attributes=entry["attributes"],
            created_at=entry["createdAt"],
            updated_at=entry["updatedAt"],
            expires_at=entry["expiresAt"],
            embedding=embedding,
        )

    def _store(self, drafts: Iterable[_Draft]) -> list[str]:
        """Store entries, embed those without a vector, and return their ids."""
        ids: list[str] = []
        waiting = iter(drafts)
        while batch := list(islice(waiting, _BATCH)):
            prompts = [draft.prompt for draft in batch if draft.embedding is None]
            made = iter(self._embedder.embed(prompts))
            for draft in batch:
                embedding = next(made) if draft.embedding is None else draft.embedding
                self._storage.store(
                    CacheEntry(
                        id=draft.id,
                        prompt=draft.prompt,
                        response=draft.response,
                        embedding=embedding,
                        namespace=draft.cache_id,
                        embedding_model_id=self._embedder.model_id,
                        attributes=draft.attributes,
                        created_at=draft.created_at,
                        updated_at=draft.updated_at,
                        expires_at=draft.expires_at,
                    )
                )
                ids.append(draft.id)
        return ids

    def _forget_lookups(self, cache_id: str | None = None) -> None:
        if self._lookups is not None:
            self._lookups.forget(cache_id)

    def _set_records(self, records: Mapping[str, Mapping[str, str]]) -> None:
        """Make these the records of the control plane, and no others."""
        for collection in COLLECTIONS:
            wanted = records.get(collection, {})
            for name in self._storage.records(collection).keys() - wanted.keys():
                self._storage.set_record(collection, name, None)
            for name, text in wanted.items():
                self._storage.set_record(collection, name, text)
        self._registry.refresh()


class _Draft(NamedTuple):
    """An entry that may have no vector yet."""

    cache_id: str
    id: str
    prompt: str
    response: str
    attributes: Mapping[str, str]
    created_at: float
    updated_at: float
    expires_at: float | None
    embedding: NDArray[np.float32] | None


def _dumped(entry: CacheEntry, *, vectors: bool) -> DumpedEntry:
    dumped: DumpedEntry = {
        "id": entry.id,
        "prompt": entry.prompt,
        "response": entry.response,
        "attributes": dict(entry.attributes),
        "createdAt": entry.created_at,
        "updatedAt": entry.updated_at,
        "expiresAt": entry.expires_at,
    }
    if vectors:
        dumped["embeddingModel"] = entry.embedding_model_id
        dumped["embedding"] = base64.b64encode(entry.embedding.astype("<f4").tobytes()).decode()
    return dumped
