"""The answers of LlamaIndex's models, as they are stored and returned."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from langcache.answers import Answer, NotCacheableError
from langcache.answers.apis.base import zeroed
from langcache.integrations._endings import REASONS, ending_of
from langcache.integrations.llama_index._llama_index import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ResponseRecording", "answer_of", "response_of", "responses_of"]

_USAGE = frozenset({"usage", "usage_metadata", "token_usage"})
_COUNTS = ("_tokens", "_token_count", "_count", "_duration")
_MODEL = "$model"


def answer_of(response: Any) -> Answer | None:
    """Return the answer in what a model returned; None if it could not be read back."""
    recording = ResponseRecording()
    recording.add(response)
    answer = recording.answer()
    if answer is None or answer.chunks is None:
        return None
    return replace(answer, value=answer.chunks[0], chunks=None)


class ResponseRecording:
    """The responses of a stream, each of which has the whole text up to there.

    They do not tell that they are the last.
    """

    is_complete = False

    def __init__(self) -> None:
        self._chunks: list[Any] = []
        self._last = ""
        self._calls_tool = False
        self._reasons: list[str] = []
        self._is_readable = True

    def add(self, event: Any) -> None:
        """Take the next response."""
        if not self._is_readable:
            return
        try:
            stored = _stored(event)
            text = json.dumps(stored, ensure_ascii=False)
        except Exception:  # noqa: BLE001 - what has no JSON form is not stored
            self._is_readable = False
            return
        # Most of a response is equal to the one before.
        shared = _common(self._last, text)
        self._chunks.append([shared, text[shared:]])
        self._last = text
        self._reasons += _reasons_in(stored.get("raw"))
        if isinstance(event, ChatResponse):
            self._calls_tool = self._calls_tool or _calls_tool(event.message)
            if event.message.additional_kwargs.get("refusal"):
                self._reasons.append("refusal")

    def answer(self) -> Answer | None:
        """Return the answer in the responses."""
        if not self._is_readable or not self._chunks:
            return None
        return Answer(None, self._chunks, ending_of(self._reasons), self._calls_tool)


def response_of(answer: Answer) -> tuple[Any, dict[str, Any]] | None:
    """Return the response in a stored answer, and the usage that it reported."""
    if answer.value is None:
        return None
    [found] = _read([answer.value])
    return found


def responses_of(answer: Answer) -> list[tuple[Any, dict[str, Any]]] | None:
    """Return the responses of a stored stream, and the usage that each of them reported."""
    return None if answer.chunks is None else list(_read(answer.chunks))


def _read(chunks: Sequence[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    text = ""
    for shared, more in chunks:
        text = text[:shared] + more
        yield _response(json.loads(text))


def _response(stored: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    usage = _usage_in(stored["raw"])
    counts: dict[str, Any] = {
        name: zeroed(value) if name in _USAGE or name.endswith(_COUNTS) else value
        for name, value in stored["more"].items()
    }
    fields: dict[str, Any] = {
        "additional_kwargs": _loaded(counts, strict=True),
        "raw": _loaded(_unbilled(stored["raw"]), strict=False),
        "delta": stored["delta"],
        "logprobs": stored["logprobs"],
    }
    message = stored.get("message")
    if message is None:
        return CompletionResponse(text=stored["text"], **fields), usage
    return ChatResponse(message=_message(message), **fields), usage


def _stored(response: Any) -> dict[str, Any]:
    """Return a response in JSON's types, what changes least first.

    Raises:
        NotCacheableError: It could not be read back as it is.
    """
    if isinstance(response, ChatResponse):
        stored: dict[str, Any] = {"message": _stored_message(response.message)}
    elif isinstance(response, CompletionResponse):
        stored = {"text": response.text}
    else:
        raise NotCacheableError
    try:
        raw = _dumped(response.raw)
    except NotCacheableError:
        raw = None  # it is for debugging, and may be any object
    return {
        **stored,
        "delta": response.delta,
        "logprobs": response.logprobs and [_logprobs(each) for each in response.logprobs],
        "more": _dumped(response.additional_kwargs),
        "raw": raw,
    }


def _logprobs(position: Any) -> Any:
    return [each.model_dump(mode="json", warnings=False) for each in position]


def _stored_message(message: ChatMessage) -> dict[str, Any]:
    stored = {
        "role": message.role.value if isinstance(message.role, Enum) else message.role,
        "more": _dumped(message.additional_kwargs),
        "blocks": [block.model_dump(mode="json", warnings=False) for block in message.blocks],
    }
    if type(message) is not ChatMessage or _message(stored) != message:
        raise NotCacheableError
    return stored


def _message(stored: dict[str, Any]) -> ChatMessage:
    return ChatMessage(
        role=stored["role"],
        blocks=stored["blocks"],
        additional_kwargs=_loaded(stored["more"], strict=True),
    )


def _calls_tool(message: ChatMessage) -> bool:
    more = message.additional_kwargs
    return bool(more.get("tool_calls") or more.get("function_call")) or any(
        getattr(block, "block_type", None) == "tool_call" for block in message.blocks
    )


# Objects of providers' classes in JSON's types


def _dumped(value: Any) -> Any:
    """Return a value in JSON's types, of which `_loaded` makes the same value.

    Raises:
        NotCacheableError: There is no such form.
    """
    if value is None or isinstance(value, (bool, int, float)) or type(value) is str:
        return value
    if isinstance(value, BaseModel):
        return _dumped_model(value)
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        if _MODEL in members or not all(type(name) is str for name in members):
            raise NotCacheableError
        return {name: _dumped(each) for name, each in members.items()}
    if isinstance(value, list):
        return [_dumped(each) for each in cast("list[Any]", value)]
    raise NotCacheableError


def _dumped_model(value: BaseModel) -> dict[str, Any]:
    kind = type(value)
    name = f"{kind.__module__}:{kind.__qualname__}"
    for only_set in (True, False):
        fields = value.model_dump(mode="json", exclude_unset=only_set, warnings=False)
        try:
            if kind.model_validate(fields) == value:
                return {_MODEL: name, "fields": fields}
        except ValueError:
            continue
    # In the form of what the provider sent, which is still of use.
    return {_MODEL: "", "fields": value.model_dump(mode="json", warnings=False)}


def _loaded(value: Any, *, strict: bool) -> Any:
    """Return the value that `_dumped` took.

    Args:
        value: What it returned.
        strict: Whether an object whose class is not there is an error, and not a dict.

    Raises:
        ValueError: There is such an object.
    """
    if isinstance(value, list):
        return [_loaded(each, strict=strict) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if _MODEL not in members:
        return {name: _loaded(each, strict=strict) for name, each in members.items()}
    kind = _class_of(members[_MODEL])
    if kind is not None:
        return kind.model_validate(members["fields"])
    if strict:
        raise ValueError("the class of an object is not there")
    return members["fields"]


def _class_of(name: str) -> type[BaseModel] | None:
    """Return a class of pydantic's; nothing is imported for it."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


# What a provider's answer says about itself


def _members_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of all mappings in a value."""
    if isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _members_of(each)
    elif isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield name, each
            yield from _members_of(each)


def _reasons_in(raw: Any) -> list[str]:
    return [
        str(each).rpartition(".")[2]
        for name, each in _members_of(raw)
        if name in REASONS and isinstance(each, str)
    ]


def _usage_in(raw: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in _members_of(raw):
        if name in _USAGE and isinstance(each, dict):
            usage = cast("dict[str, Any]", each)
            found = cast("dict[str, Any]", usage["fields"]) if _MODEL in usage else usage
    return found


def _unbilled(raw: Any) -> Any:
    if isinstance(raw, list):
        return [_unbilled(each) for each in cast("list[Any]", raw)]
    if not isinstance(raw, dict):
        return raw
    members = cast("dict[str, Any]", raw)
    return {
        name: zeroed(each) if name in _USAGE else _unbilled(each) for name, each in members.items()
    }


def _common(text: str, other: str) -> int:
    """Return the length of the longest common prefix of two texts."""
    low, high = 0, min(len(text), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if text[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
