"""OpenAI's chat completions as streams, and back.

A completion and a stream become each other only if nothing that they say is lost. What has a part
that is not known here becomes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langcache.answers.apis.base import items_of, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["chunks_of", "completion_of"]

_KEPT = ("service_tier", "system_fingerprint")
_HEAD = frozenset({"id", "choices", "created", "model", "object", "usage", *_KEPT})
# A padding of the chunks, so that their length tells nothing.
_CHUNK = _HEAD | {"obfuscation"}
_CHOICE = frozenset({"finish_reason", "index", "logprobs"})
_DELTA = frozenset({"role", "content", "refusal", "tool_calls"})
_CALL = frozenset({"index", "id", "type", "function"})
_NO_USAGE = {"completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 0}


class _UnknownPartError(Exception):
    """There is a part that cannot be carried over."""


def completion_of(chunks: Sequence[Any]) -> dict[str, Any] | None:
    """Return the completion that says what a stream says, or None.

    Its usage is 0 if the stream reports none.
    """
    try:
        return _completion(chunks)
    except _UnknownPartError:
        return None


def chunks_of(completion: Any) -> list[dict[str, Any]] | None:
    """Return the chunks of a stream that says what a completion says, or None.

    The stream has one chunk with the whole text, and reports no usage.
    """
    try:
        return _chunks(_known(completion, _HEAD))
    except _UnknownPartError:
        return None


def _completion(chunks: Sequence[Any]) -> dict[str, Any]:
    head: dict[str, Any] = {}
    usage: Any = None
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        part = _known(chunk, _CHUNK)
        usage = part.get("usage") or usage
        head.update({name: each for name, each in part.items() if name in _HEAD})
        for each in items_of(part.get("choices")):
            choice = _known(each, _CHOICE | {"delta"})
            index = choice.get("index")
            if not isinstance(index, int):
                raise _UnknownPartError
            _add(choices.setdefault(index, _new_choice(index)), choice)
    if not choices or not {"id", "created", "model"} <= head.keys():
        raise _UnknownPartError
    return {
        "id": head["id"],
        "choices": [choices[index] for index in sorted(choices)],
        "created": head["created"],
        "model": head["model"],
        "object": "chat.completion",
        **{name: head[name] for name in _KEPT if name in head},
        "usage": usage or _NO_USAGE,
    }


def _new_choice(index: int) -> dict[str, Any]:
    message = {"content": None, "refusal": None, "role": "assistant"}
    return {"finish_reason": None, "index": index, "logprobs": None, "message": message}


def _add(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Add a part of a stream to the choice that it belongs to."""
    choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
    if part.get("logprobs"):
        known: dict[str, Any] = choice["logprobs"] or {"content": None, "refusal": None}
        for name, each in _known(part["logprobs"], frozenset(known)).items():
            if each is not None:
                if not isinstance(each, list):
                    raise _UnknownPartError
                known[name] = known[name] or []
                known[name].extend(each)
        choice["logprobs"] = known
    message = choice["message"]
    delta = _known(part.get("delta"), _DELTA)
    message["role"] = delta.get("role") or message["role"]
    for name in ("content", "refusal"):
        if delta.get(name) is not None:
            message[name] = (message[name] or "") + _text(delta[name])
    for call in items_of(delta.get("tool_calls")):
        _add_call(message.setdefault("tool_calls", []), _known(call, _CALL))


def _add_call(calls: list[dict[str, Any]], part: Mapping[str, Any]) -> None:
    """Add a part of a stream to the call of a function that it belongs to."""
    function = _known(part.get("function"), frozenset({"name", "arguments"}))
    place = part.get("index")
    if place == len(calls):
        if part.get("type", "function") != "function":
            raise _UnknownPartError
        new = {"arguments": "", "name": function.get("name")}
        calls.append({"id": part.get("id"), "function": new, "type": "function"})
    elif place != len(calls) - 1:
        raise _UnknownPartError
    calls[-1]["function"]["arguments"] += _text(function.get("arguments") or "")


def _chunks(completion: Mapping[str, Any]) -> list[dict[str, Any]]:
    choices = [_known(each, _CHOICE | {"message"}) for each in items_of(completion.get("choices"))]
    if not choices or not {"id", "created", "model"} <= completion.keys():
        raise _UnknownPartError
    return [
        {
            "id": completion["id"],
            "choices": [{"delta": delta, "index": choice.get("index"), **more}],
            "created": completion["created"],
            "model": completion["model"],
            "object": "chat.completion.chunk",
            **{name: completion[name] for name in _KEPT if name in completion},
        }
        for choice in choices
        for delta, more in _deltas(choice)
    ]


def _deltas(choice: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the deltas of a choice, each with what its chunk says beside it."""
    nothing = {"finish_reason": None, "logprobs": None}
    message = _known(choice.get("message"), _DELTA | {"annotations", "audio", "function_call"})
    if any(message.get(name) for name in ("annotations", "audio", "function_call")):
        raise _UnknownPartError
    texts = {name: message[name] for name in ("content", "refusal") if message.get(name)}
    calls = [
        {"index": place, **_known(call, _CALL)}
        for place, call in enumerate(items_of(message.get("tool_calls")))
    ]
    if any(call.get("type") != "function" for call in calls):
        raise _UnknownPartError
    first = {"role": message.get("role"), "content": None if calls and not texts else ""}
    deltas = [(first, nothing)]
    if texts:
        deltas.append((texts, {**nothing, "logprobs": choice.get("logprobs")}))
    elif choice.get("logprobs"):
        raise _UnknownPartError
    deltas += [({"tool_calls": [call]}, nothing) for call in calls]
    deltas.append(({}, {**nothing, "finish_reason": choice.get("finish_reason")}))
    return deltas


def _text(value: Any) -> str:
    """Return a text.

    Raises:
        _UnknownPartError: It is something else.
    """
    if not isinstance(value, str):
        raise _UnknownPartError
    return value


def _known(value: Any, names: frozenset[str]) -> dict[str, Any]:
    """Return a mapping that has no other names.

    Raises:
        _UnknownPartError: It has others, or is no mapping.
    """
    if not isinstance(value, dict) or not mapping(value).keys() <= names:
        raise _UnknownPartError
    return mapping(value)
