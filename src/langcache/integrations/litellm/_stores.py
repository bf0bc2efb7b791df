"""Where answers are kept: the engine in this process, or a LangCache service."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from langcache.engine import CacheEntry, StorageBackend
from langcache.engine.embedders.vector_memory import VectorMemory
from langcache.engine.storage.create import create_storage, is_redis_url, is_storage_name
from langcache.engine.storage.entry import Scope

if TYPE_CHECKING:
    from langcache import LangCache
    from langcache.engine import Embedder
    from langcache.integrations.litellm._redis import RedisAddress
    from langcache.integrations.litellm._requests import Request

# An entry that is found by its id alone needs no embedding of its own, but it has to have one.
_NO_MODEL = "none"
_NO_EMBEDDING = np.ones(1, np.float32)
_NO_EMBEDDING.flags.writeable = False
_REMEMBERED_VECTORS = 256
_ATTRIBUTE = "scope"
# Stands for the prompt of an entry that is found by its attribute alone.
_NO_PROMPT = "exact"
_MOST_MILLIS = 31_556_952_000


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that was found.

    Attributes:
        text: The answer, as it was stored.
        similarity: (1 + cosine) / 2 of the two questions, in [0, 1]; 1 for the same request.
        exact: Whether the whole request is the same.
    """

    text: str = field(repr=False)
    similarity: float
    exact: bool


class Store(ABC):
    """Keeps the answers of requests."""

    @abstractmethod
    def find(self, request: Request, threshold: float) -> Found | None:
        """Return the answer to the request, or to one like it."""

    def find_at_once(self, request: Request) -> Found | None:
        """Return the answer to the very same request, if to look for it takes microseconds."""
        del request
        return None

    @abstractmethod
    def keep(self, request: Request, text: str, ttl: float | None) -> None:
        """Store an answer, for `ttl` seconds or, if that is None, for good."""

    @abstractmethod
    def ping(self) -> None:
        """Return if the storage answers; raise if not."""


class EngineStore(Store):
    """Answers in a storage backend of the engine.

    Args:
        storage: The storage backend.
        embedder: Makes the vectors of questions.
        namespace: The storage's namespace.
    """

    def __init__(self, storage: StorageBackend, embedder: Embedder, namespace: str) -> None:
        self._storage = storage
        # A miss embeds the question; storing its answer needs the same vector soon after.
        self._embedder = VectorMemory(embedder, _REMEMBERED_VECTORS)
        self._namespace = namespace

    def find_at_once(self, request: Request) -> Found | None:
        scope = Scope(self._namespace, self._embedder.model_id, request.scope)
        return self._same(request) if self._storage.is_quick(scope) else None

    def _same(self, request: Request) -> Found | None:
        same = self._storage.get(self._namespace, request.id)
        return Found(same.response, 1.0, exact=True) if same else None

    def find(self, request: Request, threshold: float) -> Found | None:
        same = self._same(request)
        if same or request.question is None:
            return same
        result = self._storage.search(
            self._embedder.embed_one(request.question),
            self._namespace,
            self._embedder.model_id,
            request.scope,
            threshold,
        )
        if result is None or result.entry is None:
            return None
        return Found(result.entry.response, result.best_score, exact=False)

    def keep(self, request: Request, text: str, ttl: float | None) -> None:
        question = request.question
        alike = question is not None
        now = time.time()
        self._storage.store(
            CacheEntry(
                id=request.id,
                prompt=question if alike else "",
                response=text,
                embedding=self._embedder.embed_one(question) if alike else _NO_EMBEDDING,
                namespace=self._namespace,
                embedding_model_id=self._embedder.model_id if alike else _NO_MODEL,
                context_hash=request.scope if alike else "",
                created_at=now,
                updated_at=now,
                expires_at=None if ttl is None else now + ttl,
            )
        )

    def ping(self) -> None:
        self._storage.namespace_size(self._namespace)


class ServiceStore(Store):
    """Answers in a LangCache service.

    An entry's scope is in its attribute `scope`, which the cache has to declare. What is not
    compared by meaning is stored under a scope of its own, so that the service sees neither prompt
    nor parameters of it.

    Args:
        client: The client.
        timeout_ms: The longest that one call may take, in milliseconds.
    """

    def __init__(self, client: LangCache, timeout_ms: int) -> None:
        self._client = client
        self._timeout_ms = timeout_ms

    def find(self, request: Request, threshold: float) -> Found | None:
        if request.question is not None:
            found = self._search(request.question, request.scope, threshold)
            if found:
                return found
        return self._search(_NO_PROMPT, request.id, 0)

    def _search(self, prompt: str, scope: str, threshold: float) -> Found | None:
        found = self._client.search(
            prompt=prompt,
            similarity_threshold=threshold,
            attributes={_ATTRIBUTE: scope},
            max_results=1,
            timeout_ms=self._timeout_ms,
        ).data
        # Whatever a service makes of the attribute, an answer of another scope is none.
        if not found or found[0].attributes.get(_ATTRIBUTE) != scope:
            return None
        entry = found[0]
        same = entry.prompt == prompt
        return Found(entry.response, 1.0 if same else min(entry.similarity, 1.0), exact=same)

    def keep(self, request: Request, text: str, ttl: float | None) -> None:
        question = request.question
        alike = question is not None
        self._client.set(
            prompt=question if alike else _NO_PROMPT,
            response=text,
            attributes={_ATTRIBUTE: request.scope if alike else request.id},
            ttl_millis=None if ttl is None else min(max(round(ttl * 1000), 1), _MOST_MILLIS),
            timeout_ms=self._timeout_ms,
        )

    def ping(self) -> None:
        self._search(_NO_PROMPT, "0" * 32, 0)


def open_storage(storage: str, redis: RedisAddress) -> StorageBackend:
    """Return the storage backend that a string names.

    Args:
        storage: "memory", "sqlite:PATH", "redis" or the URL of a Redis.
        redis: Which Redis is meant by "redis".

    Raises:
        ValueError: The string names none, or the Redis is not said.
        TypeError: What says which Redis has the wrong type.
        ImportError: The package for Redis is not installed.
    """
    if redis and storage != "redis":
        raise ValueError('storage: must be "redis", or left out, when a Redis is given')
    if storage == "redis":
        url = redis.url()
        from langcache.engine import RedisStorage  # needs the extra

        return RedisStorage(url=url)
    if is_storage_name(storage) or is_redis_url(storage):
        return create_storage(storage)
    raise ValueError(
        'storage: must be "memory", "sqlite:PATH", "redis", the URL of a Redis, a StorageBackend'
        f" or a LangCache client, got a string of {len(storage)} characters"
    )
