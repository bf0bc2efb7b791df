"""LangChain's cache for models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langcache.answers.cache import AnswerCache
from langcache.integrations.langchain._langchain import BaseCache
from langcache.integrations.langchain.answers import answer_of, generations_of, served
from langcache.integrations.langchain.requests import CHAT, TEXT, request_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langcache.answers.lookups import Lookup
    from langcache.integrations.langchain._langchain import Generation

__all__ = ["LangCacheSemanticCache"]


class LangCacheSemanticCache(BaseCache):
    """Answers questions that mean the same as earlier ones.

    It reads the question out of the JSON that LangChain gives to a cache. The model with its
    parameters, the system prompt and the earlier messages must be equal, the last message of a
    human is compared by meaning.

    Args:
        cache: Where the answers are, and which of them may be served; by default an `AnswerCache`
            in memory.
    """

    def __init__(self, cache: AnswerCache | None = None) -> None:
        self.cache: AnswerCache = AnswerCache() if cache is None else cache

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the answer to a prompt, or None.

        Args:
            prompt: The text, or LangChain's JSON of the messages.
            llm_string: The model and its parameters.
        """
        found = self.cache.look_up(request_of(prompt, llm_string), generations_of)
        # LangChain does not say when a call has failed, so no other call may wait for this one.
        self.cache.release(found)
        return _served(found)

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Asynchronous twin of `lookup`. Concurrent calls of a chat model share one answer."""
        request = request_of(prompt, llm_string)
        found = await self.cache.alook_up(request, generations_of)
        # LangChain makes a task for each call of a chat model, and its end ends the waiting.
        if request is None or request.door != CHAT:
            self.cache.release(found)
        return _served(found)

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store the answer to a prompt, unless it was cut off or filtered.

        Args:
            prompt: The text, or LangChain's JSON of the messages.
            llm_string: The model and its parameters.
            return_val: What the model generated.
        """
        answer = answer_of(return_val)
        if answer is not None:
            self.cache.store(request_of(prompt, llm_string), answer)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Asynchronous twin of `update`."""
        answer = answer_of(return_val)
        if answer is not None:
            await self.cache.astore(request_of(prompt, llm_string), answer)

    def clear(self, **kwargs: Any) -> None:
        """Delete the answers of LangChain's models from the cache.

        Args:
            **kwargs: Names of the scope and their values, such as `tenant="acme"`, to delete only
                the answers that were stored with them.

        Raises:
            ValueError: The cache stores its answers in a LangCache service.
        """
        for door in (CHAT, TEXT):
            self.cache.invalidate(**{**kwargs, "door": door})

    async def aclear(self, **kwargs: Any) -> None:
        """Asynchronous twin of `clear`."""
        await asyncio.to_thread(self.clear, **kwargs)


def _served(found: Lookup[list[Generation]]) -> list[Generation] | None:
    return None if found.value is None else served(found)
