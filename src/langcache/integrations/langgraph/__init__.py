"""Caching of nodes for LangGraph.

    from langcache import AnswerCache
    from langcache.integrations.langgraph import LangCacheNodeCache

    graph = builder.compile(cache=LangCacheNodeCache(AnswerCache("redis://localhost")))

Needs the extra `langgraph`.
"""

from langcache.integrations.langgraph.cache import LangCacheNodeCache

__all__ = ["LangCacheNodeCache"]
