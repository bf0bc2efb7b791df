"""Semantic caching for OpenAI's client, and for every service with the same API.

    import openai
    import langcache

    cache = langcache.AnswerCache("sqlite:answers.db")
    client = langcache.wrap(openai.OpenAI(), cache=cache)

    with cache.scope(tenant="acme"):
        client.chat.completions.create(model="gpt-5", messages=[...])

Needs the extra `openai`.
"""

from langcache.integrations.openai.client import wrap

__all__ = ["wrap"]
