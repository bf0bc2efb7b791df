"""The cache behind LiteLLM's: it knows what an answer depends on, and keeps it."""

from __future__ import annotations

import contextlib
import json
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langcache import LangCache
from langcache.engine import StorageBackend
from langcache.integrations.litellm._answers import calls_tool, is_answer, is_ttl, parsed, text_of
from langcache.integrations.litellm._budget import Budget
from langcache.integrations.litellm._checks import check_number
from langcache.integrations.litellm._embedders import open_embedder, reads_latin_only
from langcache.integrations.litellm._flights import Wait
from langcache.integrations.litellm._foreign import BaseCache
from langcache.integrations.litellm._redis import RedisAddress
from langcache.integrations.litellm._requests import RequestReader
from langcache.integrations.litellm._stores import EngineStore, Found, ServiceStore, open_storage
from langcache.integrations.litellm.statistics import Counters, Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from langcache.engine import Embedder
    from langcache.integrations.litellm._flights import Flights
    from langcache.integrations.litellm._requests import Request

    _T = TypeVar("_T")
    _Steps = Generator[Callable[[], Any] | Wait, Any, _T]

__all__ = ["LangCacheSemanticCache"]

_SIMILARITY = "semantic-similarity"

# LiteLLM hands a synchronous lookup less than the call's arguments.
_arguments: ContextVar[Mapping[str, Any] | None] = ContextVar("_arguments", default=None)


