"""`enable`, `update` and `disable`: install the cache in LiteLLM, change it, remove it."""

from __future__ import annotations

import contextlib
import inspect
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from langcache.integrations.litellm._litellm import keep_signatures, litellm
from langcache.integrations.litellm._litellm_cache import (
    CALL_TYPES,
    EndOfCallLogger,
    LangCacheCache,
    Settings,
)
from langcache.integrations.litellm.backend import LangCacheSemanticCache

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["disable", "enable", "update"]

_REDIS_SETTINGS = ("redis_url", "host", "port", "password")
_OF_THE_STORAGE = (*_REDIS_SETTINGS, "max_entries", "max_bytes")
# LiteLLM imports these to make a response of a cached answer, and fails without them.
_NEEDED_FOR_A_HIT = ("fastapi", "orjson", "soundfile")
_end_of_call_logger = EndOfCallLogger()


def enable(**settings: Unpack[Settings]) -> LangCacheSemanticCache:
    """Make LiteLLM answer repeated and rephrased questions from a cache.

    It replaces any other cache in `litellm.cache`.

    Args:
        **settings: All are optional. The arguments of `LangCacheSemanticCache`:
            `similarity_threshold` ("auto"), `storage`
            ("memory"), `embedding_model` ("minilm"), `index_name`, `budget_seconds` (0.25),
            `max_question_length` (510), `verifier` ("auto"), `redis_url`, `host`, `port`,
            `password`, `store_truncated` (False), `max_entries` (None), `max_bytes` (None). In
            addition:

            `scope`: a function of the call's arguments. Calls share answers only if it returns
            equal values for them. Use it to separate tenants. It must return str, numbers, lists
            and dicts. If it raises an error, the call is not cached.

            `single_flight_seconds`: how long a call may wait for the answer to a concurrent call
            with the same question (10); 0 turns this off.

            `supported_call_types`: the calls to cache, by default completion, acompletion,
            text_completion, atext_completion, embedding and aembedding. aembedding is never
            cached with releases of LiteLLM before about 1.104, which mix up the vectors.

            `mode`: "default_on", or "default_off" to cache only calls with
            `cache={"use-cache": True}`.

            `namespace`: calls in different namespaces share no answers. A call can name its own
            with `cache={"namespace": ...}`.

            `ttl`: how long an answer is kept, in seconds (without limit). A call can set its own
            with `cache={"ttl": ...}`.

            `max_messages`: longer conversations are not cached (no limit).

    Returns:
        The cache, which has the statistics.

    Raises:
        TypeError: An argument is unknown or has the wrong type.
        ValueError: An argument is out of range.
        ImportError: A required package is not installed.
    """
    unknown = settings.keys() - Settings.__annotations__.keys()
    if unknown:
        raise TypeError(f"enable() has no argument {min(unknown)!r}")
    for name in _NEEDED_FOR_A_HIT:
        if find_spec(name) is None:
            raise ImportError(
                f"LiteLLM needs {name} to return a cached answer;"
                ' install the extra litellm; see "Install" in the README'
            )
    names = inspect.signature(LangCacheSemanticCache).parameters
    chosen = {name: each for name, each in settings.items() if name in names}
    backend = LangCacheSemanticCache(**cast("Any", chosen))
    litellm.cache = LangCacheCache(backend, settings)
    keep_signatures(CALL_TYPES)
    if _end_of_call_logger not in litellm.callbacks:
        litellm.callbacks.append(_end_of_call_logger)
    return backend


def update(**settings: Unpack[Settings]) -> LangCacheSemanticCache:
    """Change some settings of the cache; the other settings and the answers stay.

    Args:
        **settings: The arguments of `enable`.

    Returns:
        The cache, with new statistics.

    Raises:
        RuntimeError: `enable` has not been called.
        TypeError: As for `enable`.
        ValueError: As for `enable`.
        ImportError: As for `enable`.
    """
    cache = litellm.cache
    if not isinstance(cache, LangCacheCache):
        raise RuntimeError("update() changes an existing cache: call enable() first")
    known: dict[str, Any] = {**cache.settings, **cache.backend.parts}
    if settings.keys() & {"storage", *_REDIS_SETTINGS}:
        del known["storage"]
    # These settings are part of the storage already, or about to be replaced.
    kept = {name: each for name, each in known.items() if name not in _OF_THE_STORAGE}
    return enable(**cast("Any", {**kept, **settings}))


def disable() -> None:
    """Remove the cache from LiteLLM. Stored answers stay where they are."""
    for name in (
        "callbacks",
        "input_callback",
        "success_callback",
        "failure_callback",
        "_async_success_callback",
        "_async_failure_callback",
    ):
        callbacks: list[Any] = getattr(litellm, name)
        for callback in ("cache", _end_of_call_logger):
            with contextlib.suppress(ValueError):
                callbacks.remove(callback)
    litellm.cache = None
