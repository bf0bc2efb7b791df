"""Semantic caching for the OpenAI Agents SDK.

    import langcache
    from agents import Agent, OpenAIResponsesModel, Runner
    from openai import AsyncOpenAI

    cache = langcache.AnswerCache("sqlite:answers.db")
    model = langcache.wrap(OpenAIResponsesModel("gpt-5", AsyncOpenAI()), cache=cache)

    with cache.scope(tenant="acme"):
        Runner.run_sync(Agent(name="support", model=model), "How do I reset my password?")

Needs the extra `openai-agents`.
"""

from langcache.integrations.openai_agents.model import wrap

__all__ = ["wrap"]
