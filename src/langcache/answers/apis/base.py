"""What the HTTP APIs of model providers have in common, in JSON's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from langcache.answers.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langcache.answers.request import Request

__all__ = ["Api", "in_form", "items_of", "mapping", "string", "with_usage", "zeroed"]


class Api(Protocol):
    """One operation of a provider's API: its requests, answers and streams, in JSON's types.

    A request is what the provider's own client sends, and takes as arguments: a mapping of
    parameters. A stream is the sequence of its events' data, each a mapping; the "[DONE]" of
    OpenAI's streams is not one of them.

    Attributes:
        door: What is called, such as "openai.chat.completions"; see `Request.door`.
    """

    @property
    def door(self) -> str: ...  # noqa: D102

    def request_of(self, arguments: Mapping[str, Any]) -> Request:
        """Return what a request asks; whether it asks for a stream makes no difference.

        Raises:
            NotCacheableError: No answer to it can be served to another request.
        """
        ...

    def answer_of(self, value: Any) -> Answer:
        """Return the answer in the body of a response."""
        ...

    def streamed_answer_of(self, events: Sequence[Any]) -> Answer:
        """Return the answer in the events of a stream; one that is not complete has failed."""
        ...

    def is_complete(self, events: Sequence[Any], arguments: Mapping[str, Any]) -> bool:
        """Return whether the events of a stream are its whole answer; False if they do not tell.

        Args:
            events: The events so far, at least one. Without the last one, it was not complete.
            arguments: The request.
        """
        ...

    def value_of(self, events: Sequence[Any]) -> Any:
        """Return the body of a response that says what a stream says, or None."""
        ...

    def events_of(self, value: Any) -> Sequence[Any] | None:
        """Return the events of a stream that says what the body of a response says, or None."""
        ...

    def usage_of(self, answer: Answer) -> dict[str, Any]:
        """Return the usage that the provider reported with an answer; empty if there is none."""
        ...

    def unbilled(self, answer: Answer) -> Answer:
        """Return an answer as a cache serves it: with a usage of zero where one is reported."""
        ...


def in_form(api: Api, answer: Answer, *, stream: bool) -> Answer:
    """Return a stored answer in one form only: with its chunks, or with its value.

    It is made of the other form if it was not stored in this one. What cannot be had is None.
    """
    if stream:
        chunks = answer.chunks
        return Answer(chunks=api.events_of(answer.value) if chunks is None else chunks)
    value = answer.value
    if value is None and answer.chunks is not None:
        value = api.value_of(answer.chunks)
    return Answer(value)


def mapping(value: Any) -> dict[str, Any]:
    """Return a mapping, or an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def string(value: Any) -> str:
    """Return a string, or an empty one in place of anything else."""
    return value if isinstance(value, str) else ""


def items_of(value: Any) -> list[dict[str, Any]]:
    """Return the mappings in a list; none in place of anything else."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [mapping(each) for each in items if isinstance(each, dict)]


def zeroed(usage: Any) -> Any:
    """Return a usage with zeros in place of its numbers."""
    if isinstance(usage, dict):
        return {name: zeroed(each) for name, each in cast("dict[str, Any]", usage).items()}
    if isinstance(usage, list):
        return [zeroed(each) for each in cast("list[Any]", usage)]
    is_number = isinstance(usage, (int, float)) and not isinstance(usage, bool)
    return 0 if is_number else usage


def with_usage(value: Any, *path: str) -> Any:
    """Return a value whose usage is zero where it has one.

    Args:
        value: The value.
        path: The names of the members that lead to the part that has the usage.
    """
    name = path[0] if path else "usage"
    if not isinstance(value, dict) or name not in value:  # as nearly all events of a stream
        return cast("Any", value)
    part = cast("dict[str, Any]", value)
    inner = part[name]
    if path:
        return {**part, name: with_usage(inner, *path[1:])} if isinstance(inner, dict) else part
    return {**part, name: zeroed(inner)} if inner else part
