"""What the models of the OpenAI Agents SDK are asked."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from langcache.answers import NotCacheableError, Request, chat_request, digest, plain
from langcache.integrations._provider_clients import identity_of
from langcache.integrations.openai_agents._agents import FunctionTool, Handoff, Model

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Call", "request_of"]

_DOOR = "openai_agents"
# Settings that change neither the answer nor its form.
_HARMLESS = frozenset(
    {
        *("metadata", "store", "prompt_cache_retention", "prompt_cache_options", "retry"),
        *("timeout", "include_usage", "preserve_raw_usage"),
    }
)


class Call(NamedTuple):
    """The arguments of a call of a model."""

    system_instructions: str | None
    input: Any
    model_settings: Any
    tools: Sequence[Any]
    output_schema: Any
    handoffs: Sequence[Any]
    tracing: Any


def request_of(
    model: Model, call: Call, prompt: Any, kept_elsewhere: Sequence[Any], *, stream: bool
) -> Request | None:
    """Return what a model is asked; None if it cannot be compared with other calls.

    Args:
        model: The model.
        call: The arguments of the call.
        prompt: A prompt that the provider keeps.
        kept_elsewhere: The ids of conversations that the provider keeps, which change with every
            answer.
        stream: Whether a stream is asked for.
    """
    if any(kept_elsewhere):
        return None
    try:
        given: object = call.model_settings
        settings: dict[str, Any] = {
            name: value
            for name in _names_of_settings(type(given))
            if (value := getattr(given, name)) is not None  # nearly all are None
        }
        if getattr(given, "store", None) is False:
            # The ids in an answer that the provider does not keep cannot be sent to it again.
            settings["store"] = False
        shaping = {
            "model": _identity(model),
            "settings": settings,
            "tools": [_tool(tool) for tool in call.tools],
            "handoffs": [_handoff(handoff) for handoff in call.handoffs],
            "output": _schema(call.output_schema),
            "prompt": prompt,
            "stream": stream,
        }
        turns: list[Any] = []
        more: dict[str, Any] = settings.get("extra_args") or {}
        if call.system_instructions is not None:
            turns.append({"role": "system", "content": call.system_instructions})
        said = call.input
        turns += [{"role": "user", "content": said}] if isinstance(said, str) else plain(said)
        exact = bool(call.tools or call.handoffs or more.get("tools"))
        return chat_request(_DOOR, digest(shaping), turns, exact=exact)
    except Exception:  # noqa: BLE001 - no error of the cache may fail a call
        return None


@lru_cache(maxsize=8)
def _names_of_settings(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the settings that may change an answer."""
    return tuple(each.name for each in dataclasses.fields(kind) if each.name not in _HARMLESS)


def _identity(model: Model) -> dict[str, Any]:
    """Return what of a model an answer may depend on: all but the key."""
    client: Any = getattr(model, "_client", None)
    name: Any = getattr(model, "model", None)
    base_url: Any = getattr(model, "base_url", None)
    return {
        "kind": f"{type(model).__module__}.{type(model).__qualname__}",
        "name": None if name is None else str(name),
        "base_url": None if base_url is None else str(base_url),
        "client": identity_of(client) if hasattr(client, "base_url") else None,
    }


def _tool(tool: Any) -> Any:
    """Return what the model is told of a tool."""
    if isinstance(tool, FunctionTool):
        return {
            "name": tool.name,
            "description": tool.description,
            "arguments": tool.params_json_schema,
            "strict": tool.strict_json_schema,
        }
    if not dataclasses.is_dataclass(tool):
        raise NotCacheableError
    fields = {each.name: getattr(tool, each.name) for each in dataclasses.fields(tool)}
    return {
        "kind": type(tool).__qualname__,
        "fields": {name: value for name, value in fields.items() if not callable(value)},
    }


def _handoff(handoff: Any) -> Any:
    if not isinstance(handoff, Handoff):
        raise NotCacheableError
    return {
        "name": handoff.tool_name,
        "description": handoff.tool_description,
        "arguments": handoff.input_json_schema,
        "strict": handoff.strict_json_schema,
    }


def _schema(schema: Any) -> Any:
    if schema is None or schema.is_plain_text():
        return None
    return [schema.name(), schema.json_schema(), schema.is_strict_json_schema()]
