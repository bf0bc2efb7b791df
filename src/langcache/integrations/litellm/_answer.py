"""An answer as the cache stores it: LiteLLM's value in JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question.

    Attributes:
        text: The answer in JSON, as it is stored.
        similarity: (1 + cosine) / 2 of the two questions, in [0, 1]; 1 for the same question.
        exact: Whether it was stored for exactly this question.
    """

    text: str = field(repr=False)
    similarity: float = 1.0
    exact: bool = True

    @property
    def is_readable(self) -> bool:
        """Whether LiteLLM can make a response of it."""
        return _is_readable(_parsed(self.text))


def answer_of(value: Any) -> Answer | None:
    """Return the answer in a value that LiteLLM stores, or None when it could not be read back."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        return None
    return Answer(text) if _is_readable(value) else None


def calls_tool(value: Any) -> bool:
    """Return whether an answer calls a tool, whose arguments depend on the question's details."""
    choices: Any = _mapping(_response(_mapping(value))).get("choices")
    for choice in cast("list[Any]", choices) if isinstance(choices, list) else ():
        message = _mapping(_mapping(choice).get("message"))
        if message.get("tool_calls") or message.get("function_call"):
            return True
    return False


def is_ttl(value: Any) -> bool:
    """Return whether a value is a time to live in seconds."""
    return isinstance(value, (int, float)) and value is not True and 0 < value < math.inf


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
