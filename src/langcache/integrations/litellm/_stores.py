"""The places where answers are stored: the engine in this process, or a LangCache service."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langcache.engine import CacheEntry, StorageBackend
from langcache.engine._steps import call, run
from langcache.engine.embedders.vector_memory import VectorMemory
from langcache.engine.judge import SPARE_CANDIDATES, Choice, Judge, choose
from langcache.engine.storage.create import create_storage, is_redis_url, is_storage_name
from langcache.engine.storage.entry import Scope
from langcache.engine.verify import VerifierChain
from langcache.integrations.litellm._answer import Answer

if TYPE_CHECKING:
    from langcache import LangCache, models
    from langcache.engine import Embedder
    from langcache.engine._steps import Steps
    from langcache.engine.storage import Match
    from langcache.engine.verify import Verifier
    from langcache.integrations.litellm._question import Question
    from langcache.integrations.litellm._redis import RedisAddress

# Every entry has an embedding, even one that is found by its id alone.
_NO_MODEL = "none"
_NO_EMBEDDING = np.ones(1, np.float32)
_NO_EMBEDDING.flags.writeable = False
_VECTORS = 256
_ATTRIBUTE = "scope"
# Replaces the prompt of an entry that is found by its attribute alone.
_NO_PROMPT = "exact"
_MAX_MILLIS = 31_556_952_000


class Finding(NamedTuple):
    """What a store found.

    Attributes:
        answer: The answer, or None.
        rejected: Whether there were similar questions, and all of them were turned down.
    """

    answer: Answer | None
    rejected: bool = False


class Store(ABC):
    """Stores the answers to questions."""

    @abstractmethod
    def find(self, question: Question, threshold: float) -> Finding:
        """Find the answer to the same question, or to one at least `threshold` similar to it."""

    def find_at_once(self, question: Question) -> Answer | None:
        """Return the answer to the same question, if the lookup takes only microseconds."""
        del question
        return None

    @abstractmethod
    def keep(self, question: Question, answer: Answer, ttl: float | None) -> None:
        """Store an answer for `ttl` seconds; None means without expiry."""

    @abstractmethod
    def ping(self) -> bool:
        """Return True, or raise an error if the storage does not answer."""


class EngineStore(Store):
    """Answers in a storage backend of the engine.

    Args:
        storage: The storage backend.
        embedder: Embeds the questions.
        namespace: The storage's namespace.
        verifier: Checks similar questions, or None.
    """

    def __init__(
        self,
        storage: StorageBackend,
        embedder: Embedder,
        namespace: str,
        verifier: Verifier | None,
    ) -> None:
        self._storage = storage
        self._judge = Judge(embedder, verifier, None)
        # A miss embeds the question; storing its answer needs the same vector soon after.
        self._embedder = VectorMemory(embedder, _VECTORS)
        self._namespace = namespace

    def _scope(self, question: Question) -> Scope:
        if question.text is None:
            return Scope(self._namespace, _NO_MODEL)
        return Scope(self._namespace, self._embedder.model_id, question.context_hash)

    def _same(self, question: Question) -> Answer | None:
        same = self._storage.get(self._namespace, question.id)
        return Answer(same.response) if same else None

    def find_at_once(self, question: Question) -> Answer | None:
        return self._same(question) if self._storage.is_quick(self._scope(question)) else None

    def find(self, question: Question, threshold: float) -> Finding:
        same = self._same(question)
        if same or question.text is None:
            return Finding(same)
        vector = self._embedder.embed_one(question.text)
        storage, scope = self._storage, self._scope(question)

        def search(wanted: int) -> Steps[list[Match]]:
            return call(
                storage.search_top, storage.asearch_top, vector, *scope, threshold, limit=wanted
            )

        choice = Choice(threshold, 1, self._judge.spare)
        run(choose(search, partial(self._judge.judge, question.text), choice))
        if not choice.accepted:
            return Finding(None, rejected=bool(choice.judged))
        [match] = choice.accepted
        return Finding(Answer(match.entry.response, match.similarity, exact=False))

    def keep(self, question: Question, answer: Answer, ttl: float | None) -> None:
        text = question.text
        now = time.time()
        self._storage.store(
            CacheEntry(
                id=question.id,
                prompt=text or "",
                response=answer.text,
                embedding=_NO_EMBEDDING if text is None else self._embedder.embed_one(text),
                **self._scope(question)._asdict(),
                created_at=now,
                updated_at=now,
                expires_at=None if ttl is None else now + ttl,
            )
        )

    def ping(self) -> bool:
        return self._storage.namespace_size(self._namespace) >= 0


class ServiceStore(Store):
    """Answers in a LangCache service.

    Each entry has the attribute `scope`, which the cache must declare. It is the context hash of a
    question that is compared by meaning, and the id of any other question, whose prompt and
    parameters are not sent to the service.

    Args:
        client: The client.
        timeout_ms: The time budget of each call, in milliseconds.
        verifier: Checks similar questions, or None.
    """

    def __init__(self, client: LangCache, timeout_ms: int, verifier: Verifier | None) -> None:
        self._client = client
        self._timeout_ms = timeout_ms
        # It turns everything down if the verifier fails.
        self._chain = None if verifier is None else VerifierChain([verifier])

    def find(self, question: Question, threshold: float) -> Finding:
        similar = Finding(None)
        if question.text is not None:
            similar = self._find_similar(question.text, question.context_hash, threshold)
            if similar.answer:
                return similar
        for entry in self._search(_NO_PROMPT, question.id, 0, 1):
            return Finding(Answer(entry.response))
        return similar

    def _find_similar(self, text: str, context_hash: str, threshold: float) -> Finding:
        wanted = 1 if self._chain is None else 1 + SPARE_CANDIDATES
        entries = self._search(text, context_hash, threshold, wanted)
        for entry in entries:
            if entry.prompt == text:
                return Finding(Answer(entry.response))
        accepted = entries
        if self._chain is not None:
            verdicts = self._chain.verify(
                text,
                [entry.prompt for entry in entries],
                similarities=[entry.similarity for entry in entries],
            )
            accepted = [
                entry for entry, each in zip(entries, verdicts, strict=True) if each.accepted
            ]
        for entry in accepted:
            return Finding(Answer(entry.response, min(entry.similarity, 1.0), exact=False))
        return Finding(None, rejected=bool(entries))

    def _search(
        self, prompt: str, attribute: str, threshold: float, most: int
    ) -> list[models.CacheEntry]:
        found = self._client.search(
            prompt=prompt,
            similarity_threshold=threshold,
            attributes={_ATTRIBUTE: attribute},
            max_results=most,
            timeout_ms=self._timeout_ms,
        ).data
        # Check the attribute here too, in case the service ignores it.
        return [entry for entry in found if entry.attributes.get(_ATTRIBUTE) == attribute]

    def keep(self, question: Question, answer: Answer, ttl: float | None) -> None:
        text = question.text
        self._client.set(
            prompt=_NO_PROMPT if text is None else text,
            response=answer.text,
            attributes={_ATTRIBUTE: question.id if text is None else question.context_hash},
            ttl_millis=None if ttl is None else min(max(round(ttl * 1000), 1), _MAX_MILLIS),
            timeout_ms=self._timeout_ms,
        )

    def ping(self) -> bool:
        self._search(_NO_PROMPT, "0" * 32, 0, 1)
        return True


def open_storage(storage: str, redis: RedisAddress) -> StorageBackend:
    """Return the storage backend that a string names.

    Args:
        storage: "memory", "sqlite:PATH", "redis" or a Redis URL.
        redis: The address to use for "redis".

    Raises:
        ValueError: The string names no storage, or the address is incomplete.
        TypeError: A part of the address has the wrong type.
        ImportError: The extra `redis` is not installed.
    """
    if redis and storage != "redis":
        raise ValueError('storage: must be "redis" or left out with a Redis address')
    if storage == "redis":
        url = redis.url()
        from langcache.engine import RedisStorage  # needs the extra

        return RedisStorage(url=url)
    if is_storage_name(storage) or is_redis_url(storage):
        return create_storage(storage)
    raise ValueError(
        'storage: must be "memory", "sqlite:PATH", "redis", a Redis URL, a StorageBackend or a'
        f" LangCache client, got a string of {len(storage)} characters"
    )
