"""OpenAI's responses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langcache.answers.answer import Answer
from langcache.answers.apis.base import items_of, mapping, string, with_usage
from langcache.answers.digests import NotCacheableError
from langcache.answers.request import Request, chat_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langcache.answers.answer import Ending

__all__ = ["Responses"]

# The conversation, the form of the answer, and what the provider keeps for its own purposes.
_NOT_SHAPING = frozenset(
    {
        *("input", "stream", "stream_options"),
        *("metadata", "store", "prompt_cache_key", "prompt_cache_retention"),
    }
)
_ENDINGS: dict[str, Ending] = {"max_output_tokens": "truncated", "content_filter": "filtered"}
_LAST_EVENTS = ("response.completed", "response.incomplete")


class Responses:
    """`POST /v1/responses`; see `Api`.

    Not cacheable: what runs in the background, and what continues a conversation that the
    provider keeps, which changes with every answer.
    """

    door = "openai.responses"

    def request_of(self, arguments: Mapping[str, Any]) -> Request:
        """Return what a request asks."""
        if arguments.get("background") or arguments.get("conversation"):
            raise NotCacheableError
        parameters = {
            name: value
            for name, value in arguments.items()
            if name not in _NOT_SHAPING and value is not None
        }
        if arguments.get("store") is False:
            # The ids in an answer that the provider does not keep cannot be sent to it again.
            parameters["store"] = False
        given = arguments.get("input")
        turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
        return chat_request(self.door, parameters, turns, exact=bool(arguments.get("tools")))

    def answer_of(self, value: Any) -> Answer:
        """Return the answer in the body of a response."""
        response = mapping(value)
        items = items_of(response.get("output"))
        ending: Ending = "complete" if response.get("status") == "completed" else "failed"
        if response.get("status") == "incomplete":
            details = mapping(response.get("incomplete_details"))
            ending = _ENDINGS.get(string(details.get("reason")), "failed")
        if ending == "complete" and any(
            part.get("type") == "refusal"
            for item in items
            for part in items_of(item.get("content"))
        ):
            ending = "filtered"
        calls = any(string(item.get("type")) not in {"message", "reasoning"} for item in items)
        return Answer(value, None, ending, calls)

    def streamed_answer_of(self, events: Sequence[Any]) -> Answer:
        """Return the answer in the events of a stream, of which the last one has all of it."""
        last = mapping(events[-1]) if events else {}
        if not _is_last(last):
            return Answer(None, list(events), "failed")
        return replace(self.answer_of(last.get("response")), value=None, chunks=list(events))

    def is_complete(self, events: Sequence[Any], arguments: Mapping[str, Any]) -> bool:
        """Return whether the last event of a stream that has not failed has come."""
        return _is_last(mapping(events[-1]))

    def value_of(self, events: Sequence[Any]) -> Any:
        """Return the response, which the last event of a stream has."""
        return mapping(events[-1]).get("response") if events else None

    def events_of(self, value: Any) -> Sequence[Any] | None:
        """Return None: the events of a stream say more than a response."""
        return None

    def usage_of(self, answer: Answer) -> dict[str, Any]:
        """Return the usage that the provider reported with an answer."""
        if answer.chunks:
            return mapping(mapping(mapping(answer.chunks[-1]).get("response")).get("usage"))
        return mapping(mapping(answer.value).get("usage"))

    def unbilled(self, answer: Answer) -> Answer:
        """Return an answer with a usage of zero."""
        chunks = answer.chunks and [with_usage(each, "response") for each in answer.chunks]
        return answer.with_content(with_usage(answer.value), chunks)


def _is_last(event: Mapping[str, Any]) -> bool:
    return event.get("type") in _LAST_EVENTS
