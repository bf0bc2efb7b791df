"""The cache backend for LiteLLM: finds and stores the answers to questions."""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from langcache import LangCache
from langcache.answers._checks import check_number, is_ttl
from langcache.answers._stores import EngineStore, ServiceStore, StoredAnswer, has_limits
from langcache.answers._worker_pool import WorkerPool
from langcache.answers.explaining import refuse
from langcache.answers.statistics import Counters, Statistics
from langcache.engine import StorageBackend
from langcache.engine._steps import Steps, arun, call, run
from langcache.engine.verify import create_verifier, default_similarity
from langcache.integrations.litellm._answer import answer_of, calls_tool, ended_well, value_of
from langcache.integrations.litellm._embedders import open_embedder, reads_latin_only
from langcache.integrations.litellm._litellm import BaseCache, note_hit
from langcache.integrations.litellm._question import QuestionReader
from langcache.integrations.litellm._redis import RedisAddress
from langcache.integrations.litellm._storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from langcache.answers._pending_calls import PendingCalls
    from langcache.answers.question import Question
    from langcache.engine import Embedder
    from langcache.engine.verify import Verifier

__all__ = ["LangCacheSemanticCache"]

_SIMILARITY = "semantic-similarity"
_T = TypeVar("_T")

# LiteLLM passes only some of the call's arguments to a synchronous lookup.
_arguments: ContextVar[Mapping[str, Any] | None] = ContextVar("_arguments", default=None)


