"""The requests of LangChain, read from the strings that it gives to a cache."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from langcache.answers.digests import NotCacheableError
from langcache.answers.request import Request, chat_request

__all__ = ["CHAT", "TEXT", "request_of"]

CHAT = "langchain.chat"
"""The door of models for chats."""

TEXT = "langchain.text"
"""The door of models for texts."""

_ROLES = {
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
}
# What a provider or LangChain says about a message, and does not tell the model.
_NOT_SHAPING = frozenset({"type", "id", "response_metadata", "usage_metadata", "example"})
_TOOLS = re.compile(r"""['"](?:tools|functions)['"](?:,|:) ?[\[(]\s*[^\s\])]""")
# A conversation that the provider keeps under the ids of answers, which change with every answer.
_KEPT_ELSEWHERE = '"use_previous_response_id": true'
# The repr of an object with its address, which another object can have later.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")
_SPEAKER = re.compile(r"^(?:Human|AI|System|User|Assistant|Tool|Function): ", re.MULTILINE)


def request_of(prompt: str, llm_string: str, *, exact: bool = False) -> Request | None:
    """Return what a model is asked.

    Args:
        prompt: The text, or LangChain's JSON of the messages.
        llm_string: The model and its parameters, as LangChain writes them.
        exact: Whether only the same request may have the same answer.

    Returns:
        The request; None if it cannot be compared with others.
    """
    if _ADDRESS.search(llm_string) or _KEPT_ELSEWHERE in llm_string:
        return None
    exact = exact or _TOOLS.search(llm_string) is not None
    if not prompt.lstrip().startswith(("[", "{")):
        is_conversation = len(_SPEAKER.findall(prompt)) > 1
        text = None if exact or is_conversation else prompt
        last = None if text else prompt
        return Request(door=TEXT, parameters=llm_string, last=last, text=text)
    try:
        return chat_request(CHAT, llm_string, _turns_of(prompt), exact=exact)
    except (NotCacheableError, RecursionError):
        # It is JSON, in which all texts look alike: only the same text finds the answer.
        return Request(door=TEXT, parameters=llm_string, last=prompt)


def _turns_of(messages: str) -> list[dict[str, Any]]:
    """Return the turns in LangChain's JSON of messages.

    Raises:
        NotCacheableError: It is something else, or has a message without a JSON form.
    """
    try:
        values: Any = json.loads(messages)
    except (ValueError, RecursionError):
        raise NotCacheableError from None
    if not isinstance(values, list):
        raise NotCacheableError
    return [_turn(value) for value in cast("list[Any]", values)]


def _turn(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotCacheableError
    message = cast("dict[str, Any]", value)
    path, fields = message.get("id"), message.get("kwargs")
    if message.get("lc") != 1 or message.get("type") != "constructor":
        raise NotCacheableError
    if not isinstance(path, list) or not path or not isinstance(fields, dict):
        raise NotCacheableError
    name = str(cast("list[Any]", path)[-1]).removesuffix("Chunk")
    members = cast("dict[str, Any]", fields).items()
    return {
        # Releases differ in whether they write what is empty.
        **{key: each for key, each in members if key not in _NOT_SHAPING and each not in _EMPTY},
        "role": _ROLES.get(name, name),
        "content": cast("dict[str, Any]", fields).get("content"),
    }


_EMPTY: tuple[Any, ...] = (None, {}, [])
