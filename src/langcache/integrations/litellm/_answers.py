"""What LiteLLM gives to keep, and what may be given back."""

from __future__ import annotations

import json
import math
from typing import Any, cast


def text_of(value: Any) -> str | None:
    """Return an answer as it is stored, or None when LiteLLM could not read it again."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        return None
    return text if is_answer(value) else None


def parsed(text: str) -> Any:
    """Return what a text is in JSON, or None when it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def is_answer(value: Any) -> bool:
    """Tell whether a value is an answer; of LiteLLM's, which bear a timestamp, it is JSON's."""
    if value is None:
        return False
    if not isinstance(value, dict) or "timestamp" not in value:
        return True
    return isinstance(_response(cast("dict[str, Any]", value)), dict)


def _response(value: dict[str, Any]) -> Any:
    response = value.get("response")
    return parsed(response) if isinstance(response, str) else response


def calls_tool(value: Any) -> bool:
    """Tell whether an answer calls a tool, with arguments that are the question's own."""
    response = _mapping(_response(_mapping(value)))
    choices: Any = response.get("choices")
    for choice in cast("list[Any]", choices) if isinstance(choices, list) else ():
        message = _mapping(_mapping(choice).get("message"))
        if message.get("tool_calls") or message.get("function_call"):
            return True
    return False


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def is_ttl(value: Any) -> bool:
    """Tell whether a value is a number of seconds to keep an answer for."""
    return isinstance(value, (int, float)) and value is not True and 0 < value < math.inf
