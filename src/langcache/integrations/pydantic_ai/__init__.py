"""Semantic caching for Pydantic AI.

    import langcache
    from langcache.integrations.pydantic_ai import CachedModel
    from pydantic_ai import Agent

    cache = langcache.AnswerCache("sqlite:answers.db")
    agent = Agent(CachedModel("openai:gpt-5", cache=cache))

    with cache.scope(tenant="acme"):
        agent.run_sync("How do I reset my password?")

Needs the extra `pydantic-ai`.
"""

from langcache.integrations.pydantic_ai.model import CachedModel, wrap

__all__ = ["CachedModel", "wrap"]
