"""The answers of the OpenAI Agents SDK's models, as they are stored and returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from langcache.answers import Answer
from langcache.answers.apis import Responses
from langcache.answers.apis.base import items_of
from langcache.integrations._provider_objects import object_of
from langcache.integrations.openai_agents._agents import (
    ModelResponse,
    TResponseOutputItem,
    TResponseStreamEvent,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langcache.answers import Ending, Hit

__all__ = [
    "EventRecording",
    "answer_of",
    "events_of",
    "response_of",
    "saved_by",
    "without_id",
]

_API = Responses()
_TEXTS = frozenset({"message", "reasoning"})


def answer_of(response: ModelResponse, most_tokens: int | None) -> Answer | None:
    """Return the answer in what a model returned; None if it could not be read back.

    Args:
        response: What it returned. It does not say why the answer ended.
        most_tokens: The limit that was set for the answer.
    """
    try:
        items = [item.to_dict(mode="json", warnings=False) for item in response.output]
    except (AttributeError, TypeError, ValueError):
        return None
    usage = response.usage
    saved = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    ending: Ending = "complete"
    if most_tokens is not None and usage.output_tokens >= most_tokens:
        ending = "truncated"
    if not items or any(_is_cut_off(item) for item in items):
        ending = "filtered"  # or truncated
    value = {"output": items, "response_id": response.response_id, "usage": saved}
    answer = Answer(value, None, ending, any(item.get("type") not in _TEXTS for item in items))
    try:
        is_readable = response_of(answer).output == list(response.output)
    except Exception:  # noqa: BLE001 - no error of the cache may fail a call
        return None
    return answer if is_readable else None


def _is_cut_off(item: dict[str, Any]) -> bool:
    refusals = [part for part in items_of(item.get("content")) if part.get("type") == "refusal"]
    return item.get("status") == "incomplete" or bool(refusals)


def response_of(answer: Answer) -> ModelResponse:
    """Return the response in a stored answer, with a usage of zero.

    Raises:
        KeyError: It came as a stream, or has an item of an unknown type.
        TypeError: It came as a stream.
    """
    items = [object_of(_ITEMS[item["type"]], item) for item in answer.value["output"]]
    return ModelResponse(items, Usage(), answer.value["response_id"])


class EventRecording:
    """The events of a stream."""

    def __init__(self) -> None:
        self._chunks: list[Any] = []
        self._is_readable = True

    def add(self, event: Any) -> None:
        """Take the next event."""
        if not self._is_readable:
            return
        try:
            stored = event.to_dict(mode="json", warnings=False)
            self._is_readable = object_of(_EVENTS[stored["type"]], stored) == event
        except Exception:  # noqa: BLE001 - no error of the cache may fail a call
            self._is_readable = False
        else:
            self._chunks.append(stored)

    @property
    def is_complete(self) -> bool:
        """Whether the last event has come, where the SDK stops reading."""
        return self._is_readable and bool(self._chunks) and _API.is_complete(self._chunks, {})

    def answer(self) -> Answer | None:
        """Return the answer in the events."""
        return _API.streamed_answer_of(self._chunks) if self._is_readable else None


def events_of(answer: Answer) -> Sequence[Any] | None:
    """Return the events of a stored stream, with a usage of zero.

    Raises:
        KeyError: It has an event of an unknown type.
    """
    chunks = _API.unbilled(answer).chunks
    return chunks and [object_of(_EVENTS[chunk["type"]], chunk) for chunk in chunks]


def saved_by(answer: Answer, hit: Hit) -> Hit:
    """Return a hit that tells what the call to the model would have used."""
    return hit.with_saved(_API.usage_of(answer))


def without_id(served: Any, hit: Hit) -> Any:
    """Return a response or an event without the id of the response, if it is not the caller's.

    A call that continues a response by its id continues what the provider keeps of it. That is the
    same conversation only if the answer was stored for the same question.
    """
    if hit.source != "similar":
        return served
    if isinstance(served, ModelResponse):
        served.response_id = None
    elif getattr(served, "response", None) is not None:
        served.response.id = None
    return served


def _classes_in(union: Any) -> Iterator[tuple[str, Any]]:
    """Yield the classes of a union, each with the type that its objects have."""
    fields = getattr(union, "model_fields", None)
    if fields is None:
        for each in get_args(union):
            yield from _classes_in(each)
    elif "type" in fields:
        for name in get_args(fields["type"].annotation):
            if isinstance(name, str):
                yield name, union


_ITEMS: dict[str, Any] = dict(_classes_in(TResponseOutputItem))
_EVENTS: dict[str, Any] = dict(_classes_in(TResponseStreamEvent))
