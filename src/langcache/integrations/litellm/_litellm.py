"""The parts of LiteLLM that the integration uses, imported only here."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

__all__ = [
    "BaseCache",
    "Cache",
    "CustomLogger",
    "keep_signatures",
    "litellm",
    "mixes_up_embeddings",
    "note_hit",
    "observing_parameters",
]

if TYPE_CHECKING:
    from collections.abc import Iterable

    # LiteLLM's own annotations change with each release; these parts do not.
    class BaseCache:
        """A storage of responses."""

        def __init__(self, default_ttl: int = 60) -> None: ...

    class Cache:
        """The front end: obeys the cache controls of a call and queries a `BaseCache`."""

        cache: BaseCache
        namespace: str | None

        def __init__(self, **arguments: Any) -> None: ...
        def get_cache(
            self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any
        ) -> Any: ...

    class CustomLogger:
        """A logger, informed of the end of each call."""

else:
    try:
        from litellm.caching.base_cache import BaseCache
        from litellm.caching.caching import Cache
        from litellm.integrations.custom_logger import CustomLogger
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise ImportError(
            'langcache.integrations.litellm needs the extra litellm; see "Install" in the README'
        ) from error

# It has no type information.
litellm: Any = import_module("litellm")


def observing_parameters() -> frozenset[str]:
    """Return the names of arguments for LiteLLM's logs, traces and costs."""
    types = import_module("litellm.types.utils")
    observing = {
        *types.StandardCallbackDynamicParams.__annotations__,
        *types.CustomPricingLiteLLMParams.model_fields,
    }
    # A version of a prompt that is kept elsewhere.
    return frozenset(observing - {"langfuse_prompt_version"})


def mixes_up_embeddings() -> bool:
    """Return whether this release mixes up the vectors of `aembedding` when some are cached.

    Releases before about 1.104 send all inputs of an asynchronous call to the model, and assign
    the vectors to the inputs that are not cached.
    """
    handler = import_module("litellm.caching.caching_handler").CachingHandlerResponse
    return "embedding_uncached_input" not in handler.model_fields


def keep_signatures(names: Iterable[str]) -> None:
    """Let LiteLLM read the signatures of its functions, instead of computing them for each lookup.

    Args:
        names: The names of the functions.
    """
    for name in names:
        function = inspect.unwrap(getattr(litellm, name))
        if isinstance(function, FunctionType):
            cast("Any", function).__signature__ = inspect.signature(function)


def note_hit(call: Any, key: str) -> None:
    """Tell LiteLLM that a call is answered from the cache, before it asks.

    So it does not compute the key of the call once more, and the cost in the answer's hidden
    parameters is 0, as it is in LiteLLM's logs. There it would otherwise be the price of the call.

    Args:
        call: LiteLLM's logging object of the call.
        key: The key by which the answer was found.
    """
    # The place where LiteLLM itself puts the key of a stream. It belongs to this call alone.
    arguments: Any = getattr(getattr(call, "llm_caching_handler", None), "request_kwargs", None)
    if isinstance(arguments, dict):
        cast("dict[str, Any]", arguments).setdefault("cache_key", key)
    details: Any = getattr(call, "model_call_details", None)
    if isinstance(details, dict):
        cast("dict[str, Any]", details)["cache_hit"] = True
