"""The answers of LangChain's models, as they are stored and returned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langcache.answers.answer import Answer
from langcache.answers.apis.base import zeroed
from langcache.integrations._endings import REASONS, ending_of
from langcache.integrations.langchain._langchain import (
    AIMessage,
    ChatGeneration,
    Generation,
    message_to_dict,
    messages_from_dict,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langcache.answers.answer import Ending
    from langcache.answers.lookups import Lookup

__all__ = ["answer_of", "generations_of", "served"]

_USAGE = ("token_usage", "usage", "usage_metadata", "token_counts")


def answer_of(generations: Iterable[Generation]) -> Answer | None:
    """Return the answer in what a model generated; None if it could not be read back."""
    stored: list[dict[str, Any]] = []
    endings: list[Ending] = []
    calls_tool = False
    for generation in generations:
        info = generation.generation_info
        if type(generation) is ChatGeneration:
            message = generation.message
            if type(message) is not AIMessage:
                return None
            stored.append({"message": message_to_dict(message), "info": info})
            endings.append(_ending({**message.response_metadata, **(info or {})}, message))
            calls_tool = calls_tool or bool(
                message.tool_calls or message.additional_kwargs.get("function_call")
            )
        elif type(generation) is Generation:
            stored.append({"text": generation.text, "info": info})
            endings.append(_ending(info or {}))
        else:
            return None
    try:
        value = json.loads(json.dumps(stored))
    except (TypeError, ValueError):
        return None
    if not endings:
        return None
    return Answer(value, None, max(endings, key=_ENDINGS.index), calls_tool)


_ENDINGS: tuple[Ending, ...] = ("complete", "truncated", "filtered", "failed")


def _ending(details: dict[str, Any], message: AIMessage | None = None) -> Ending:
    if message is not None and message.invalid_tool_calls:
        return "failed"
    reasons = [str(details[name]) for name in REASONS if details.get(name)]
    if message is not None and message.additional_kwargs.get("refusal"):
        reasons.append("refusal")
    return ending_of(reasons)


def generations_of(answer: Answer) -> list[Generation]:
    """Return what a model generated, from a stored answer, as if it had used no tokens."""
    return [
        ChatGeneration(
            message=messages_from_dict([_unbilled(stored["message"])])[0],
            generation_info=stored["info"],
        )
        if "message" in stored
        else Generation(text=stored["text"], generation_info=stored["info"])
        for stored in answer.value
    ]


def _unbilled(stored: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = stored["data"]
    details = {
        name: zeroed(value) if name in _USAGE else value
        for name, value in fields["response_metadata"].items()
    }
    return {
        **stored,
        "data": {
            **fields,
            "id": None,  # with its old id, it would replace an earlier message in a conversation
            "response_metadata": details,
            "usage_metadata": zeroed(fields.get("usage_metadata")),
        },
    }


def served(found: Lookup[list[Generation]]) -> list[Generation]:
    """Return what a hit serves: messages that tell how they were found and what was saved."""
    hit = found.hit
    generations = found.value or []
    if hit is None or found.answer is None:
        return generations
    for generation, stored in zip(generations, found.answer.value, strict=True):
        if isinstance(generation, ChatGeneration):
            generation.message.response_metadata["langcache"] = {
                "source": hit.source,
                "similarity": hit.similarity,
                "entry_id": hit.entry_id,
                "saved": stored["message"]["data"].get("usage_metadata") or {},
            }
    return generations
