"""What Pydantic AI's models are asked."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter

from langcache.answers import NotCacheableError, Request, chat_request, digest, plain
from langcache.integrations.pydantic_ai._pydantic_ai import (
    ModelMessagesTypeAdapter,
    ModelRequestParameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langcache.integrations.pydantic_ai._pydantic_ai import Model

__all__ = ["request_of"]

_DOOR = "pydantic_ai"
_ROLES = {"system-prompt": "system", "user-prompt": "user"}
# What Pydantic AI or a provider notes about a message, and does not tell the model.
_NOT_SHAPING = frozenset(
    {
        *("timestamp", "run_id", "conversation_id", "usage", "metadata", "history_digest"),
        *("provider_response_id", "provider_details", "provider_url", "finish_reason", "state"),
        *("model_name", "model_id", "failed_attempts", "workspace_ref"),
    }
)
_HARMLESS_SETTINGS = frozenset({"timeout", "request_timeout", "first_event_timeout", "cache"})
# An answer depends on the details of a question if the model may call something.
_TOOLS = ("function_tools", "builtin_tools", "native_tools", "output_tools", "allow_image_output")
# What continues a conversation that the provider keeps, which changes with every answer.
_KEPT_ELSEWHERE = ("openai_previous_response_id", "openai_conversation_id", "openai_background")

_parameters = TypeAdapter(ModelRequestParameters)


def request_of(
    model: Model,
    messages: Sequence[Any],
    settings: Mapping[str, Any] | None,
    parameters: ModelRequestParameters,
    *,
    stream: bool,
) -> Request | None:
    """Return what a model is asked; None if it cannot be compared with other calls."""
    try:
        given: dict[str, Any] = {**(model.settings or {}), **(settings or {})}
        given = {name: each for name, each in given.items() if name not in _HARMLESS_SETTINGS}
        if any(given.get(name) for name in _KEPT_ELSEWHERE):
            return None
        said = _parameters.dump_python(parameters, mode="json", warnings=False)
        shaping = {
            "model": _identity(model),
            "settings": plain(given),
            "parameters": said,
            "stream": stream,
        }
        exact = any(said.get(name) for name in _TOOLS)
        turns = _turns_of(messages)
        return chat_request(_DOOR, digest(shaping), turns, exact=exact)
    except (NotCacheableError, TypeError, ValueError):
        return None


def _identity(model: Model) -> dict[str, Any]:
    """Return what of a model an answer may depend on: all but the key."""
    wrapped: Any = model
    kinds: list[str] = []
    while wrapped is not None:
        kinds.append(f"{type(wrapped).__module__}.{type(wrapped).__qualname__}")
        wrapped = getattr(wrapped, "__dict__", {}).get("wrapped")
    return {
        "kinds": kinds,
        "system": model.system,
        "name": model.model_name,
        "base_url": plain(getattr(model, "base_url", None)),
        "profile": _described(getattr(model, "profile", None)),
    }


def _described(value: Any) -> Any:
    """Return a profile of a model in JSON's types, with names of classes in place of objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        return {str(name): _described(each) for name, each in members.items()}
    if isinstance(value, (list, tuple)):
        return [_described(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, (set, frozenset)):
        return sorted(str(_described(each)) for each in cast("frozenset[Any]", value))
    if value is None or isinstance(value, (str, int, float)):
        return value
    kind: Any = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _turns_of(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the parts of messages as turns of a conversation."""
    turns: list[dict[str, Any]] = []
    for message in json.loads(ModelMessagesTypeAdapter.dump_json(list(messages), warnings=False)):
        about = {name: each for name, each in message.items() if name not in _NOT_SHAPING}
        parts = about.pop("parts")
        instructions = about.pop("instructions", None)
        if instructions:
            turns.append({"role": "system", "content": instructions})
        turns += [_turn(part, about) for part in parts]
    return turns


def _turn(part: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    fields = {name: each for name, each in part.items() if name not in _NOT_SHAPING}
    kind = fields.pop("part_kind")
    content = fields.pop("content", None)
    if kind == "user-prompt" and isinstance(content, list):
        content = [_piece(each) for each in cast("list[Any]", content) if not _is_mark(each)]
    role = _ROLES.get(kind, "assistant" if about.get("kind") == "response" else "tool")
    return {**plain(fields), "role": role, "content": content, "kind": kind}


def _piece(content: Any) -> Any:
    return {"type": "text", "text": content} if isinstance(content, str) else content


def _is_mark(content: Any) -> bool:
    """Return whether it marks what the provider may cache, which changes no answer."""
    return isinstance(content, dict) and cast("Any", content).get("kind") == "cache-point"
