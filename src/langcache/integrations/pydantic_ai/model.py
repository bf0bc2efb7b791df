"""`CachedModel`: a Pydantic AI model whose answers come from a cache."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from langcache.answers import AnswerCache
from langcache.integrations._streams import arecorded
from langcache.integrations.pydantic_ai._pydantic_ai import (
    Model,
    StreamedResponse,
    WrapperModel,
)
from langcache.integrations.pydantic_ai.answers import (
    EventRecording,
    answer_of,
    stored_of,
    stored_stream_of,
)
from langcache.integrations.pydantic_ai.requests import ProfileText, request_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from datetime import datetime

    from langcache.answers import Hit, Lookup, Request
    from langcache.integrations.pydantic_ai._pydantic_ai import (
        ModelRequestParameters,
        ModelResponse,
    )
    from langcache.integrations.pydantic_ai.answers import Stored

__all__ = ["CachedModel", "wrap"]


class CachedModel(WrapperModel):
    """Answers calls of a model from a cache.

    `request` and `request_stream` are cached; the model with its settings, the instructions and
    the earlier messages must be equal. With tools, or an output that the model gives by a tool,
    only the same messages find the answer.

    On a hit, the usage is zero, and the response has an attribute `langcache`, a
    `langcache.answers.Hit`.

    Args:
        wrapped: The model, or its name, such as "openai:gpt-5".
        cache: The cache.
    """

    def __init__(self, wrapped: Model | str, *, cache: AnswerCache) -> None:
        if not isinstance(cast("object", cache), AnswerCache):
            raise TypeError(f"cache: must be an AnswerCache, got {type(cache).__name__}")
        super().__init__(wrapped)
        self.cache: AnswerCache = cache
        self._profile_text = ProfileText()

    async def request(
        self,
        messages: list[Any],
        model_settings: Any,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer messages from the cache, or by the model."""
        cache = self.cache
        request = self._asked(messages, model_settings, model_request_parameters, stream=False)
        lookup = await cache.alook_up(request, stored_of)
        if lookup.value is not None:
            return _served(lookup.value, _hit(lookup, lookup.value))
        try:
            response = await super().request(messages, model_settings, model_request_parameters)
            answer = answer_of(response)
            if answer is not None:
                await cache.akeep(lookup, answer)
            return response
        finally:
            cache.release(lookup)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[Any],
        model_settings: Any,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Answer messages by a stream from the cache, or from the model."""
        cache = self.cache
        request = self._asked(messages, model_settings, model_request_parameters, stream=True)
        lookup = await cache.alook_up(request, stored_stream_of)
        if lookup.value is not None:
            yield _Replay(model_request_parameters, lookup.value, _hit(lookup, lookup.value))
            return
        try:
            async with super().request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                yield _recording(stream, cache, lookup)
        finally:
            cache.release(lookup)

    def _asked(
        self,
        messages: list[Any],
        settings: Any,
        parameters: ModelRequestParameters,
        *,
        stream: bool,
    ) -> Request | None:
        return request_of(
            self.wrapped, messages, settings, parameters, self._profile_text, stream=stream
        )


def wrap(client: Model, *, cache: AnswerCache) -> CachedModel:
    """Return a model that answers from a cache, and else from another model.

    Args:
        client: A model of Pydantic AI.
        cache: The cache.

    Raises:
        TypeError: It is not such a model.
    """
    if not isinstance(cast("object", client), Model):
        raise TypeError(f"client: must be a Model of Pydantic AI, got {type(client).__name__}")
    return CachedModel(client, cache=cache)


def _hit(lookup: Lookup[Any], stored: Stored) -> Hit | None:
    return lookup.hit and lookup.hit.with_saved(stored.saved)


def _served(stored: Stored, hit: Hit | None) -> ModelResponse:
    stored.response.langcache = hit  # not a field: it is in no dump of the response
    return stored.response


def _recording(
    stream: StreamedResponse, cache: AnswerCache, lookup: Lookup[Any]
) -> StreamedResponse:
    """Let a stream record what is read of it. It stays the same object, of a subclass."""
    recorded: Any = stream
    recorded.__class__ = _recorded_class(type(stream))
    recorded.langcache_recording = cache, lookup, EventRecording(stream)
    return recorded


@lru_cache
def _recorded_class(kind: type[StreamedResponse]) -> Any:
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (_Recorded, kind), names)


class _Recorded(StreamedResponse):
    def __aiter__(self) -> AsyncIterator[Any]:
        # Pydantic AI keeps the iterator here, too, for whoever asks for it next.
        if self._event_iterator is None:
            cache, lookup, recording = cast("Any", self).langcache_recording
            self._event_iterator = arecorded(cache, lookup, recording, super().__aiter__())
        return self._event_iterator


class _Replay(StreamedResponse):
    """A stream from the cache."""

    def __init__(self, parameters: ModelRequestParameters, stored: Stored, hit: Hit | None) -> None:
        super().__init__(parameters)
        self.langcache = hit
        self._response: Any = _served(stored, hit)
        self._events = stored.events
        self._parts: list[Any] = []
        self._is_read = False
        self.finish_reason = self._response.finish_reason
        self.provider_response_id = getattr(self._response, "provider_response_id", None)
        self.provider_details = getattr(self._response, "provider_details", None)

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._event_iterator is None:
            self._event_iterator = self._get_event_iterator()
        return self._event_iterator

    async def _get_event_iterator(self) -> AsyncIterator[Any]:
        for event in self._events:
            if event.event_kind == "part_start":
                self._parts[event.index :] = [event.part]
            elif event.event_kind == "part_delta":
                self._parts[event.index] = event.delta.apply(self._parts[event.index])
            elif event.event_kind == "final_result":
                self.final_result_event = event
            yield event
        self._is_read = self._finished = True

    def get(self) -> ModelResponse:
        if self._is_read:
            return self._response
        return replace(self._response, parts=list(self._parts))

    async def close_stream(self) -> None:
        """Do nothing: there is no connection."""

    @property
    def model_name(self) -> str:
        return self._response.model_name or ""

    @property
    def provider_name(self) -> str | None:
        return self._response.provider_name

    @property
    def provider_url(self) -> str | None:
        return getattr(self._response, "provider_url", None)

    @property
    def timestamp(self) -> datetime:
        return self._response.timestamp
