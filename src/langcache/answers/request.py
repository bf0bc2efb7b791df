"""What a call asks, as a door reads it from the call's arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langcache.answers.digests import NotCacheableError, plain
from langcache.answers.question import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Request", "Turn", "chat_request"]

_INSTRUCTIONS = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        role: Who speaks: "user", "assistant", "system", "developer" or "tool".
        text: What is said; "" for a turn that is not text only.
    """

    role: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call of a model or function.

    Attributes:
        door: What is called, such as "openai.chat.completions". Different doors share no answers.
        parameters: All arguments that shape the answer, apart from the conversation. Leave out
            only what is known to be harmless.
        turns: The earlier turns, the system prompt included, in JSON's types.
        last: The last turn, without its text.
        text: The text of the last turn, if a human says it and it is text only. None if only the
            same call may have the same answer.
        labels: Names and values under which answers can be invalidated.
    """

    door: str
    parameters: Any = field(default=None, repr=False)
    turns: Sequence[Any] = field(default=(), repr=False)
    last: Any = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def earlier(self) -> tuple[Turn, ...]:
        """The earlier turns as text, without the instructions."""
        return tuple(_turn(each) for each in self.turns if not _is_instruction(each))

    @property
    def instructions(self) -> list[Any]:
        """The earlier turns that are instructions of the application."""
        return [each for each in self.turns if _is_instruction(each)]


def chat_request(door: str, parameters: Any, messages: Any, *, exact: bool = False) -> Request:
    """Return the request of a call with a list of messages.

    Args:
        door: What is called.
        parameters: The other arguments that shape the answer.
        messages: The messages: mappings or models with `role` and `content`, of which the last is
            the question if a user says it and it is text only.
        exact: Whether only the same call may have the same answer.

    Raises:
        NotCacheableError: The messages are not a list of messages with a JSON form.
    """
    turns = plain(messages)
    if not isinstance(turns, list) or not turns:
        raise NotCacheableError
    if not all(isinstance(turn, dict) for turn in cast("list[Any]", turns)):
        raise NotCacheableError
    *earlier, last = cast("list[dict[str, Any]]", turns)
    text = None
    if last.get("role") == "user" and not exact:
        text = text_of(last.get("content"))
    if text is not None:
        last = {name: value for name, value in last.items() if name != "content"}
    return Request(door=door, parameters=parameters, turns=earlier, last=last, text=text)


def _is_instruction(turn: Any) -> bool:
    return isinstance(turn, dict) and cast("dict[str, Any]", turn).get("role") in _INSTRUCTIONS


def _turn(turn: Any) -> Turn:
    if not isinstance(turn, dict):
        return Turn("", "")
    fields = cast("dict[str, Any]", turn)
    return Turn(str(fields.get("role", "")), text_of(fields.get("content")) or "")
