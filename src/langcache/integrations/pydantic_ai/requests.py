"""What Pydantic AI's models are asked."""

from __future__ import annotations

import dataclasses
import operator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter
from pydantic_core import from_json

from langcache.answers import Request, chat_request
from langcache.answers.digests import (
    digest_of_members,
    list_of_texts,
    mapping_of_texts,
    text_of_value,
)
from langcache.integrations.pydantic_ai._pydantic_ai import (
    ModelMessagesTypeAdapter,
    ModelRequestParameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langcache.integrations.pydantic_ai._pydantic_ai import Model

__all__ = ["ProfileText", "request_of"]

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
    profile_text: ProfileText,
    *,
    stream: bool,
) -> Request | None:
    """Return what a model is asked; None if it cannot be compared with other calls.

    Args:
        model: The model.
        messages: The messages.
        settings: The settings of the call.
        parameters: What the agent says about its tools and its output.
        profile_text: Describes the profile of the model.
        stream: Whether a stream is asked for.
    """
    try:
        given: dict[str, Any] = {**(model.settings or {}), **(settings or {})}
        given = {name: each for name, each in given.items() if name not in _HARMLESS_SETTINGS}
        if any(given.get(name) for name in _KEPT_ELSEWHERE):
            return None
        shaping, exact = _shaping(
            _kinds(model),
            model.system,
            model.model_name,
            getattr(model, "base_url", None),
            _profile_of(model, profile_text),
            text_of_value(given),
            _parameters.dump_json(parameters, warnings=False),
            stream=stream,
        )
        turns = _turns_of(messages)
        return chat_request(_DOOR, shaping, turns, exact=exact)
    except Exception:  # noqa: BLE001 - no error of the cache may fail a call
        return None


def _kinds(model: Model) -> tuple[type[Any], ...]:
    """Return the classes of a model and of those that it wraps."""
    wrapped: Any = model
    kinds: list[type[Any]] = []
    while wrapped is not None:
        kinds.append(cast("type[Any]", type(wrapped)))
        wrapped = getattr(wrapped, "__dict__", {}).get("wrapped")
    return tuple(kinds)


def _profile_of(model: Model, profile_text: ProfileText) -> str | None:
    """Return a model's profile as JSON, or a list of the models that it falls back on.

    Such a model has neither a profile nor settings of its own.
    """
    behind: Any = model
    while "models" not in vars(behind) and "wrapped" in vars(behind):
        behind = behind.wrapped
    if "models" in vars(behind):
        several: list[Any] = behind.models
        return list_of_texts(*(_text_of(each, profile_text) for each in several))
    profile: Any = getattr(model, "profile", None)
    return None if profile is None else profile_text.of(profile)


def _text_of(model: Any, profile_text: ProfileText) -> str:
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in _kinds(model)]
    about = [names, model.system, model.model_name, getattr(model, "base_url", None)]
    profile = _profile_of(model, profile_text) or "null"
    return list_of_texts(text_of_value(about), text_of_value(model.settings), profile)


@lru_cache(maxsize=32)  # an application has few agents, and each of them asks again and again
def _shaping(
    kinds: tuple[type[Any], ...],
    system: str,
    name: str,
    base_url: str | None,
    profile: str | None,
    settings: str,
    parameters: bytes,
    *,
    stream: bool,
) -> tuple[str, bool]:
    """Return the digest of all that an answer may depend on besides the messages.

    And whether it depends on the details of a question.

    Args:
        kinds: The classes of the model. Its key does not count.
        system: The name of its provider.
        name: Its name.
        base_url: Its address.
        profile: Its profile, as JSON, or those of the models that it falls back on.
        settings: The settings of the call, as JSON.
        parameters: What the agent says about its tools and its output, as JSON.
        stream: Whether a stream is asked for.
    """
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in kinds]
    model = {
        "kinds": text_of_value(names),
        "system": text_of_value(system),
        "name": text_of_value(name),
    }
    if base_url is not None:
        model["base_url"] = text_of_value(base_url)
    if profile is not None:
        model["profile"] = profile
    said: dict[str, Any] = from_json(parameters)
    shaping = digest_of_members(
        model=mapping_of_texts(**model),
        settings=settings,
        parameters=text_of_value(said),
        stream="true" if stream else "false",
    )
    return shaping, any(said.get(name) for name in _TOOLS)


class ProfileText:
    """The text of a model's profile.

    A profile has some thirty members, which hardly ever change. So the text is kept, as long as the
    members are the same objects, and none that can change.
    """

    def __init__(self) -> None:
        self._kept: tuple[dict[Any, Any], str] = ({}, "{}")

    def of(self, profile: Any) -> str:
        """Return a profile as JSON, with names of classes in place of objects."""
        members = _members(profile)
        if members is None:
            return text_of_value(_described(profile))
        kept, text = self._kept
        if not _is_same(kept, members):
            members = {**members}  # before it can change
            text = text_of_value(_described(members))
            if all(map(_is_fixed, members.values())):
                self._kept = members, text
        return text


def _members(value: Any) -> dict[Any, Any] | None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    return cast("dict[Any, Any]", value) if isinstance(value, dict) else None


def _is_same(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    """Return whether two mappings have the same objects in the same order."""
    return len(one) == len(other) and all(
        map(operator.is_, (*one, *one.values()), (*other, *other.values()))
    )


def _is_fixed(value: Any) -> bool:
    """Return whether `_described` always says the same of an object."""
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_fixed, cast("Sequence[Any]", value)))
    return _members(value) is None and not isinstance(value, (list, set))


def _described(value: Any) -> Any:
    """Return a profile of a model in JSON's types, with names of classes in place of objects."""
    members = _members(value)
    if members is not None:
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
    for message in ModelMessagesTypeAdapter.dump_python(
        list(messages), mode="json", warnings=False
    ):
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
    return {**fields, "role": role, "content": content, "kind": kind}


def _piece(content: Any) -> Any:
    return {"type": "text", "text": content} if isinstance(content, str) else content


def _is_mark(content: Any) -> bool:
    """Return whether it marks what the provider may cache, which changes no answer."""
    return isinstance(content, dict) and cast("Any", content).get("kind") == "cache-point"