class LangCacheSemanticCache(BaseCache):
    """A LiteLLM cache backend that answers questions which mean the same.

    `langcache.integrations.litellm.enable` puts it to work, and has LiteLLM hand it everything
    that an answer depends on. Behind a `litellm.Cache` of another making
    (`Cache(type="redis-semantic", _backend=...)`) it has LiteLLM's key to go by, besides the
    messages.

    An answer is found again by the same request, or by one that differs in its question only: the
    last message, if it is a user's and nothing but text, or the prompt of a text completion. The
    earlier messages, the system prompt and the parameters have to be equal, and so have the
    numbers in the question. Answers that call a tool are found by the same request only.

    No method raises for what goes wrong with the storage or the embedder, nor waits for them
    longer than the budget; the logger `langcache.integrations.litellm` tells of it once, and
    `statistics` always.

    Args:
        similarity_threshold: The least similarity of two questions, (1 + cosine) / 2: 1 is the
            same vector, 0 the opposite one. It is the scale of all of langcache, and stands for
            the cosine distance 2 * (1 - similarity), in [0, 2]. Where LiteLLM's own semantic
            caches say s, say (1 + s) / 2 here for the same strictness.
        storage: Where answers are kept: "memory" for this process; "sqlite:PATH" for memory and a
            file; "redis", or a URL like "redis://HOST:PORT", for a Redis that several processes
            share; any `langcache.engine.StorageBackend`; or a `langcache.LangCache` client for a
            service, whose cache has to declare the attribute `scope`. A service embeds by itself.
        embedding_model: What embeds questions: "minilm" for the model in `langcache-minilm`,
            "openai:MODEL" or "sentence-transformers:NAME" for the engine's embedders, any other
            name for `litellm.embedding`, or a `langcache.engine.Embedder`.
        index_name: Answers of another name are never found.
        budget_seconds: How long a completion may wait for a lookup or a store.
        max_question_length: Longer questions are found by the same request only; in characters.
            By default as many as "minilm" is sure to read; it overlooks what follows. A service
            takes 1024 at most.
        redis_url: The URL of the Redis, without `host`, `port` and `password`. One of the four
            makes "redis" the storage when none is said.
        host: The host of the Redis; by default the environment's `REDIS_HOST`. When none of the
            four is given, and the storage is "redis", the environment's `REDIS_URL` goes first.
        port: The port of the Redis; by default the environment's `REDIS_PORT`, or 6379.
        password: The password of the Redis; by default the environment's `REDIS_PASSWORD`, or
            none.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range, or names no storage or embedder.
        ImportError: The embedder needs a package that is not installed.
    """

    def __init__(
        self,
        *,
        similarity_threshold: float = 0.9,
        storage: str | StorageBackend | LangCache | None = None,
        embedding_model: str | Embedder = "minilm",
        index_name: str = "litellm_semantic_cache_index",
        budget_seconds: float = 0.25,
        max_question_length: int = 254,
        redis_url: str | None = None,
        host: str | None = None,
        port: str | int | None = None,
        password: str | None = None,
    ) -> None:
        super().__init__()
        self._threshold = check_number("similarity_threshold", similarity_threshold, 0, 1)
        budget = check_number("budget_seconds", budget_seconds, 0.001, 60)
        check_number("max_question_length", max_question_length, 0, 1_000_000)
        redis = RedisAddress(redis_url, host, port, password)
        if storage is None:
            storage = "redis" if redis else "memory"
        if redis and not isinstance(storage, str):
            raise ValueError("storage: must be left out when a Redis is given")
        if not isinstance(cast("object", storage), (str, StorageBackend, LangCache)):
            raise TypeError(
                "storage: must be a str, a StorageBackend or a LangCache client,"
                f" got {type(cast('object', storage)).__name__}"
            )
        self._counters = Counters()
        self._budget = Budget(budget, self._counters)
        self._opened: StorageBackend | None = None
        latin_only = False
        if isinstance(storage, LangCache):
            self._store = ServiceStore(storage, max(round(budget * 1000), 1))
            max_question_length = min(max_question_length, 1024)
        else:
            if isinstance(storage, str):
                storage = self._opened = open_storage(storage, redis)
            embedding_model = open_embedder(embedding_model)
            latin_only = reads_latin_only(embedding_model)
            self._store = EngineStore(storage, embedding_model, index_name)
        self._reader = RequestReader(
            index_name, max_question_length=max_question_length, latin_only=latin_only
        )
        self.flights: Flights | None = None
        self.parts: dict[str, Any] = {"storage": storage, "embedding_model": embedding_model}

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
        """What the cache has done so far."""
        return self._counters.snapshot()

    @contextlib.contextmanager
    def serving(self, arguments: Mapping[str, Any]) -> Generator[None]:
        """Let the synchronous lookups in the block know all arguments of the call."""
        token = _arguments.set(arguments)
        try:
            yield
        finally:
            _arguments.reset(token)

    def failed(self, error: Exception) -> None:
        """Count an error of what the user has supplied, and tell of it."""
        self._budget.failed(error)

    def get_cache(self, key: str, **kwargs: Any) -> Any:
        """Return the answer to a request, as it was stored, or None.

        Args:
            key: What LiteLLM made of the call's parameters.
            kwargs: The call's arguments. `metadata["semantic-similarity"]` is set to the
                similarity of what was found, 1.0 for the same request and 0.0 for nothing.
        """
        return self._run(self._get(key, _arguments.get() or kwargs, kwargs))

    async def async_get_cache(self, key: str, **kwargs: Any) -> Any:
        """Asynchronous twin of `get_cache`."""
        return await self._arun(self._get(key, kwargs, kwargs))

    def set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        """Store an answer.

        Args:
            key: What LiteLLM made of the call's parameters.
            value: The answer; anything that JSON can hold. What it cannot is not stored.
            kwargs: The call's arguments; `ttl` says after how many seconds to forget the answer.
        """
        self._run(self._set(self._read(key, kwargs), value, kwargs))

    async def async_set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        """Asynchronous twin of `set_cache`."""
        await self._arun(self._set(self._read(key, kwargs), value, kwargs))

    async def async_set_cache_pipeline(
        self, cache_list: Iterable[tuple[str, Any]], **kwargs: Any
    ) -> None:
        """Store the embeddings of several inputs, each under a key of its own.

        Args:
            cache_list: The keys and the embeddings.
            kwargs: The call's arguments, as in `set_cache`.
        """
        for key, value in cache_list:
            await self._arun(self._set(self._reader.read_input(key), value, kwargs))

    async def ping(self) -> bool:
        """Tell whether the storage answers within the budget."""
        return await self._budget.arun(self._answers) or False

    async def test_connection(self) -> dict[str, str]:
        """Return `{"status": "success" or "failed", "message": ...}`."""
        if await self.ping():
            return {"status": "success", "message": "the storage answers"}
        return {"status": "failed", "message": "the storage does not answer; see the log"}

    async def disconnect(self) -> None:
        """Close the storage, if it was made here; the cache must not be used again then."""
        if self._opened:
            self._opened.close()

    def _answers(self) -> bool:
        self._store.ping()
        return True

    def _read(self, key: str, arguments: Mapping[str, Any]) -> Request | None:
        # LiteLLM asks for the embedding of one input by its key alone.
        if arguments.keys() <= {"cache_key"}:
            return self._reader.read_input(key)
        return self._reader.read(key, arguments)

    # What follows is the same for threads and tasks: generators that yield what to wait for.

    def _get(
        self, key: str, arguments: Mapping[str, Any], kwargs: Mapping[str, Any]
    ) -> _Steps[Any]:
        found: Found | None = None
        request = self._read(key, arguments)
        if request is None:
            self._counters.add("skipped")
        else:
            found = yield from self._look_up(request, arguments)
        for each in (arguments, kwargs):
            metadata = each.get("metadata")
            if isinstance(metadata, dict):
                metadata[_SIMILARITY] = found.similarity if found else 0.0
        return json.loads(found.text) if found else None

    def _look_up(self, request: Request, arguments: Mapping[str, Any]) -> _Steps[Found | None]:
        flights, call_id = self.flights, arguments.get("litellm_call_id")
        if flights and isinstance(call_id, str) and _may_share(arguments):
            # First, so that an answer is either on its way here or in the storage already.
            found = yield from self._another_answer(flights, request, call_id)
            if found:
                self._counters.add("shared_answers")
                return found
        # The most common hit need not pay for the way to another thread and back.
        found = _answer(self._store.find_at_once(request)) or (yield partial(self._find, request))
        if not found:
            self._counters.add("misses")
            return None
        self._counters.add("exact_hits" if found.exact else "semantic_hits")
        if flights:
            flights.answer(request.id, found)
            flights.finish(request.id)
        return found

    def _another_answer(
        self, flights: Flights, request: Request, call_id: str
    ) -> _Steps[Found | None]:
        """Wait for a call that asks the same; None when there is none, or nothing came of it."""
        deadline = time.monotonic() + flights.seconds
        while flight := flights.join(request.id, call_id):
            found = yield Wait(flight, deadline - time.monotonic())
            if found or not flight.answer.done():
                return found
        return None

    def _find(self, request: Request) -> Found | None:
        return _answer(self._store.find(request, self._threshold))

    def _set(self, request: Request | None, value: Any, kwargs: Mapping[str, Any]) -> _Steps[None]:
        text = text_of(value)
        ttl = kwargs.get("ttl")
        if request is None or text is None or not (ttl is None or is_ttl(ttl)):
            self._counters.add("skipped")
            return
        if calls_tool(value):
            request = request.exact()
        flights = self.flights
        if flights:
            flights.answer(request.id, Found(text, 1.0, exact=True))
        try:
            yield partial(self._keep, request, text, ttl)
        finally:
            if flights:
                flights.finish(request.id)

    def _keep(self, request: Request, text: str, ttl: float | None) -> None:
        self._store.keep(request, text, ttl)
        self._counters.add("stores")

    def _run(self, steps: _Steps[_T]) -> _T | None:
        result: Any = None
        try:
            while True:
                step = steps.send(result)
                result = step.wait() if isinstance(step, Wait) else self._budget.run(step)
        except StopIteration as stop:
            return stop.value
        except Exception as error:  # noqa: BLE001 - no cache is worth a completion
            self.failed(error)
            return None

    async def _arun(self, steps: _Steps[_T]) -> _T | None:
        result: Any = None
        try:
            while True:
                step = steps.send(result)
                result = await (
                    step.await_() if isinstance(step, Wait) else self._budget.arun(step)
                )
        except StopIteration as stop:
            return stop.value
        except Exception as error:  # noqa: BLE001 - no cache is worth a completion
            self.failed(error)
            return None


def _answer(found: Found | None) -> Found | None:
    """Return what was found if it is an answer that LiteLLM can read."""
    return found if found and is_answer(parsed(found.text)) else None


def _may_share(arguments: Mapping[str, Any]) -> bool:
    """Tell whether an answer to a call is sure to be stored when the call ends."""
    controls: Any = arguments.get("cache") or {}
    # A stream ends when its reader pleases.
    return not arguments.get("stream") and not controls.get("no-store")
