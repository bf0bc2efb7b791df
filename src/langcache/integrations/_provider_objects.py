"""The objects and streams of providers' clients, made of what a cache has stored."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_origin

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

__all__ = ["is_async", "object_of", "stream_of"]


def is_async(client: Any) -> bool:
    """Return whether a client is asynchronous."""
    return inspect.iscoroutinefunction(client.post)


def object_of(kind: Any, data: Mapping[str, Any]) -> Any:
    """Return what a client makes of an answer: `kind.construct(**data)`, in less time.

    Args:
        kind: The client's class.
        data: The answer in JSON's types, as an object of this class was written.
    """
    return _made(kind, data, lambda: kind.construct(**data))


def _made(kind: Any, data: Mapping[str, Any], construct: Callable[[], Any]) -> Any:
    """Return an object of a class, or what `construct` returns if that may be another one.

    A client constructs its objects field by field in Python, and converts little. Validation makes
    the same object in a tenth of the time, if it had nothing to convert. Then the object's JSON is
    that of the data.
    """
    try:
        made = kind.model_validate(data)
        if made.model_dump_json(by_alias=True, exclude_unset=True).encode() == to_json(data):
            return made
    except ValueError:  # the data are not valid
        pass
    return construct()


def stream_of(
    client: Any, stream_class: Any, events: Sequence[Mapping[str, Any]], pace: float
) -> Any:
    """Return a stream of a client's own class, with the events that the client would read.

    Args:
        client: The client.
        stream_class: The class, with the type of the events, such as `Stream[ChatCompletionChunk]`.
        events: The data of the events.
        pace: The seconds between two events.
    """
    [kind] = get_args(stream_class)
    response = _response(client, events)
    stream = stream_class(cast_to=kind, response=response, client=client)
    objects = [_event(client, kind, each, response) for each in events]
    # In place of an iterator that would read the same events from the body of the response.
    replay = _areplay if is_async(client) else _replay
    stream._iterator = replay(objects, response, pace)
    return stream


def _event(client: Any, kind: Any, data: Mapping[str, Any], response: Any) -> Any:
    """Return an event as the client reads it from a stream."""
    variant = kind if inspect.isclass(kind) else _variants(kind).get(data.get("type"))

    def construct() -> Any:
        return client._process_response_data(data=data, cast_to=kind, response=response)

    return construct() if variant is None else _made(variant, data, construct)


@cache
def _variants(kind: Any) -> Mapping[Any, Any]:
    """Return the classes in a union of events, each by the value of its field `type`."""
    union = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    found: dict[Any, Any] = {}
    for each in get_args(union):
        field = getattr(each, "model_fields", {}).get("type")
        for name in get_args(field.annotation) if field else ():
            found[name] = None if name in found else each
    return found


def _replay(events: Sequence[Any], response: Any, pace: float) -> Iterator[Any]:
    try:
        for number, event in enumerate(events):
            if number and pace:
                time.sleep(pace)
            yield event
    finally:
        response.close()


async def _areplay(events: Sequence[Any], response: Any, pace: float) -> AsyncIterator[Any]:
    try:
        for number, event in enumerate(events):
            if number and pace:
                await asyncio.sleep(pace)
            yield event
    finally:
        await response.aclose()


def _response(client: Any, events: Sequence[Mapping[str, Any]]) -> Any:
    """Return the response that a stream comes with, of the client's own HTTP library."""
    roots = [each.__module__.partition(".")[0] for each in type(client._client).__mro__]
    # It is httpx or httpx2.
    name = next(each for each in roots if each.startswith("httpx"))
    library: Any = import_module(name)
    return library.Response(
        200,
        headers={"content-type": "text/event-stream"},
        request=library.Request("POST", client.base_url),
        stream=_body_class(name)(events),
    )


@cache
def _body_class(library_name: str) -> Any:
    library: Any = import_module(library_name)

    class Body(library.SyncByteStream, library.AsyncByteStream):
        def __init__(self, events: Sequence[Mapping[str, Any]]) -> None:
            self._events = events

        def __iter__(self) -> Iterator[bytes]:
            return map(_line, self._events)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for each in self._events:
                yield _line(each)

    return Body


def _line(event: Mapping[str, Any]) -> bytes:
    kind = event.get("type")
    name = f"event: {kind}\n" if isinstance(kind, str) else ""
    return f"{name}data: {json.dumps(cast('Any', event), ensure_ascii=False)}\n\n".encode()
