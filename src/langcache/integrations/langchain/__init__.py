"""Semantic caching for LangChain.

    from langchain_core.globals import set_llm_cache
    from langcache import AnswerCache
    from langcache.integrations.langchain import LangCacheSemanticCache

    cache = AnswerCache("sqlite:answers.db")
    set_llm_cache(LangCacheSemanticCache(cache))

    with cache.scope(tenant="acme"):
        model.invoke("How do I reset my password?")

`AnswerCacheMiddleware` is for the agents of LangChain 1. Needs the extra `langchain`.
"""

from typing import TYPE_CHECKING, Any

from langcache.integrations.langchain.cache import LangCacheSemanticCache

if TYPE_CHECKING:
    from langcache.integrations.langchain.middleware import AnswerCacheMiddleware

__all__ = ["AnswerCacheMiddleware", "LangCacheSemanticCache"]


def __getattr__(name: str) -> Any:
    # It needs the package langchain, which the cache does not.
    if name == "AnswerCacheMiddleware":
        from langcache.integrations.langchain.middleware import AnswerCacheMiddleware

        return AnswerCacheMiddleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
