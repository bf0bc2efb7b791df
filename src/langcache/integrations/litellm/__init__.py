"""Semantic caching for LiteLLM.

    import langcache.integrations.litellm

    langcache.integrations.litellm.enable(similarity_threshold=0.9)

Needs the extra `litellm`.
"""

from langcache.answers.statistics import Statistics
from langcache.integrations.litellm.activation import disable, enable, update
from langcache.integrations.litellm.backend import LangCacheSemanticCache

__all__ = ["LangCacheSemanticCache", "Statistics", "disable", "enable", "update"]
