"""`wrap`: a LlamaIndex model whose answers come from a cache."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from langcache.integrations._streams import arecorded, recorded
from langcache.integrations.llama_index._llama_index import LLM
from langcache.integrations.llama_index.answers import (
    ResponseRecording,
    answer_of,
    response_of,
    responses_of,
)
from langcache.integrations.llama_index.requests import request_of_messages, request_of_prompt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence

    from langcache.answers import AnswerCache, Lookup, Request
    from langcache.integrations.llama_index._llama_index import ChatMessage

__all__ = ["wrap"]

_Model = TypeVar("_Model", bound=LLM)

# The state of an object of pydantic's.
_STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def wrap(client: _Model, *, cache: AnswerCache) -> _Model:
    """Return a copy of a model whose answers come from a cache.

    `chat`, `complete`, `stream_chat`, `stream_complete` and their asynchronous twins are cached,
    and so is what LlamaIndex builds on them: query and chat engines, agents, predictions,
    structured outputs. The copy is of a subclass of the model's class.

    On a hit, the numbers of tokens are 0, and the response has an attribute `langcache`, a
    `langcache.answers.Hit`; in a stream, each response has it.

    Args:
        client: A model of LlamaIndex. It stays as it is.
        cache: The cache.

    Raises:
        TypeError: It is not such a model.
    """
    if not isinstance(cast("object", client), LLM):
        raise TypeError(f"client: must be an LLM of LlamaIndex, got {type(client).__name__}")
    bare = type(client)
    names = {"__module__": bare.__module__, "__qualname__": bare.__qualname__}
    kind: Any = type(bare.__name__, (_CachedMethods, bare), {**names, "__doc__": bare.__doc__})
    kind.langcache_door = _Door(cache, bare)
    return _view(kind, client.model_copy())


def _view(kind: type[_Model], llm: LLM) -> _Model:
    """Return an object of another class that has the same state, not a copy of it."""
    view = kind.__new__(kind)
    for name in _STATE:
        object.__setattr__(view, name, getattr(llm, name))
    return view


class _Door(NamedTuple):
    """What the methods of a wrapped model need beside it."""

    cache: AnswerCache
    bare: type[LLM]


class _Call(NamedTuple):
    """A call on its way to the model.

    Attributes:
        cache: The cache.
        request: What it asks; None if it cannot be cached.
        make: Calls the model.
    """

    cache: AnswerCache
    request: Request | None
    make: Callable[[], Any]


class _CachedMethods:
    """The methods of a wrapped model that are answered from the cache.

    The class has the attribute `langcache_door`. An annotation would make it a field.
    """

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        """Answer messages from the cache, or by the model."""
        return _call(_chat(self, "chat", messages, kwargs))

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Answer a prompt from the cache, or by the model."""
        return _call(_complete(self, "complete", prompt, formatted, kwargs))

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        """Answer messages by a stream from the cache, or from the model."""
        return _stream(_chat(self, "stream_chat", messages, kwargs))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Answer a prompt by a stream from the cache, or from the model."""
        return _stream(_complete(self, "stream_complete", prompt, formatted, kwargs))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        """Asynchronous twin of `chat`."""
        return await _acall(_chat(self, "achat", messages, kwargs))

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Asynchronous twin of `complete`."""
        return await _acall(_complete(self, "acomplete", prompt, formatted, kwargs))

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        """Asynchronous twin of `stream_chat`."""
        return await _astream(_chat(self, "astream_chat", messages, kwargs))

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Asynchronous twin of `stream_complete`."""
        return await _astream(_complete(self, "astream_complete", prompt, formatted, kwargs))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Let another process have the model without the cache, which cannot be pickled."""
        del protocol
        bare: type[LLM] = cast("Any", self).langcache_door.bare
        return copy.copy, (_view(bare, cast("LLM", self)),)


def _chat(
    wrapped: Any, method: str, messages: Sequence[ChatMessage], arguments: dict[str, Any]
) -> _Call:
    cache, bare = wrapped.langcache_door
    llm = _view(bare, wrapped)
    request = request_of_messages(llm, messages, arguments, stream="stream" in method)
    return _Call(cache, request, partial(getattr(llm, method), messages, **arguments))


def _complete(
    wrapped: Any, method: str, prompt: str, formatted: bool, arguments: dict[str, Any]
) -> _Call:
    cache, bare = wrapped.langcache_door
    llm = _view(bare, wrapped)
    request = request_of_prompt(
        llm, prompt, arguments, formatted=formatted, stream="stream" in method
    )
    make = partial(getattr(llm, method), prompt, formatted=formatted, **arguments)
    return _Call(cache, request, make)


def _call(call: _Call) -> Any:
    cache = call.cache
    lookup = cache.look_up(call.request, response_of)
    if lookup.value is not None:
        return _served(lookup, lookup.value)
    try:
        response = call.make()
        answer = answer_of(response)
        if answer is not None:
            cache.keep(lookup, answer)
        return response
    finally:
        cache.release(lookup)


async def _acall(call: _Call) -> Any:
    cache = call.cache
    lookup = await cache.alook_up(call.request, response_of)
    if lookup.value is not None:
        return _served(lookup, lookup.value)
    try:
        response = await call.make()
        answer = answer_of(response)
        if answer is not None:
            await cache.akeep(lookup, answer)
        return response
    finally:
        cache.release(lookup)


def _stream(call: _Call) -> Generator[Any, None, None]:
    cache = call.cache
    lookup = cache.look_up(call.request, responses_of)
    if lookup.value is not None:
        return _replayed(lookup, lookup.value)
    try:
        responses = call.make()
    except BaseException:
        cache.release(lookup)
        raise
    return recorded(cache, lookup, ResponseRecording(), responses)


async def _astream(call: _Call) -> AsyncGenerator[Any, None]:
    cache = call.cache
    lookup = await cache.alook_up(call.request, responses_of)
    if lookup.value is not None:
        return _areplayed(lookup, lookup.value)
    try:
        responses = await call.make()
    except BaseException:
        cache.release(lookup)
        raise
    return arecorded(cache, lookup, ResponseRecording(), responses)


def _replayed(lookup: Lookup[Any], found: Sequence[Any]) -> Generator[Any, None, None]:
    for each in found:
        yield _served(lookup, each)


async def _areplayed(lookup: Lookup[Any], found: Sequence[Any]) -> AsyncGenerator[Any, None]:
    for each in found:
        yield _served(lookup, each)


def _served(lookup: Lookup[Any], found: tuple[Any, dict[str, Any]]) -> Any:
    """Return the response of a hit, which tells how it was found."""
    response, usage = found
    if lookup.hit is not None:
        # Not a field: it is in no dump of the response.
        object.__setattr__(response, "langcache", lookup.hit.with_saved(usage))
    return response
