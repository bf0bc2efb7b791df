"""`CachedModel`: a model of the OpenAI Agents SDK whose answers come from a cache."""

from __future__ import annotations

import copy
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from langcache.answers import AnswerCache
from langcache.integrations._streams import arecorded
from langcache.integrations.openai import wrap as wrap_client
from langcache.integrations.openai_agents._agents import (
    Model,
    ModelResponse,
    OpenAIChatCompletionsModel,
)
from langcache.integrations.openai_agents.answers import (
    EventRecording,
    answer_of,
    events_of,
    response_of,
    saved_by,
    without_id,
)
from langcache.integrations.openai_agents.requests import Call, request_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CachedModel", "wrap"]


class CachedModel(Model):
    """Answers calls of a model from a cache.

    The model with its settings, the instructions and the earlier items must be equal. With tools
    or handoffs, only the same input finds the answer. Calls that continue a conversation that the
    provider keeps are not cached.

    On a hit, the usage is zero, and the response has an attribute `langcache`, a
    `langcache.answers.Hit`. Its id is None if it was stored for a similar question: the provider
    keeps that question, and not the caller's, under the id.

    Args:
        wrapped: The model.
        cache: The cache.
    """

    def __init__(self, wrapped: Model, *, cache: AnswerCache) -> None:
        if not isinstance(cast("object", wrapped), Model):
            raise TypeError(f"wrapped: must be a Model, got {type(wrapped).__name__}")
        if not isinstance(cast("object", cache), AnswerCache):
            raise TypeError(f"cache: must be an AnswerCache, got {type(cache).__name__}")
        self.wrapped: Model = wrapped
        self.cache: AnswerCache = cache

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,
        model_settings: Any,
        tools: list[Any],
        output_schema: Any,
        handoffs: list[Any],
        tracing: Any,
        *,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: Any = None,
    ) -> ModelResponse:
        """Answer from the cache, or by the model."""
        cache = self.cache
        call = Call(
            system_instructions, input, model_settings, tools, output_schema, handoffs, tracing
        )
        kept = (previous_response_id, conversation_id)
        lookup = await cache.alook_up(
            request_of(self.wrapped, call, prompt, kept, stream=False), response_of
        )
        if lookup.value is not None and lookup.answer and lookup.hit:
            # Not a field: it is in no dump of the response.
            cast("Any", lookup.value).langcache = saved_by(lookup.answer, lookup.hit)
            return without_id(lookup.value, lookup.hit)
        try:
            response = await self.wrapped.get_response(
                *call,
                previous_response_id=previous_response_id,
                conversation_id=conversation_id,
                prompt=prompt,
            )
            answer = answer_of(response, model_settings.max_tokens)
            if answer is not None:
                await cache.akeep(lookup, answer)
            return response
        finally:
            cache.release(lookup)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: Any,
        model_settings: Any,
        tools: list[Any],
        output_schema: Any,
        handoffs: list[Any],
        tracing: Any,
        *,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: Any = None,
    ) -> AsyncIterator[Any]:
        """Answer by a stream from the cache, or from the model."""
        cache = self.cache
        call = Call(
            system_instructions, input, model_settings, tools, output_schema, handoffs, tracing
        )
        kept = (previous_response_id, conversation_id)
        lookup = await cache.alook_up(
            request_of(self.wrapped, call, prompt, kept, stream=True), events_of
        )
        if lookup.value is not None and lookup.answer and lookup.hit:
            hit = saved_by(lookup.answer, lookup.hit)
            for event in lookup.value:
                object.__setattr__(event, "langcache", hit)
                yield without_id(event, hit)
            return
        try:
            stream: Any = self.wrapped.stream_response(
                *call,
                previous_response_id=previous_response_id,
                conversation_id=conversation_id,
                prompt=prompt,
            )
            recorded = arecorded(cache, lookup, EventRecording(), stream)
            async with aclosing(stream), aclosing(recorded):
                async for event in recorded:
                    yield event
        finally:
            cache.release(lookup)

    async def close(self) -> None:
        """Close the model that is wrapped."""
        close: Any = getattr(self.wrapped, "close", None)
        if close is not None:
            await close()

    def get_retry_advice(self, request: Any) -> Any:
        """Return the advice of the model that is wrapped."""
        advise: Any = getattr(self.wrapped, "get_retry_advice", None)
        return None if advise is None else advise(request)


def wrap(client: Model, *, cache: AnswerCache) -> Model:
    """Return a model that answers from a cache, and else from another model.

    Args:
        client: A model of the SDK. For an `OpenAIChatCompletionsModel`, it returns a copy whose
            client is wrapped, because the model does not pass on why an answer ended. For any
            other, it returns a `CachedModel`.
        cache: The cache.

    Raises:
        TypeError: It is not such a model.
    """
    if isinstance(client, OpenAIChatCompletionsModel):
        wrapped: Any = copy.copy(client)
        wrapped._client = wrap_client(wrapped._client, cache=cache)  # noqa: SLF001
        return wrapped
    return CachedModel(client, cache=cache)
