"""The places where answers are stored: the engine in this process, or a LangCache service."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langcache.engine import CacheEntry, Explanation, Match, StorageBackend
from langcache.engine._steps import call, run
from langcache.engine.embedders.vector_memory import VectorMemory
from langcache.engine.expiry import moment_of_expiry
from langcache.engine.explanation import Moments, explanation_of
from langcache.engine.feedback import Feedback, concerns_pair
from langcache.engine.judge import SPARE_CANDIDATES, Choice, Judge, choose, settle
from langcache.engine.storage.create import is_redis_url
from langcache.engine.storage.entry import Scope
from langcache.engine.storage.other_models import NO_MODEL, warn_of_other_models

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langcache import LangCache, models
    from langcache.answers.question import Question
    from langcache.engine import Embedder
    from langcache.engine._steps import Steps
    from langcache.engine.verify import Verdict, Verifier

__all__ = ["EngineStore", "Finding", "ServiceStore", "Store", "StoredAnswer", "has_limits"]

# Every entry has an embedding, even one that is found by its id alone.
_NO_EMBEDDING = np.ones(1, np.float32)
_NO_EMBEDDING.flags.writeable = False
_VECTORS = 256
_ATTRIBUTE = "scope"
# Replaces the prompt of an entry that is found by its attribute alone.
_NO_PROMPT = "exact"
_MAX_MILLIS = 31_556_952_000


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer to a question.

    Attributes:
        text: The answer, as it is stored.
        similarity: (1 + cosine) / 2 of the two questions, in [0, 1]; 1 for the same question.
        exact: Whether it was stored for exactly this question.
        entry_id: The id of its entry; "" for one that comes from a call and not from the storage.
        prompt: The text of the question it was stored for; "" when that is the same question.
    """

    text: str = field(repr=False)
    similarity: float = 1.0
    exact: bool = True
    entry_id: str = ""
    prompt: str = field(default="", repr=False)


class Finding(NamedTuple):
    """What a store found.

    Attributes:
        answer: The answer, or None.
        rejected: The nearest of the similar questions and its verdict, if all were turned down.
    """

    answer: StoredAnswer | None
    rejected: tuple[Match, Verdict] | None = None


def has_limits(backend: object) -> bool:
    """Return whether a backend is the name of a storage that takes limits of entries and bytes."""
    return isinstance(backend, str) and not is_redis_url(backend)


