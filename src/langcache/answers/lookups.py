"""Lookups and stores: every decision about the answers to calls, sync and async."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, cast

from langcache.answers._checks import check_number, is_ttl
from langcache.answers._pending_calls import PendingCalls
from langcache.answers._stores import EngineStore, ServiceStore, StoredAnswer, has_limits
from langcache.answers._worker_pool import WorkerPool
from langcache.answers.answer import Answer, Hit
from langcache.answers.controls import Controls, controls_of, use_controls
from langcache.answers.digests import NotCacheableError, list_of_texts, text_of_value
from langcache.answers.explaining import intercept, refuse
from langcache.answers.question import Question, QuestionRules
from langcache.answers.standalone import stands_alone
from langcache.answers.statistics import Counters, Statistics
from langcache.engine import (
    Explanation,
    MiniLMEmbedder,
    SemanticCache,
    StorageBackend,
    create_embedder,
)
from langcache.engine._steps import Steps, arun, call, run
from langcache.engine.storage.base import similarity_at
from langcache.engine.storage.create import create_storage
from langcache.engine.verify import create_verifier, default_similarity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from typing_extensions import Self, TypeIs

    from langcache import LangCache
    from langcache.answers._stores import Store
    from langcache.answers.answer import Source
    from langcache.answers.request import Request, Turn
    from langcache.engine import Embedder, Match, Verifier
    from langcache.engine.verify import Verdict

__all__ = ["CallExplanation", "Lookup", "Lookups", "Resolve"]

_T = TypeVar("_T")

Resolve: TypeAlias = "Callable[[Sequence[Turn], str], str | None]"
"""Returns the last turn as a question of its own, or None to keep the earlier turns in the scope.

