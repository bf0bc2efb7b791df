"""What a model answered, as a cache stores it and as a door returns it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Answer", "Ending", "Hit", "Source"]

Ending: TypeAlias = Literal["complete", "truncated", "filtered", "failed"]
"""How an answer ended. "truncated": at a limit of tokens. "filtered": by a content filter."""

Source: TypeAlias = Literal["exact", "similar", "shared"]
"""Where an answer comes from.

"exact": it was stored for the same question. "similar": for a question that means the same.
"shared": it is the answer to a concurrent call with the same question.
"""


_read = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a model.

    Attributes:
        value: The provider's object in JSON's types; None if the answer came as a stream only.
        chunks: The events of the stream, each in JSON's types; None if it did not come as a stream.
        ending: How it ended. Only complete answers are stored, and truncated ones if the cache is
            told to.
        calls_tool: Whether it calls a tool, whose arguments depend on the question's details. Such
            an answer is found by the same question only.
    """

    value: Any = field(default=None, repr=False)
    chunks: Sequence[Any] | None = field(default=None, repr=False)
    ending: Ending = "complete"
    calls_tool: bool = False

    def beside(self, other: Answer | None) -> Answer:
        """Return this answer with the form that it does not have itself from another one."""
        if other is None:
            return self
        value = other.value if self.value is None else self.value
        return replace(self, value=value, chunks=self.chunks or other.chunks)

    def to_json(self) -> str:
        """Return the value and the chunks as text.

        Raises:
            TypeError: They hold an object that has no JSON form.
            ValueError: They hold a circular reference.
        """
        parts = {"value": self.value, "chunks": self.chunks}
        return json.dumps(parts, separators=(",", ":"), ensure_ascii=False)

    def with_content(self, value: Any, chunks: Sequence[Any] | None) -> Answer:
        """Return an answer with another content, which ended in the same way."""
        # `dataclasses.replace` takes twice as long.
        return Answer(value, chunks, self.ending, self.calls_tool)

    @classmethod
    def from_json(cls, text: str) -> Answer | None:
        """Return the answer that `to_json` wrote, or None for any other text."""
        try:
            # `json.loads` would also skip white space, and `to_json` writes none.
            parts, end = _read(text)
        except ValueError:
            return None
        if end != len(text) or not isinstance(parts, dict) or parts.keys() != {"value", "chunks"}:
            return None
        chunks = cast("dict[str, Any]", parts)["chunks"]
        if not (chunks is None or isinstance(chunks, list)):
            return None
        return cls(cast("dict[str, Any]", parts)["value"], cast("list[Any] | None", chunks))


@dataclass(frozen=True, slots=True)
class Hit:
    """How an answer was found. The texts are not part of the repr.

    Attributes:
        source: "exact", "similar" or "shared".
        similarity: (1 + cosine) / 2 of the two questions, in [0, 1]; 1 for the same question.
        entry_id: The id of the entry.
        question: The text that was asked; "" if only the same call has this answer.
        cached_question: The text that the answer was stored for.
        saved: What the call to the model would have used, as the provider counts it: the usage of
            the call that is stored. Empty if the provider did not report any.
    """

    source: Source
    similarity: float
    entry_id: str
    question: str = field(default="", repr=False)
    cached_question: str = field(default="", repr=False)
    saved: dict[str, Any] = field(default_factory=dict[str, Any])

    def with_saved(self, saved: dict[str, Any]) -> Hit:
        """Return the same hit, which tells what the call to the model would have used."""
        # `dataclasses.replace` takes three times as long.
        return Hit(
            self.source, self.similarity, self.entry_id, self.question, self.cached_question, saved
        )