class Store(ABC):
    """Stores the answers to questions.

    Args:
        judge: Decides which answers to similar questions may be served.
        verifier: The verifier that the judge asks.
    """

    def __init__(self, judge: Judge, verifier: Verifier | None) -> None:
        self._judge = judge
        self._verifier = verifier

    @abstractmethod
    def find(self, question: Question, threshold: float) -> Finding:
        """Find the answer to the same question, or to one at least `threshold` similar to it."""

    def find_at_once(self, question: Question) -> StoredAnswer | None:
        """Return the answer to the same question, if the lookup takes only microseconds."""
        del question
        return None

    def mark_used(self, answer: StoredAnswer) -> None:  # noqa: B027 - a service does it by itself
        """Note that an answer was served, so that it is not among those removed first."""

    @abstractmethod
    def keep(self, question: Question, text: str, ttl: float | None) -> str:
        """Store an answer for `ttl` seconds, or without expiry. Return the id of the entry."""

    @abstractmethod
    def drop(self, entry_id: str) -> bool:
        """Delete an entry; return whether it was there."""

    @abstractmethod
    def drop_labelled(self, labels: Mapping[str, str]) -> int:
        """Delete all entries that have some labels; return how many."""

    @abstractmethod
    def report_wrong(self, prompt: str, cached_prompt: str, entry_id: str) -> bool:
        """Serve an entry for a prompt no more; return whether the entry was there."""

    @abstractmethod
    def ping(self) -> bool:
        """Return True, or raise an error if the storage does not answer."""

    @abstractmethod
    def _search(self, question: Question, threshold: float, limit: int) -> Steps[list[Match]]:
        """Return the entries nearest to a question that has a text."""

    def _embed(self, question: Question) -> None:
        """Embed a question that has a text, so that a search need not."""
        del question

    def _find_similar(self, question: Question, threshold: float) -> Finding:
        choice = Choice(threshold, 1, self._judge.spare)
        search = partial(self._search, question, threshold)
        run(choose(search, partial(self._judge.judge, question.text or ""), choice))
        if not choice.accepted:
            return Finding(None, rejected=choice.judged[0] if choice.judged else None)
        [match] = choice.accepted
        entry = match.entry
        exact = entry.prompt == question.text
        similarity = 1.0 if exact else min(match.similarity, 1.0)
        return Finding(StoredAnswer(entry.response, similarity, exact, entry.id, entry.prompt))

    def explain(self, question: Question, threshold: float, most: int) -> Explanation:
        """Return what a lookup of a question that has a text would do, and why.

        Args:
            question: The question.
            threshold: The similarity of a hit.
            most: How many candidates to show at most.
        """
        text = question.text or ""
        started = time.perf_counter()
        self._embed(question)
        embedded = time.perf_counter()
        found = run(self._search(question, 0.0, max(most, 1 + SPARE_CANDIDATES)))
        searched = time.perf_counter()
        verdicts = run(self._judge.judge(text, found))
        verified = time.perf_counter()
        outcome, served = settle(found, verdicts, threshold)
        return explanation_of(
            found,
            verdicts,
            outcome=outcome,
            served=None if served is None else served.entry,
            threshold=threshold,
            verifier=None if self._verifier is None else self._verifier.model_id,
            most=most,
            moments=Moments(started, embedded, searched, verified),
        )