It takes the earlier turns, without instructions, and the text of the last one.
"""

_LOGGER = "langcache.answers"
_NAMESPACE = "answers"
# MiniLM reads 512 tokens, two of which mark start and end; a character is one token at most.
_MAX_QUESTION_LENGTH = 510
_MAX_SERVICE_PROMPT = 1024
_MOST_INVALIDATED = 100
_call_ids = itertools.count()


@dataclass(slots=True, eq=False)
class Lookup(Generic[_T]):
    """The answer to a call, or the promise to bring one.

    Attributes:
        outcome: "hit"; "miss"; "rejected" if there were answers to similar questions, and all of
            them were turned down; "bypass" in a block that bypasses the cache; "skipped" if the
            call cannot be cached.
        answer: The answer of a hit, else None.
        value: What the door made of the answer; None without a hit.
        hit: How it was found; None without a hit.
        question: What was asked; None if the cache does not handle the call.
        turned_down: The nearest of the similar questions and why it was turned down; None unless
            the outcome is "rejected".
    """

    outcome: Literal["hit", "miss", "rejected", "bypass", "skipped"]
    answer: Answer | None = None
    value: _T | None = None
    hit: Hit | None = None
    question: Question | None = field(default=None, repr=False)
    turned_down: tuple[Match, Verdict] | None = field(default=None, repr=False)
    call_id: str = field(default="", repr=False)
    seconds_left: float = field(default=0.0, repr=False)
    unread: Answer | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallExplanation:
    """What the cache would do for a call, and why.

    Attributes:
        outcome: "hit", "rejected", "near_miss", "miss", "bypass" or "skipped".
        reason: Why, in a few words.
        scope: 32 hex digits that are equal for calls that may share answers; "" if there is none.
        question: The text that is compared by meaning; None if only the same call may have the
            same answer.
        lookup: The candidates, if there is such a text.
    """

    outcome: str
    reason: str
    scope: str = ""
    question: str | None = field(default=None, repr=False)
    lookup: Explanation | None = field(default=None, repr=False)


class Lookups:
    """Looks up and stores the answers to calls. `AnswerCache` has its arguments but `clock`.

    A door reads a `Request` from the arguments of a call and looks it up. On a hit it returns the
    answer. On anything else it calls the model, and passes the answer to `keep`, or calls
    `release` when there is none.

    `clock` returns the time in seconds since the epoch; it must be that of the storage.
    """

    def __init__(
        self,
        backend: SemanticCache | StorageBackend | LangCache | str = "memory",
        verifier: Verifier | str | None = "auto",
        *,
        threshold: float | None = None,
        budget: float = 0.25,
        ttl: float | None = None,
        name: str | None = None,
        embedder: Embedder | str | None = None,
        context: Literal["turns", "standalone"] | Resolve = "turns",
        store_truncated: bool = False,
        single_flight: float = 60.0,
        max_question_length: int = _MAX_QUESTION_LENGTH,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        seconds = check_number("budget", budget, 0.001, 60)
        check_number("max_question_length", max_question_length, 0, 1_000_000)
        waiting = check_number("single_flight", single_flight, 0, 3600)
        if ttl is not None and not is_ttl(ttl):
            raise ValueError(f"ttl: must be a number of seconds above 0, got {ttl!r}")
        if threshold is not None:
            threshold = check_number("threshold", threshold, 0, 1)
        if context not in ("turns", "standalone") and not callable(context):
            raise ValueError(
                f'context: must be "turns", "standalone" or a function, got {context!r}'
            )
        if (max_entries, max_bytes) != (None, None) and not has_limits(backend):
            raise ValueError(
                'max_entries, max_bytes: must not be given with a backend other than "memory" and'
                ' "sqlite:PATH"; give them to the storage'
            )
        self._opened: StorageBackend | None = None
        self._budget = seconds
        self._resolve: Resolve | None = _resolve_alone if context == "standalone" else None
        if callable(context):
            self._resolve = context
        self._store_truncated = store_truncated
        self._counters = Counters()
        self._workers = WorkerPool(seconds, self._counters, _LOGGER)
        self._pending = PendingCalls(waiting) if waiting else None
        latin_only = False
        if _is_client(backend):
            if embedder is not None:
                raise ValueError("embedder: must not be given with a LangCache client")
            checked_by = create_verifier(verifier)
            name = name or _NAMESPACE
            timeout_ms = max(round(seconds * 1000), 1)
            self._store: Store = ServiceStore(backend, timeout_ms, checked_by)
            max_question_length = min(max_question_length, _MAX_SERVICE_PROMPT)
        else:
            if isinstance(backend, SemanticCache):
                if embedder is not None or name is not None:
                    raise ValueError("embedder, name: must not be given with a SemanticCache")
                storage, vectorizer, name = backend.storage, backend.vectorizer, backend.name
                ttl = backend.ttl if ttl is None else ttl
                if backend.verifier is not None and verifier == "auto":
                    verifier = backend.verifier
                    if threshold is None:
                        threshold = similarity_at(backend.distance_threshold)
            else:
                given = cast("object", backend)
                if not isinstance(given, (str, StorageBackend)):
                    raise TypeError(
                        "backend: must be a SemanticCache, a StorageBackend, a LangCache client or"
                        f" the name of a storage, got {type(given).__name__}"
                    )
                vectorizer = create_embedder("minilm" if embedder is None else embedder)
                if isinstance(backend, str):
                    backend = self._opened = create_storage(
                        backend, max_entries=max_entries, max_bytes=max_bytes
                    )
                storage, name = backend, name or _NAMESPACE
            latin_only = isinstance(vectorizer, MiniLMEmbedder)
            checked_by = create_verifier(verifier)
            self._store = EngineStore(
                storage, vectorizer, name, checked_by, with_reports=True, clock=clock
            )
        self._threshold = default_similarity(verifier) if threshold is None else threshold
        self._ttl = ttl
        self._rules = QuestionRules(
            name, max_question_length=max_question_length, latin_only=latin_only
        )

    @property
    def threshold(self) -> float:
        """The least similarity of two questions, (1 + cosine) / 2, in [0, 1]."""
        return self._threshold

    @property
    def statistics(self) -> Statistics:
        """Counts of lookups and stores since the cache was created."""
        return self._counters.snapshot()

    # Blocks

    def bypass(self) -> AbstractContextManager[None]:
        """Call the model in every case in the block, and store nothing."""
        return use_controls(self, bypass=True)

    def scope(self, **names: Any) -> AbstractContextManager[None]:
        """Share answers in the block only with calls that have the same names and values.

        Args:
            **names: Such as `tenant="acme"`: str, numbers, lists or dicts. Names of an outer block
                stay. `invalidate` takes those that are a str or an int.
        """
        return use_controls(self, scope=names)

    # Lookups

    def look_up(
        self,
        request: Request | None,
        read: Callable[[Answer], _T | None],
        controls: Controls | None = None,
    ) -> Lookup[_T]:
        """Return the answer to a call, or a lookup that takes it.

        It never raises an error of the backend. It waits for the backend no longer than the
        budget, and for a concurrent call with the same question no longer than `single_flight`.

        Args:
            request: The call; None for one that cannot be cached.
            read: Makes the door's value of a stored answer. If it returns None or raises an
                exception, the lookup is a miss.
            controls: What holds for the call; None for what holds in the current block.
        """
        intercept(self, request)
        found: Lookup[_T] = Lookup("miss", call_id=str(next(_call_ids)), seconds_left=self._budget)
        try:
            run(self._look_up(request, read, controls or controls_of(self), found))
        except Exception as error:  # noqa: BLE001 - no error of the cache may fail a call
            self._workers.failed(error)
        except BaseException:
            self.release(found)
            raise
        if found.outcome not in ("hit", "bypass"):
            refuse(partial(self.release, found))  # if another cache is to explain the call
        return found

    async def alook_up(
        self,
        request: Request | None,
        read: Callable[[Answer], _T | None],
        controls: Controls | None = None,
    ) -> Lookup[_T]:
        """Asynchronous twin of `look_up`."""
        intercept(self, request)
        found: Lookup[_T] = Lookup("miss", call_id=str(next(_call_ids)), seconds_left=self._budget)
        try:
            await arun(self._look_up(request, read, controls or controls_of(self), found))
        except Exception as error:  # noqa: BLE001 - no error of the cache may fail a call
            self._workers.failed(error)
        except BaseException:
            self.release(found)
            raise
        if found.outcome not in ("hit", "bypass"):
            refuse(partial(self.release, found))  # if another cache is to explain the call
        return found

    def _look_up(
        self,
        request: Request | None,
        read: Callable[[Answer], _T | None],
        controls: Controls,
        found: Lookup[_T],
    ) -> Steps[None]:
        if controls.bypass:
            self._counters.add("bypassed")
            found.outcome = "bypass"
            return
        question = found.question = self._question(request, controls)
        if question is None:
            self._counters.add("skipped")
            found.outcome = "skipped"
            return
        if self._pending:
            # Before the storage, so that an answer that arrives meanwhile is not missed.
            pending = self._pending.join(question.id, found.call_id)
            if pending:
                wait = self._pending.seconds
                shared = yield from call(pending.wait, pending.await_, wait)
                if shared and _accept(found, shared, "shared", read):
                    self._counters.add("shared_answers")
                    return
                # The other call has no answer to share. All that waited go on at once.
                found.call_id = ""
        stored = self._store.find_at_once(question)
        rejected = None
        if stored is None:
            finding = yield from self._work(
                found, partial(self._store.find, question, self._threshold)
            )
            if finding:
                stored, rejected = finding
        if stored is None or not _accept(
            found, stored, "exact" if stored.exact else "similar", read
        ):
            if stored is not None and stored.exact:
                found.unread = Answer.from_json(stored.text)
            self._counters.add("rejected" if rejected else "misses")
            found.outcome = "rejected" if rejected else "miss"
            found.turned_down = rejected
            return
        self._store.mark_used(stored)
        self._counters.add("exact_hits" if stored.exact else "semantic_hits")
        if self._pending:
            self._pending.settle(question.id, stored)

    def _question(self, request: Request | None, controls: Controls) -> Question | None:
        """Return the question of a request, or None if it cannot be cached."""
        if request is None:
            return None
        names = controls.scope
        # A digest leaves out members that are None, but the name counts.
        scope = {name: [None] if value is None else value for name, value in names.items()}
        key = {"door": request.door, "parameters": request.parameters, "scope": scope}
        turns, text = list(request.turns), request.text
        if self._resolve and text is not None and request.earlier:
            try:
                resolved = self._resolve(request.earlier, text)
                if resolved is not None and not resolved.strip():
                    resolved = None  # all conversations would have this question
            except Exception as error:  # noqa: BLE001 - any error of the user's function
                self._workers.failed(error)
                resolved = None
            if resolved is not None:
                turns, text = request.instructions, resolved
        labels = {each: str(value) for each, value in names.items() if _is_label(value)}
        labels = {**labels, **request.labels, "door": request.door}
        try:
            context = [text_of_value(turns), text_of_value(request.last)]
            content = list_of_texts(*context, text_of_value(text))
            return self._rules.question(key, "call", content, text, list_of_texts(*context), labels)
        except NotCacheableError:
            return None

    # Stores

    def keep(self, lookup: Lookup[Any], answer: Answer, *, ttl: float | None = None) -> None:
        """Store the answer to a call that was looked up and not found.

        It never raises an error of the backend, and waits for it no longer than the rest of the
        budget. Answers that did not end well are not stored.

        Args:
            lookup: The lookup. Nothing is stored for a hit, or a call that is not cached.
            answer: The answer.
            ttl: How long to keep it, in seconds; None for the cache's `ttl`.
        """
        try:
            run(self._keep(lookup, answer, ttl))
        except Exception as error:  # noqa: BLE001 - no error of the cache may fail a call
            self._workers.failed(error)
        finally:
            self.release(lookup)

    async def akeep(self, lookup: Lookup[Any], answer: Answer, *, ttl: float | None = None) -> None:
        """Asynchronous twin of `keep`."""
        try:
            await arun(self._keep(lookup, answer, ttl))
        except Exception as error:  # noqa: BLE001 - no error of the cache may fail a call
            self._workers.failed(error)
        finally:
            self.release(lookup)

    def store(self, request: Request | None, answer: Answer, *, ttl: float | None = None) -> None:
        """Store the answer to a call, for a door whose library does not say which lookup it ends.

        It behaves as `keep`.

        Args:
            request: The call; None for one that cannot be cached.
            answer: The answer.
            ttl: How long to keep it, in seconds; None for the cache's `ttl`.
        """
        self.keep(self._missed(request), answer, ttl=ttl)

    async def astore(
        self, request: Request | None, answer: Answer, *, ttl: float | None = None
    ) -> None:
        """Asynchronous twin of `store`."""
        await self.akeep(self._missed(request), answer, ttl=ttl)

    def _missed(self, request: Request | None) -> Lookup[Any]:
        """Return the lookup of a call that found nothing, without looking anything up."""
        controls = controls_of(self)
        if controls.bypass:
            return Lookup("bypass")
        question = self._question(request, controls)
        return Lookup("miss", question=question, seconds_left=self._budget)

    def _keep(self, lookup: Lookup[Any], answer: Answer, ttl: float | None) -> Steps[None]:
        question = lookup.question
        if question is None or lookup.outcome not in ("miss", "rejected"):
            return
        if not (
            answer.ending == "complete" or (answer.ending == "truncated" and self._store_truncated)
        ):
            self._counters.add("skipped")
            return
        if answer.calls_tool:
            question = question.exact()
        text = answer.beside(lookup.unread).to_json()
        if self._pending:
            self._pending.resolve(question.id, StoredAnswer(text))
        lifetime = self._ttl if ttl is None else ttl
        try:
            yield from self._work(lookup, partial(self._store_text, question, text, lifetime))
        finally:
            if self._pending:
                self._pending.finish(question.id)

    def _store_text(self, question: Question, text: str, ttl: float | None) -> None:
        self._store.keep(question, text, ttl)
        self._counters.add("stores")

    def release(self, lookup: Lookup[Any]) -> None:
        """End a call that brings no answer, so that no other call waits for it."""
        if self._pending:
            self._pending.release(lookup.call_id)

    def _work(self, lookup: Lookup[Any], work: Callable[[], _T]) -> Steps[_T | None]:
        """Work in another thread, within what is left of the call's budget."""
        started = time.monotonic()
        try:
            workers = self._workers
            return (yield from call(workers.run, workers.arun, work, lookup.seconds_left))
        finally:
            lookup.seconds_left -= time.monotonic() - started

    # Explanations, reports and removals: these raise the backend's errors

    def explain_request(self, request: Request | None, num_candidates: int = 10) -> CallExplanation:
        """Return what the cache would do for a call, and why."""
        if controls_of(self).bypass:
            return CallExplanation("bypass", "the block bypasses the cache")
        question = self._question(request, controls_of(self))
        if question is None:
            return CallExplanation("skipped", "an argument cannot be compared with others")
        finding = self._store.find(question, self._threshold)
        lookup = None
        if question.text is not None:
            lookup = self._store.explain(question, self._threshold, num_candidates)
        if finding.answer and finding.answer.exact:
            outcome, reason = "hit", "an answer to the same call is stored"
        elif lookup is None:
            outcome, reason = "miss", "only the same call may have the same answer"
        else:
            outcome = lookup.outcome
            reason = next(
                (each.verdict.reason for each in lookup.candidates if each.reaches_threshold),
                "no question in this scope is similar enough",
            )
        return CallExplanation(outcome, reason, question.context_hash, question.text, lookup)

    def report_hit(self, hit: Hit) -> bool:
        """Serve an answer no more for the question of a hit; return whether it was there."""
        return self._store.report_wrong(hit.question, hit.cached_question, hit.entry_id)

    def invalidate(self, **labels: str | int) -> int:
        """Delete all answers that were stored with some names of the scope.

        Args:
            **labels: Such as `tenant="acme"`, or `door="openai.chat.completions"`. At least one.

        Returns:
            How many were deleted.

        Raises:
            ValueError: No name is given, or the backend is a LangCache client.
        """
        if not labels:
            raise ValueError("labels: at least one name is required")
        return self._store.drop_labelled({name: str(each) for name, each in labels.items()})

    async def ainvalidate(self, **labels: str | int) -> int:
        """Asynchronous twin of `invalidate`."""
        return await asyncio.to_thread(partial(self.invalidate, **labels))

    def invalidate_request(self, request: Request | None) -> int:
        """Delete the answers that a call would get, and return how many."""
        question = self._question(request, controls_of(self))
        deleted = 0
        while question is not None and deleted < _MOST_INVALIDATED:
            answer = self._store.find(question, self._threshold).answer
            if answer is None or not self._store.drop(answer.entry_id):
                break
            deleted += 1
        return deleted

    def ping(self) -> bool:
        """Return whether the backend answers within the budget."""
        return self._workers.run(self._store.ping) or False

    async def aping(self) -> bool:
        """Asynchronous twin of `ping`."""
        return await self._workers.arun(self._store.ping) or False

    def close(self) -> None:
        """Close a storage that the cache opened itself, and end the cache's threads."""
        self._workers.close()
        if self._opened:
            self._opened.close()

    async def aclose(self) -> None:
        """Asynchronous twin of `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _is_client(backend: object) -> TypeIs[LangCache]:
    """Return whether a backend is a LangCache client, without importing the SDK."""
    sdk = sys.modules.get("langcache.sdk")
    return sdk is not None and isinstance(backend, sdk.LangCache)


def _resolve_alone(earlier: Sequence[Turn], text: str) -> str | None:
    del earlier
    return text if stands_alone(text) else None


def _is_label(value: object) -> bool:
    return isinstance(value, (str, int))


def _accept(
    found: Lookup[_T],
    stored: StoredAnswer,
    source: Source,
    read: Callable[[Answer], _T | None],
) -> bool:
    """Make a lookup a hit; return False if the door cannot read the stored answer."""
    answer = Answer.from_json(stored.text)
    if answer is None or found.question is None:
        return False
    try:
        value = read(answer)
    except Exception:  # noqa: BLE001 - whatever does not read is not an answer
        return False
    if value is None:
        return False
    text = found.question.text or ""
    found.outcome, found.answer, found.value = "hit", answer, value
    found.hit = Hit(
        source=source,
        similarity=stored.similarity,
        entry_id=stored.entry_id or found.question.id,
        question=text,
        cached_question=stored.prompt or text,
    )
    return True
