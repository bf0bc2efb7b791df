"""Semantic caching for Anthropic's client.

    import anthropic
    import langcache

    cache = langcache.AnswerCache("sqlite:answers.db")
    client = langcache.wrap(anthropic.Anthropic(), cache=cache)

    with cache.scope(tenant="acme"):
        client.messages.create(model="claude-sonnet-5", max_tokens=1024, messages=[...])

Needs the extra `anthropic`.
"""

from langcache.integrations.anthropic.client import wrap

__all__ = ["wrap"]
