"""Semantic caching for LlamaIndex.

    import langcache
    from llama_index.core import Settings

    cache = langcache.AnswerCache("sqlite:answers.db")
    Settings.llm = langcache.wrap(llm, cache=cache)

    with cache.scope(tenant="acme"):
        Settings.llm.complete("How do I reset my password?")

Needs the extra `llama-index`.
"""

from langcache.integrations.llama_index.llm import wrap

__all__ = ["wrap"]
