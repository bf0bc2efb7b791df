"""OpenAI's chat completions, which other providers offer, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache.answers.answer import Answer
from langcache.answers.apis._chat_streams import chunks_of, completion_of
from langcache.answers.apis.base import items_of, mapping, string, with_usage
from langcache.answers.request import Request, chat_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langcache.answers.answer import Ending

__all__ = ["ChatCompletions"]

# The conversation, the form of the answer, and what the provider keeps for its own purposes.
_NOT_SHAPING = frozenset(
    {
        *("messages", "stream", "stream_options"),
        *("metadata", "store", "prompt_cache_key", "prompt_cache_retention"),
    }
)
# An answer depends on the details of a question if the model may call something.
_EXACT = ("tools", "functions", "web_search_options", "audio")


class ChatCompletions:
    """`POST /v1/chat/completions`; see `Api`."""

    door = "openai.chat.completions"

    def request_of(self, arguments: Mapping[str, Any]) -> Request:
        """Return what a request asks."""
        parameters = {
            name: value
            for name, value in arguments.items()
            if name not in _NOT_SHAPING and value is not None
        }
        exact = any(arguments.get(name) for name in _EXACT)
        return chat_request(self.door, parameters, arguments.get("messages"), exact=exact)

    def answer_of(self, value: Any) -> Answer:
        """Return the answer in the body of a response."""
        choices = items_of(mapping(value).get("choices"))
        messages = [mapping(choice.get("message")) for choice in choices]
        ending = _ending(choice.get("finish_reason") for choice in choices)
        return Answer(value, None, _refused(ending, messages), _call_tools(messages))

    def streamed_answer_of(self, events: Sequence[Any]) -> Answer:
        """Return the answer in the events of a stream."""
        reasons: dict[str, Any] = {}
        deltas: list[dict[str, Any]] = []
        failed = False
        for event in events:
            failed = failed or "error" in mapping(event)
            for choice in items_of(mapping(event).get("choices")):
                deltas.append(mapping(choice.get("delta")))
                index = str(choice.get("index"))
                reasons[index] = choice.get("finish_reason") or reasons.get(index)
        ending = "failed" if failed else _ending(reasons.values())
        return Answer(None, list(events), _refused(ending, deltas), _call_tools(deltas))

    def is_complete(self, events: Sequence[Any], arguments: Mapping[str, Any]) -> bool:
        """Return whether the last event before "[DONE]" has come.

        That is the one that says why the model has stopped, or the one with the usage if the
        request asks for it. It cannot be told if there are several choices, which end one by one,
        or if events have parts that are not OpenAI's: a content filter may speak last.
        """
        last = mapping(events[-1])
        choices = items_of(last.get("choices"))
        if mapping(arguments.get("stream_options")).get("include_usage"):
            has_ended = not choices and bool(last.get("usage"))
        else:
            has_ended = any(choice.get("finish_reason") for choice in choices)
        is_single = arguments.get("n") in {None, 1}
        return has_ended and is_single and completion_of(events) is not None

    def value_of(self, events: Sequence[Any]) -> Any:
        """Return the completion that says what a stream says, or None."""
        return completion_of(events)

    def events_of(self, value: Any) -> Sequence[Any] | None:
        """Return the chunks of a stream that says what a completion says, or None."""
        return chunks_of(value)

    def usage_of(self, answer: Answer) -> dict[str, Any]:
        """Return the usage that the provider reported with an answer."""
        usage: dict[str, Any] = {}
        for each in (answer.value, *(answer.chunks or ())):
            usage = mapping(mapping(each).get("usage")) or usage
        return usage

    def unbilled(self, answer: Answer) -> Answer:
        """Return an answer with a usage of zero."""
        chunks = answer.chunks and [with_usage(each) for each in answer.chunks]
        return answer.with_content(with_usage(answer.value), chunks)


def _ending(reasons: Iterable[Any]) -> Ending:
    found = set(map(string, reasons))
    if not found or not found <= {"stop", "tool_calls", "function_call", "length"}:
        return "filtered" if "content_filter" in found else "failed"
    return "truncated" if "length" in found else "complete"


def _refused(ending: Ending, messages: Iterable[Mapping[str, Any]]) -> Ending:
    is_refusal = any(message.get("refusal") for message in messages)
    return "filtered" if ending == "complete" and is_refusal else ending


def _call_tools(messages: Iterable[Mapping[str, Any]]) -> bool:
    return any(message.get("tool_calls") or message.get("function_call") for message in messages)
