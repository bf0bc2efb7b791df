"""All that is used of LiteLLM, imported here and nowhere else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "BaseCache",
    "Cache",
    "CustomLogger",
    "litellm",
    "litellm_parameters",
    "mixes_up_embeddings",
]

if TYPE_CHECKING:
    # LiteLLM's own annotations change with its releases; these are the parts that do not.
    class BaseCache:
        """Where LiteLLM keeps responses."""

        def __init__(self, default_ttl: int = 60) -> None: ...

    class Cache:
        """What LiteLLM asks before each call; it decides about controls and asks a `BaseCache`."""

        cache: BaseCache
        namespace: str | None

        def __init__(self, **arguments: Any) -> None: ...
        def get_cache(
            self, dynamic_cache_object: BaseCache | None = None, **kwargs: Any
        ) -> Any: ...

    class CustomLogger:
        """Is told how each call ended."""

else:
    try:
        from litellm.caching.base_cache import BaseCache
        from litellm.caching.caching import Cache
        from litellm.integrations.custom_logger import CustomLogger
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise ImportError(
            "to use langcache.integrations.litellm, install the extra: "
            'pip install "langcache[litellm]"'
        ) from error

# It comes without types.
litellm: Any = import_module("litellm")


def litellm_parameters() -> frozenset[str]:
    """Return the names of arguments that LiteLLM keeps to itself and sends to no model."""
    return frozenset(import_module("litellm.types.utils").all_litellm_params)


def mixes_up_embeddings() -> bool:
    """Tell whether this release gives inputs the vectors of others when some are cached.

    Releases before 1.104 or so ask the model for all inputs of an asynchronous call, and take the
    answer for that to the inputs which are not cached.
    """
    handler = import_module("litellm.caching.caching_handler").CachingHandlerResponse
    return "embedding_uncached_input" not in handler.model_fields
