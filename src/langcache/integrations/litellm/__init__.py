"""Semantic caching for LiteLLM: `enable()` is all it takes.

    import langcache.integrations.litellm

    langcache.integrations.litellm.enable(similarity_threshold=0.9)

Needs the extra `litellm`.
"""

from langcache.integrations.litellm.backend import LangCacheSemanticCache
from langcache.integrations.litellm.statistics import Statistics
from langcache.integrations.litellm.switch import disable, enable, update

__all__ = ["LangCacheSemanticCache", "Statistics", "disable", "enable", "update"]
