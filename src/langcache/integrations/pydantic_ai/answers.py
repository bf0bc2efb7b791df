"""The answers of Pydantic AI's models, as they are stored and returned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import to_json

from langcache.answers import Answer
from langcache.integrations.pydantic_ai._pydantic_ai import (
    ModelMessagesTypeAdapter,
    ModelResponse,
    ModelResponseStreamEvent,
    RequestUsage,
)

if TYPE_CHECKING:
    from langcache.answers import Ending
    from langcache.integrations.pydantic_ai._pydantic_ai import StreamedResponse

__all__ = ["EventRecording", "Stored", "answer_of", "stored_of", "stored_stream_of"]

_ENDINGS: dict[str | None, Ending] = {
    "length": "truncated",
    "content_filter": "filtered",
    "error": "failed",
}
_TEXTS = frozenset({"text", "thinking"})

_events: TypeAdapter[list[Any]] = TypeAdapter(
    list[ModelResponseStreamEvent],  # pyright: ignore[reportInvalidTypeForm]
    config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"),
)


class Stored:
    """A stored answer.

    Attributes:
        response: The response, with a usage of zero.
        saved: The usage that the model reported.
        events: The events of the stream; empty if it was none.
    """

    def __init__(self, response: ModelResponse, events: list[Any]) -> None:
        self.saved: dict[str, Any] = _saved(response.usage)
        response.usage = RequestUsage()
        self.response: Any = response
        self.events: list[Any] = events


def answer_of(response: ModelResponse) -> Answer | None:
    """Return the answer in what a model returned; None if it could not be read back."""
    try:
        value = _dumped(response)
    except Exception:  # noqa: BLE001 - what has no JSON form is not stored
        return None
    return Answer(value, None, _ending(response), _calls_tool(response))


def stored_of(answer: Answer) -> Stored | None:
    """Return a stored answer that did not come as a stream."""
    return None if answer.value is None else Stored(_loaded(answer.value), [])


class EventRecording:
    """The events of a stream, which do not tell that they are the last."""

    is_complete = False

    def __init__(self, stream: StreamedResponse) -> None:
        self._stream = stream
        self._chunks: list[Any] | None = []

    def add(self, event: Any) -> None:
        """Take the next event."""
        if self._chunks is None:
            return
        try:
            # Now, because the objects in it may change.
            self._chunks += json.loads(_events.dump_json([event], warnings=False))
        except Exception:  # noqa: BLE001 - what has no JSON form is not stored
            self._chunks = None

    def answer(self) -> Answer | None:
        """Return the answer in the events."""
        if not self._chunks:
            return None
        try:
            response = self._stream.get()
        except Exception:  # noqa: BLE001 - no error of the cache may fail a call
            return None
        whole = answer_of(response)
        return whole and replace(whole, value=None, chunks=[whole.value, *self._chunks])


def stored_stream_of(answer: Answer) -> Stored | None:
    """Return a stored answer that came as a stream."""
    if answer.chunks is None:
        return None
    response, *events = answer.chunks
    return Stored(_loaded(response), _events.validate_json(to_json(events)))


def _dumped(response: ModelResponse) -> Any:
    [stored] = json.loads(ModelMessagesTypeAdapter.dump_json([response], warnings=False))
    # They belong to the run, and not to the answer.
    for name in ("run_id", "conversation_id", "workspace_ref", "history_digest"):
        stored.pop(name, None)
    return stored


def _loaded(stored: Any) -> ModelResponse:
    [response] = ModelMessagesTypeAdapter.validate_json(to_json([stored]))
    if not isinstance(response, ModelResponse):
        raise TypeError("it is not an answer")
    return response


def _ending(response: ModelResponse) -> Ending:
    if getattr(response, "state", "complete") != "complete":
        return "failed"
    return _ENDINGS.get(response.finish_reason, "complete")


def _calls_tool(response: ModelResponse) -> bool:
    return any(part.part_kind not in _TEXTS for part in response.parts)


def _saved(usage: RequestUsage) -> dict[str, Any]:
    return {name: each for name, each in vars(usage).items() if each}