class LangCacheSemanticCache(BaseCache):
    """A LiteLLM cache backend that answers questions which mean the same.

    `langcache.integrations.litellm.enable` installs it, and makes LiteLLM pass it everything that
    an answer depends on. Inside any other `litellm.Cache`
    (`Cache(type="redis-semantic", _backend=...)`) it only knows LiteLLM's key and the messages.

    A lookup finds the answer to the same question, or to one that differs in its text only. The
    text is the last message, if that is a user message of text only, or the prompt of a text
    completion. The earlier messages, the system prompt, the parameters and the numbers in the text
    must be equal. Answers that call a tool are found by the same question only.

    No method raises an error of the storage or the embedder, or waits for them longer than the
    budget. They are counted in `statistics`, and the logger `langcache.integrations.litellm` logs
    the first one.

    Args:
        similarity_threshold: The least similarity of two questions, (1 + cosine) / 2: 1 for the
            same vector, 0 for the opposite one. It corresponds to the cosine distance
            2 * (1 - similarity), in [0, 2]. For the threshold s of LiteLLM's own semantic caches,
            use (1 + s) / 2. "auto" means 0.88 with the verifier "auto", and 0.9 with any other
            setting of the verifier.
        storage: Where answers are stored: "memory" for this process; "sqlite:PATH" for memory and
            a file; "redis", or a URL like "redis://HOST:PORT", for a Redis that several processes
            share; any `langcache.engine.StorageBackend`; or a `langcache.LangCache` client for a
            service, which embeds the questions itself and whose cache must declare the attribute
            `scope`.
        embedding_model: Embeds the questions: "minilm" for the model in `langcache-minilm`,
            "openai:MODEL" or "sentence-transformers:NAME" for the engine's embedders, any other
            name for `litellm.embedding`, or a `langcache.engine.Embedder`.
        index_name: Caches with different names share no answers.
        budget_seconds: How long a completion may wait for a lookup or a store.
        max_question_length: Longer questions are not compared by meaning; in characters. The
            default is the length that "minilm" reads in any case; it ignores the rest of a longer
            text. A service accepts at most 1024.
        verifier: Checks that the answer to a similar question serves the asked one, too, before it
            is returned: "auto" for rules and then the pair model, "rules" or "model" for one of
            them, any `langcache.engine.verify.Verifier`, or None for no check.
        redis_url: The URL of the Redis, instead of `host`, `port` and `password`. Each of the four
            makes "redis" the default storage.
        host: The host of the Redis; by default `REDIS_HOST` of the environment. With the storage
            "redis" and none of the four, `REDIS_URL` of the environment takes precedence.
        port: The port of the Redis; by default `REDIS_PORT` of the environment, or 6379.
        password: The password of the Redis; by default `REDIS_PASSWORD` of the environment, or no
            password.
        store_truncated: Whether to store responses that ended at a limit of tokens. Those that a
            content filter has cut off are never stored.
        max_entries: The largest number of answers in "memory" or "sqlite:PATH"; None for no limit.
            To make room, those are removed that were not stored or served for the longest time.
        max_bytes: The most bytes of memory that they may take; None for no limit.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or names no storage or embedder.
        ImportError: A package that the storage or the embedder needs is not installed.
    """

    def __init__(
        self,
        *,
        similarity_threshold: float | Literal["auto"] = "auto",
        storage: str | StorageBackend | LangCache | None = None,
        embedding_model: str | Embedder = "minilm",
        index_name: str = "litellm_semantic_cache_index",
        budget_seconds: float = 0.25,
        max_question_length: int = 510,
        verifier: str | Verifier | None = "auto",
        redis_url: str | None = None,
        host: str | None = None,
        port: str | int | None = None,
        password: str | None = None,
        store_truncated: bool = False,
        max_entries: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        super().__init__()
        if similarity_threshold == "auto":
            similarity_threshold = default_similarity(verifier)
        self._threshold = check_number("similarity_threshold", similarity_threshold, 0, 1)
        budget = check_number("budget_seconds", budget_seconds, 0.001, 60)
        check_number("max_question_length", max_question_length, 0, 1_000_000)
        redis = RedisAddress(redis_url, host, port, password)
        if storage is None:
            storage = "redis" if redis else "memory"
        if redis and not isinstance(storage, str):
            raise ValueError("storage: must be left out with a Redis address")
        if not isinstance(cast("object", storage), (str, StorageBackend, LangCache)):
            raise TypeError(
                "storage: must be a str, a StorageBackend or a LangCache client,"
                f" got {type(cast('object', storage)).__name__}"
            )
        is_limited = (max_entries, max_bytes) != (None, None)
        if is_limited and (storage == "redis" or not has_limits(storage)):
            raise ValueError(
                'max_entries, max_bytes: must not be given with a storage other than "memory" and'
                ' "sqlite:PATH"'
            )
        checked_by = create_verifier(verifier)
        self._store_truncated = store_truncated
        self._counters = Counters()
        self._workers = WorkerPool(budget, self._counters, "langcache.integrations.litellm")
        self._opened: StorageBackend | None = None
        latin_only = False
        if isinstance(storage, LangCache):
            self._store = ServiceStore(storage, max(round(budget * 1000), 1), checked_by)
            max_question_length = min(max_question_length, 1024)
        else:
            if isinstance(storage, str):
                storage = self._opened = open_storage(
                    storage, redis, max_entries=max_entries, max_bytes=max_bytes
                )
            embedding_model = open_embedder(embedding_model)
            latin_only = reads_latin_only(embedding_model)
            self._store = EngineStore(storage, embedding_model, index_name, checked_by)
        self._reader = QuestionReader(
            index_name, max_question_length=max_question_length, latin_only=latin_only
        )
        self.pending_calls: PendingCalls | None = None
        self.parts: dict[str, Any] = {
            "storage": storage,
            "embedding_model": embedding_model,
            "verifier": checked_by,
        }

    @property
    def similarity_threshold(self) -> float:
        """The least similarity of two questions, (1 + cosine) / 2, in [0, 1]."""
        return self._threshold

    @property
    def distance_threshold(self) -> float:
        """The greatest cosine distance of two questions, 1 - cosine, in [0, 2]."""
        return 2 * (1 - self._threshold)

    @property
    def statistics(self) -> Statistics:
        """Counts of lookups and stores since the cache was created."""
        return self._counters.snapshot()

    @contextlib.contextmanager
    def serving(self, arguments: Mapping[str, Any]) -> Generator[None]:
        """Use all of the call's arguments in the synchronous lookups of the block."""
        token = _arguments.set(arguments)
        try:
            yield
        finally:
            _arguments.reset(token)

    def failed(self, error: Exception) -> None:
        """Count and log an error of the user's own code."""
        self._workers.failed(error)

    def get_cache(self, key: str, **kwargs: Any) -> Any:
        """Return the answer to a question, as it was stored, or None.

        Args:
            key: The key that LiteLLM made of the call's parameters.
            kwargs: The call's arguments. `metadata["semantic-similarity"]` is set to the
                similarity of the answer's question: 1.0 for the same question, 0.0 on a miss.
        """
        return self._run(self._get(key, _arguments.get() or kwargs, kwargs))

    async def async_get_cache(self, key: str, **kwargs: Any) -> Any:
        """Asynchronous twin of `get_cache`."""
        return await self._arun(self._get(key, kwargs, kwargs))

    def set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        """Store an answer.

        Args:
            key: The key that LiteLLM made of the call's parameters.
            value: The answer. One that has no JSON form is not stored.
            kwargs: The call's arguments; `ttl` is how long to keep the answer, in seconds.
        """
        self._run(self._set(self._read(key, kwargs), value, kwargs))

    async def async_set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        """Asynchronous twin of `set_cache`."""
        await self._arun(self._set(self._read(key, kwargs), value, kwargs))

    async def async_set_cache_pipeline(
        self, cache_list: Iterable[tuple[str, Any]], **kwargs: Any
    ) -> None:
        """Store the embeddings of several inputs, each under its own key.

        Args:
            cache_list: The keys and the embeddings.
            kwargs: The call's arguments, as in `set_cache`.
        """
        for key, value in cache_list:
            await self._arun(self._set(self._reader.read_input(key), value, kwargs))

    async def ping(self) -> bool:
        """Return whether the storage answers within the budget."""
        return await self._workers.arun(self._store.ping) or False

    async def test_connection(self) -> dict[str, str]:
        """Return `{"status": "success" or "failed", "message": ...}`."""
        if await self.ping():
            return {"status": "success", "message": "the storage answers"}
        return {"status": "failed", "message": "the storage does not answer; see the log"}

    async def disconnect(self) -> None:
        """Close a storage that the cache opened itself. The cache cannot be used afterwards."""
        if self._opened:
            self._opened.close()

    def _read(self, key: str, arguments: Mapping[str, Any]) -> Question | None:
        # LiteLLM looks up the embedding of one input with nothing but its key.
        if arguments.keys() <= {"cache_key"}:
            return self._reader.read_input(key)
        return self._reader.read(key, arguments)

    def _get(self, key: str, arguments: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Steps[Any]:
        value, similarity = None, 0.0
        question = self._read(key, arguments)
        if question is None:
            self._counters.add("skipped")
        else:
            value, similarity = yield from self._look_up(question, arguments)
        for each in (arguments, kwargs):
            metadata = each.get("metadata")
            if isinstance(metadata, dict):
                metadata[_SIMILARITY] = similarity
        if arguments.get("messages") or arguments.get("prompt"):
            if value is None:
                refuse(partial(self._release, arguments))  # if an `AnswerCache` explains the call
            else:
                note_hit(arguments.get("litellm_logging_obj"), key)
        return value

    def _release(self, arguments: Mapping[str, Any]) -> None:
        """Let no concurrent call wait for the answer to a call."""
        if self.pending_calls:
            self.pending_calls.release(str(arguments.get("litellm_call_id")))

    def _look_up(
        self, question: Question, arguments: Mapping[str, Any]
    ) -> Steps[tuple[Any, float]]:
        """Return the value of the answer, or None, and the similarity of its question."""
        pending, call_id = self.pending_calls, arguments.get("litellm_call_id")
        if pending and isinstance(call_id, str) and _may_share(arguments):
            # Before the storage, so that an answer that arrives meanwhile is not missed.
            shared = yield from self._shared_answer(pending, question, call_id)
            if shared:
                self._counters.add("shared_answers")
                return value_of(shared), shared.similarity
        # The most common hit avoids the switch to another thread.
        found, finding = self._store.find_at_once(question), None
        value = value_of(found)
        if value is None:
            # None when it took too long or failed.
            finding = yield from self._work(partial(self._store.find, question, self._threshold))
            found = finding.answer if finding else None
            value = value_of(found)
        if found is None or value is None:
            self._counters.add("rejected" if finding and finding.rejected else "misses")
            return None, 0.0
        self._store.mark_used(found)
        self._counters.add("exact_hits" if found.exact else "semantic_hits")
        if pending:
            pending.settle(question.id, found)
        return value, found.similarity

    def _shared_answer(
        self, pending_calls: PendingCalls, question: Question, call_id: str
    ) -> Steps[StoredAnswer | None]:
        """Return the answer of a concurrent call, or None when there is none."""
        deadline = time.monotonic() + pending_calls.seconds
        while pending := pending_calls.join(question.id, call_id):
            found = yield from call(pending.wait, pending.await_, deadline - time.monotonic())
            if found or not pending.is_done:
                return found
        return None

    def _set(self, question: Question | None, value: Any, kwargs: Mapping[str, Any]) -> Steps[None]:
        answer = answer_of(value)
        ttl = kwargs.get("ttl")
        if question is None or answer is None or not (ttl is None or is_ttl(ttl)):
            self._counters.add("skipped")
            return
        if not ended_well(value, store_truncated=self._store_truncated):
            self._counters.add("skipped")
            return
        if calls_tool(value):
            question = question.exact()
        pending = self.pending_calls
        if pending:
            pending.resolve(question.id, answer)
        try:
            yield from self._work(partial(self._keep, question, answer, ttl))
        finally:
            if pending:
                pending.finish(question.id)

    def _keep(self, question: Question, answer: StoredAnswer, ttl: float | None) -> None:
        self._store.keep(question, answer.text, ttl)
        self._counters.add("stores")

    def _work(self, work: Callable[[], _T]) -> Steps[_T | None]:
        return call(self._workers.run, self._workers.arun, work)

    def _run(self, steps: Steps[_T]) -> _T | None:
        try:
            return run(steps)
        except Exception as error:  # noqa: BLE001 - no error of the cache may fail a completion
            self.failed(error)
            return None

    async def _arun(self, steps: Steps[_T]) -> _T | None:
        try:
            return await arun(steps)
        except Exception as error:  # noqa: BLE001 - no error of the cache may fail a completion
            self.failed(error)
            return None


def _may_share(arguments: Mapping[str, Any]) -> bool:
    """Return whether an answer to a call is sure to be stored when the call ends."""
    controls: Any = arguments.get("cache") or {}
    # A stream may never end.
    return not arguments.get("stream") and not controls.get("no-store")
