"""An answer as the cache stores it: LiteLLM's value in JSON."""

from __future__ import annotations

import json
from typing import Any, cast

from langcache.answers._stores import StoredAnswer


def value_of(answer: StoredAnswer | None) -> Any:
    """Return the value of an answer if LiteLLM can make a response of it, else None."""
    value = _parsed(answer.text) if answer else None
    return value if _is_readable(value) else None


def answer_of(value: Any) -> StoredAnswer | None:
    """Return the answer in a value that LiteLLM stores, or None when it could not be read back."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        return None
    return StoredAnswer(text) if _is_readable(value) else None


def calls_tool(value: Any) -> bool:
    """Return whether an answer calls a tool, whose arguments depend on the question's details."""
    for choice in _choices(value):
        message = _mapping(_mapping(choice).get("message"))
        if message.get("tool_calls") or message.get("function_call"):
            return True
    return False


def ended_well(value: Any, *, store_truncated: bool) -> bool:
    """Return whether an answer may be stored: no refusal, not cut off by a filter or a limit."""
    choices = [_mapping(choice) for choice in _choices(value)]
    if any(_mapping(choice.get("message")).get("refusal") for choice in choices):
        return False
    reasons: set[Any] = {choice.get("finish_reason") for choice in choices}
    return "content_filter" not in reasons and (store_truncated or "length" not in reasons)


def _choices(value: Any) -> list[Any]:
    choices: Any = _mapping(_response(_mapping(value))).get("choices")
    return cast("list[Any]", choices) if isinstance(choices, list) else []


def _is_readable(value: Any) -> bool:
    if value is None:
        return False
    # LiteLLM wraps a response in a dict with a timestamp; the response is JSON within the JSON.
    if not isinstance(value, dict) or "timestamp" not in value:
        return True
    return isinstance(_response(cast("dict[str, Any]", value)), dict)


def _response(value: dict[str, Any]) -> Any:
    response = value.get("response")
    return _parsed(response) if isinstance(response, str) else response


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