class EngineStore(Store):
    """Answers in a storage backend of the engine.

    Args:
        storage: The storage backend.
        embedder: Embeds the questions.
        namespace: The storage's namespace.
        verifier: Checks similar questions, or None.
        with_reports: Whether users may report wrong hits.
        clock: Returns the time in seconds since the epoch; that of the storage.
    """

    def __init__(
        self,
        storage: StorageBackend,
        embedder: Embedder,
        namespace: str,
        verifier: Verifier | None,
        *,
        with_reports: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._feedback = Feedback(storage, namespace, clock)
        super().__init__(
            Judge(embedder, verifier, self._feedback if with_reports else None), verifier
        )
        self._storage = storage
        if not storage.is_shared:  # else it may not answer
            warn_of_other_models(storage, namespace, embedder.model_id)
        # A miss embeds the question; storing its answer needs the same vector soon after.
        self._embedder = VectorMemory(embedder, _VECTORS)
        self._namespace = namespace

    def _scope(self, question: Question) -> Scope:
        if question.text is None:
            return Scope(self._namespace, NO_MODEL)
        return Scope(self._namespace, self._embedder.model_id, question.context_hash)

    def _same(self, question: Question) -> StoredAnswer | None:
        same = self._storage.get(self._namespace, question.id)
        return StoredAnswer(same.response, entry_id=same.id) if same else None

    def find_at_once(self, question: Question) -> StoredAnswer | None:
        return self._same(question) if self._storage.is_quick(self._scope(question)) else None

    def find(self, question: Question, threshold: float) -> Finding:
        same = self._same(question)
        if same or question.text is None:
            return Finding(same)
        return self._find_similar(question, threshold)

    def _search(self, question: Question, threshold: float, limit: int) -> Steps[list[Match]]:
        storage, scope = self._storage, self._scope(question)
        vector = self._embedder.embed_one(question.text or "")
        return call(storage.search_top, storage.asearch_top, vector, *scope, threshold, limit=limit)

    def _embed(self, question: Question) -> None:
        self._embedder.embed_one(question.text or "")

    def mark_used(self, answer: StoredAnswer) -> None:
        self._storage.mark_used(self._namespace, [answer.entry_id])

    def keep(self, question: Question, text: str, ttl: float | None) -> str:
        prompt = question.text
        now = self._clock()
        self._storage.store(
            CacheEntry(
                id=question.id,
                prompt=prompt or "",
                response=text,
                embedding=_NO_EMBEDDING if prompt is None else self._embedder.embed_one(prompt),
                **self._scope(question)._asdict(),
                attributes=question.labels,
                created_at=now,
                updated_at=now,
                expires_at=moment_of_expiry(now, ttl),
            )
        )
        return question.id

    def drop(self, entry_id: str) -> bool:
        return self._storage.delete(self._namespace, [entry_id]) > 0

    def drop_labelled(self, labels: Mapping[str, str]) -> int:
        return self._storage.delete_by_attributes(self._namespace, labels)

    def report_wrong(self, prompt: str, cached_prompt: str, entry_id: str) -> bool:
        if not concerns_pair(prompt, cached_prompt):
            return self.drop(entry_id)
        if self._storage.get(self._namespace, entry_id) is None:
            return False
        run(self._feedback.add(prompt, cached_prompt, entry_id, right=False))
        return True

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
        # The service embeds the prompts; what its embedder reads of them is not known here.
        super().__init__(Judge(None, verifier, None), verifier)
        self._client = client
        self._timeout_ms = timeout_ms

    def find(self, question: Question, threshold: float) -> Finding:
        similar = Finding(None)
        if question.text is not None:
            similar = self._find_similar(question, threshold)
            if similar.answer:
                return similar
        for entry in run(self._entries(_NO_PROMPT, question.id, 0, 1)):
            return Finding(StoredAnswer(entry.response, entry_id=entry.id))
        return similar

    def _search(self, question: Question, threshold: float, limit: int) -> Steps[list[Match]]:
        prompt, attribute = question.text or "", question.context_hash
        entries = yield from self._entries(prompt, attribute, threshold, limit)
        return [_match(entry) for entry in entries]

    def _entries(
        self, prompt: str, attribute: str, threshold: float, most: int
    ) -> Steps[list[models.CacheEntry]]:
        found = yield from call(
            self._client.search,
            self._client.search_async,
            prompt=prompt,
            similarity_threshold=threshold,
            attributes={_ATTRIBUTE: attribute},
            max_results=most,
            timeout_ms=self._timeout_ms,
        )
        # Check the attribute here too, in case the service ignores it.
        return [entry for entry in found.data if entry.attributes.get(_ATTRIBUTE) == attribute]

    def keep(self, question: Question, text: str, ttl: float | None) -> str:
        prompt = question.text
        return self._client.set(
            prompt=_NO_PROMPT if prompt is None else prompt,
            response=text,
            attributes={_ATTRIBUTE: question.id if prompt is None else question.context_hash},
            ttl_millis=None if ttl is None else min(max(round(ttl * 1000), 1), _MAX_MILLIS),
            timeout_ms=self._timeout_ms,
        ).entry_id

    def drop(self, entry_id: str) -> bool:
        self._client.delete_by_id(entry_id=entry_id, timeout_ms=self._timeout_ms)
        return True

    def drop_labelled(self, labels: Mapping[str, str]) -> int:
        raise ValueError("backend: must not be a LangCache client, which stores no labels")

    def report_wrong(self, prompt: str, cached_prompt: str, entry_id: str) -> bool:
        # A service stores no reports.
        return self.drop(entry_id)

    def ping(self) -> bool:
        run(self._entries(_NO_PROMPT, "0" * 32, 0, 1))
        return True


def _match(entry: models.CacheEntry) -> Match:
    kept = CacheEntry(
        id=entry.id,
        prompt=entry.prompt,
        response=entry.response,
        embedding=_NO_EMBEDDING,
        namespace="",
        embedding_model_id="",
        attributes=entry.attributes,
        created_at=0.0,
        updated_at=0.0,
    )
    return Match(kept, entry.similarity)
