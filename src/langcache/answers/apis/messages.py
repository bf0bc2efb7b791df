"""Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langcache.answers.answer import Answer
from langcache.answers.apis._message_streams import events_of, message_of
from langcache.answers.apis.base import items_of, mapping, string, with_usage
from langcache.answers.request import Request, chat_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langcache.answers.answer import Ending

__all__ = ["Messages"]

_NOT_SHAPING = frozenset({"messages", "stream"})
_EXACT = ("tools", "mcp_servers", "container")
_ENDINGS: dict[str, Ending] = {
    "end_turn": "complete",
    "stop_sequence": "complete",
    "tool_use": "complete",
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "refusal": "filtered",
}
_TEXTS = frozenset({"text", "thinking", "redacted_thinking"})


class Messages:
    """`POST /v1/messages`; see `Api`."""

    door = "anthropic.messages"

    def request_of(self, arguments: Mapping[str, Any]) -> Request:
        """Return what a request asks. Marks for the provider's own cache make no difference."""
        parameters = {
            name: _unmarked(value)
            for name, value in arguments.items()
            if name not in _NOT_SHAPING and value is not None
        }
        exact = any(arguments.get(name) for name in _EXACT)
        messages = _unmarked(arguments.get("messages"))
        return chat_request(self.door, parameters, messages, exact=exact)

    def answer_of(self, value: Any) -> Answer:
        """Return the answer in the body of a response."""
        message = mapping(value)
        ending = _ENDINGS.get(string(message.get("stop_reason")), "failed")
        return Answer(value, None, ending, _call_tools(items_of(message.get("content"))))

    def streamed_answer_of(self, events: Sequence[Any]) -> Answer:
        """Return the answer in the events of a stream."""
        found = [mapping(event) for event in events]
        ending: Ending = "failed"
        if found and _is_last(found[-1]):
            deltas = [mapping(event.get("delta")) for event in found]
            reasons = [delta["stop_reason"] for delta in deltas if delta.get("stop_reason")]
            ending = _ENDINGS.get(string(reasons[-1]) if reasons else "", "failed")
        blocks = [mapping(event["content_block"]) for event in found if "content_block" in event]
        return Answer(None, list(events), ending, _call_tools(blocks))

    def is_complete(self, events: Sequence[Any], arguments: Mapping[str, Any]) -> bool:
        """Return whether the last event has come."""
        return _is_last(mapping(events[-1]))

    def value_of(self, events: Sequence[Any]) -> Any:
        """Return the message that says what a stream says, or None."""
        return message_of(events)

    def events_of(self, value: Any) -> Sequence[Any] | None:
        """Return the events of a stream that says what a message says, or None."""
        return events_of(value)

    def usage_of(self, answer: Answer) -> dict[str, Any]:
        """Return the usage that the provider reported with an answer."""
        usage = dict(mapping(mapping(answer.value).get("usage")))
        for each in answer.chunks or ():
            event = mapping(each)
            for part in (mapping(event.get("message")), event):
                usage.update(mapping(part.get("usage")))
        return usage

    def unbilled(self, answer: Answer) -> Answer:
        """Return an answer with a usage of zero."""
        chunks = answer.chunks and [
            with_usage(with_usage(each), "message") for each in answer.chunks
        ]
        return answer.with_content(with_usage(answer.value), chunks)


def _is_last(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "message_stop"


def _call_tools(blocks: Sequence[Mapping[str, Any]]) -> bool:
    return any(string(block.get("type")) not in _TEXTS for block in blocks)


def _is_mark(name: str, value: Any) -> bool:
    # The arguments of a tool, or their schema, may have the same name.
    return name == "cache_control" and mapping(value).get("type") == "ephemeral"


def _unmarked(value: Any) -> Any:
    """Return a value without the marks for Anthropic's own cache, which change no answer."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {name: _unmarked(each) for name, each in members if not _is_mark(name, each)}
    if isinstance(value, list):
        return [_unmarked(each) for each in cast("list[Any]", value)]
    return value
