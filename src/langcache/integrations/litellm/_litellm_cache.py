"""The `litellm.Cache` that makes keys of all parameters of a call."""

from __future__ import annotations

import inspect
import uuid
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from langcache.answers._checks import check_number
from langcache.answers._pending_calls import PendingCalls
from langcache.answers.digests import NotCacheableError, digest
from langcache.integrations.litellm._litellm import (
    BaseCache,
    Cache,
    CustomLogger,
    litellm,
    mixes_up_embeddings,
)
from langcache.integrations.litellm._question import INPUT_KEY, NO_KEY
from langcache.integrations.litellm._scope import namespace_of, parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langcache import LangCache
    from langcache.engine import Embedder, StorageBackend
    from langcache.engine.verify import Verifier
    from langcache.integrations.litellm.backend import LangCacheSemanticCache

CallType = Literal[
    "completion",
    "acompletion",
    "text_completion",
    "atext_completion",
    "embedding",
    "aembedding",
]
CALL_TYPES: tuple[CallType, ...] = (
    "completion",
    "acompletion",
    "text_completion",
    "atext_completion",
    "embedding",
    "aembedding",
)


class Settings(TypedDict, total=False):
    """The arguments of `enable`."""

    similarity_threshold: float
    storage: str | StorageBackend | LangCache | None
    embedding_model: str | Embedder
    index_name: str
    budget_seconds: float
    max_question_length: int
    verifier: str | Verifier | None
    redis_url: str | None
    host: str | None
    port: str | int | None
    password: str | None
    store_truncated: bool
    max_entries: int | None
    max_bytes: int | None
    scope: Callable[[dict[str, Any]], Any] | None
    single_flight_seconds: float
    supported_call_types: Sequence[CallType]
    mode: Literal["default_on", "default_off"]
    namespace: str | None
    ttl: float | None
    max_messages: int | None


class LangCacheCache(Cache):
    """LiteLLM's cache, with keys that depend on everything that an answer depends on.

    Args:
        backend: Stores the answers.
        settings: The arguments of `enable`.
    """

    def __init__(self, backend: LangCacheSemanticCache, settings: Settings) -> None:
        mode = settings.get("mode", "default_on")
        if mode not in ("default_on", "default_off"):
            raise ValueError('mode: must be "default_on" or "default_off"')
        call_types = list(settings.get("supported_call_types", CALL_TYPES))
        if mixes_up_embeddings():
            call_types = [each for each in call_types if each != "aembedding"]
        arguments: dict[str, Any] = {
            "type": "local",
            "mode": mode,
            "namespace": settings.get("namespace"),
            "ttl": settings.get("ttl"),
            "supported_call_types": call_types,
            # LiteLLM's limit of 4 is not needed: earlier messages are part of the scope.
            "max_messages": settings.get("max_messages"),
        }
        known = inspect.signature(Cache.__init__).parameters
        super().__init__(**{name: each for name, each in arguments.items() if name in known})
        self.cache = backend
        self.backend = backend
        self.settings = settings
        self._scope = settings.get("scope")
        if not (self._scope is None or callable(self._scope)):
            raise TypeError(f"scope: must be a function, got {type(self._scope).__name__}")
        self._key_function: Callable[..., Any] | None = None
        seconds = check_number(
            "single_flight_seconds", settings.get("single_flight_seconds", 10.0), 0, 3600
        )
        backend.pending_calls = PendingCalls(seconds) if seconds else None

    @property
    def get_cache_key(self) -> Callable[..., str]:
        """The function that LiteLLM calls for a key.

        A function assigned to it replaces the parameters as the source of the key.
        """
        return self._key

    @get_cache_key.setter
    def get_cache_key(self, function: Callable[..., Any]) -> None:
        self._key_function = function

    def _key(self, **arguments: Any) -> str:
        """Return a key of everything that an answer depends on, except messages and prompt.

        It never raises an error, because LiteLLM would pass it on to the caller of the model.
        """
        # LiteLLM implements text completions by chat completions; only the outer call is cached.
        if arguments.get("text_completion"):
            return NO_KEY
        try:
            decisive: Any = (
                self._key_function(**arguments) if self._key_function else parameters(arguments)
            )
            scope = self._scope(arguments) if self._scope else None
            namespace = namespace_of(arguments) or self.namespace
            inputs = arguments.get("input")
            key = digest([decisive, scope, namespace, inputs])
        except NotCacheableError:
            return f"{NO_KEY}{uuid.uuid4().hex}"
        except Exception as error:  # noqa: BLE001 - any error of the user's own functions
            self.backend.failed(error)
            return f"{NO_KEY}{uuid.uuid4().hex}"
        return key if inputs is None else INPUT_KEY + key

    def get_cache(self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any) -> Any:
        """Return the answer to a call, or None."""
        with self.backend.serving(kwargs):
            return super().get_cache(dynamic_cache_object, **kwargs)


class EndOfCallLogger(CustomLogger):
    """Informs the cache of the end of each call, so that no other call waits for it longer."""

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        _release(kwargs)

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        _release(kwargs)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        _release(kwargs)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        _release(kwargs)


def _release(kwargs: dict[str, Any]) -> None:
    cache = litellm.cache
    if isinstance(cache, LangCacheCache) and cache.backend.pending_calls:
        cache.backend.pending_calls.release(str(kwargs.get("litellm_call_id")))
