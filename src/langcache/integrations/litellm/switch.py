"""Puts the cache to work in LiteLLM, and takes it out again."""

from __future__ import annotations

import contextlib
import inspect
import uuid
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from langcache.integrations.litellm._checks import check_number
from langcache.integrations.litellm._flights import Flights
from langcache.integrations.litellm._foreign import (
    BaseCache,
    Cache,
    CustomLogger,
    litellm,
    mixes_up_embeddings,
)
from langcache.integrations.litellm._requests import (
    INPUT_KEY,
    NO_KEY,
    NotCacheableError,
    digest,
    namespace_of,
    parameters,
)
from langcache.integrations.litellm.backend import LangCacheSemanticCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Unpack

    from langcache import LangCache
    from langcache.engine import Embedder, StorageBackend

__all__ = ["disable", "enable", "update"]

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
_REDIS_SETTINGS = ("redis_url", "host", "port", "password")
# LiteLLM imports these when it makes a response of what a cache returns, and fails without them.
_NEEDED_FOR_A_HIT = ("fastapi", "orjson", "soundfile")


class Settings(TypedDict, total=False):
    """The arguments of `enable`."""

    similarity_threshold: float
    storage: str | StorageBackend | LangCache | None
    embedding_model: str | Embedder
    index_name: str
    budget_seconds: float
    max_question_length: int
    redis_url: str | None
    host: str | None
    port: str | int | None
    password: str | None
    scope: Callable[[dict[str, Any]], Any] | None
    single_flight_seconds: float
    supported_call_types: Sequence[CallType]
    mode: Literal["default_on", "default_off"]
    namespace: str | None
    ttl: float | None
    max_messages: int | None


class _LiteLLMCache(Cache):
    """LiteLLM's cache with keys that tell all answers apart.

    Args:
        backend: Where the answers are.
        settings: What `enable` was called with.
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
            # Earlier turns are part of the scope, so a long conversation does no harm.
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
        backend.flights = Flights(seconds) if seconds else None

    @property
    def get_cache_key(self) -> Callable[..., str]:
        """What LiteLLM calls for a key; assign a function to have parameters made of its result."""
        return self._key

    @get_cache_key.setter
    def get_cache_key(self, function: Callable[..., Any]) -> None:
        self._key_function = function

    def _key(self, **arguments: Any) -> str:
        """Return a key of all that an answer depends on but for messages and prompts.

        It never raises, as LiteLLM would let that through to the caller of the model.
        """
        # The text completion itself is cached; this is LiteLLM's way to get its answer.
        if arguments.get("text_completion"):
            return NO_KEY
        try:
            said: Any = (
                self._key_function(**arguments) if self._key_function else parameters(arguments)
            )
            scope = self._scope(arguments) if self._scope else None
            namespace = namespace_of(arguments) or self.namespace
            inputs = arguments.get("input")
            key = digest([said, scope, namespace, inputs])
        except NotCacheableError:
            return f"{NO_KEY}{uuid.uuid4().hex}"
        except Exception as error:  # noqa: BLE001 - the user's own functions
            self.backend.failed(error)
            return f"{NO_KEY}{uuid.uuid4().hex}"
        return key if inputs is None else INPUT_KEY + key

    def get_cache(self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any) -> Any:
        """Return the answer to a call, or None."""
        with self.backend.serving(kwargs):
            return super().get_cache(dynamic_cache_object, **kwargs)


class _EndOfCalls(CustomLogger):
    """Tells the cache when a call has ended, so that nobody waits for its answer in vain."""

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
    if isinstance(cache, _LiteLLMCache) and cache.backend.flights:
        cache.backend.flights.release(str(kwargs.get("litellm_call_id")))


_end_of_calls = _EndOfCalls()


def enable(**settings: Unpack[Settings]) -> LangCacheSemanticCache:
    """Have LiteLLM answer from a cache what has been asked before, in the same or other words.

    It takes the place of any other cache in `litellm.cache`.

    Args:
        **settings: All are optional. Those of `LangCacheSemanticCache`: `similarity_threshold`
            (0.9), `storage` ("memory"), `embedding_model` ("minilm"), `index_name`,
            `budget_seconds` (0.25), `max_question_length` (254), `redis_url`, `host`, `port`,
            `password`. And:

            `scope`: a function of the call's arguments; calls for which it returns something
            else share no answers. Name the tenant with it. What it returns has to be made of
            str, numbers, lists and dicts. If it raises, the call is not cached.

            `single_flight_seconds`: how long a call waits at most for the answer that another
            call is getting from the model to the same request (10; 0 for not at all).

            `supported_call_types`: the calls to cache, by default completion, acompletion,
            text_completion, atext_completion, embedding and aembedding; aembedding never with a
            release of LiteLLM that mixes up the vectors of its inputs (before 1.104 or so).

            `mode`: "default_on", or "default_off" to cache only calls with
            `cache={"use-cache": True}`.

            `namespace`: calls in another one share no answers; `cache={"namespace": ...}` says so
            for one call.

            `ttl`: after how many seconds an answer is forgotten (never); `cache={"ttl": ...}`
            says so for one answer.

            `max_messages`: longer conversations are not cached (no limit).

    Returns:
        The cache, for its statistics.

    Raises:
        TypeError: An argument is unknown or has the wrong type.
        ValueError: An argument is out of its range.
        ImportError: A package that is needed is not installed.
    """
    unknown = settings.keys() - Settings.__annotations__.keys()
    if unknown:
        raise TypeError(f"enable() has no argument {min(unknown)!r}")
    for name in _NEEDED_FOR_A_HIT:
        if find_spec(name) is None:
            raise ImportError(
                f"LiteLLM needs {name} to return what is cached;"
                ' install the extra: pip install "langcache[litellm]"'
            )
    names = inspect.signature(LangCacheSemanticCache).parameters
    chosen = {name: each for name, each in settings.items() if name in names}
    backend = LangCacheSemanticCache(**cast("Any", chosen))
    litellm.cache = _LiteLLMCache(backend, settings)
    if _end_of_calls not in litellm.callbacks:
        litellm.callbacks.append(_end_of_calls)
    return backend


def update(**settings: Unpack[Settings]) -> LangCacheSemanticCache:
    """Change some settings of the cache and keep the others, and the answers.

    Args:
        **settings: As for `enable`.

    Returns:
        The cache, whose statistics begin anew.

    Raises:
        RuntimeError: `enable` has not been called.
        TypeError: As for `enable`.
        ValueError: As for `enable`.
        ImportError: As for `enable`.
    """
    cache = litellm.cache
    if not isinstance(cache, _LiteLLMCache):
        raise RuntimeError("update() changes the settings of a cache: call enable() first")
    known: dict[str, Any] = {**cache.settings, **cache.backend.parts}
    if settings.keys() & {"storage", *_REDIS_SETTINGS}:
        del known["storage"]
    # They have become the storage, or make way for another one.
    kept = {name: each for name, each in known.items() if name not in _REDIS_SETTINGS}
    return enable(**cast("Any", {**kept, **settings}))


def disable() -> None:
    """Have LiteLLM ask the model each time. Stored answers stay where they are."""
    for name in (
        "callbacks",
        "input_callback",
        "success_callback",
        "failure_callback",
        "_async_success_callback",
        "_async_failure_callback",
    ):
        callbacks: list[Any] = getattr(litellm, name)
        for callback in ("cache", _end_of_calls):
            with contextlib.suppress(ValueError):
                callbacks.remove(callback)
    litellm.cache = None
