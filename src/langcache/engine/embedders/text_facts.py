"""What an embedder reads of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["DescribesTexts", "TextFacts"]


@dataclass(frozen=True, slots=True)
class TextFacts:
    """What an embedder reads of a text, and what it misses.

    Attributes:
        token_ids: The tokens that the model reads, without its start and end marks. Texts with
            equal ids have equal vectors.
        unknown: The parts of the text that have no token of their own, in order. All of them look
            the same to the model.
        was_cut: Whether the text goes on after what the model reads.
    """

    token_ids: tuple[int, ...]
    unknown: tuple[str, ...]
    was_cut: bool


@runtime_checkable
class DescribesTexts(Protocol):
    """An embedder that tells what it reads of a text. Not every embedder can."""

    def describe(self, text: str) -> TextFacts:
        """Return what the embedder reads of a text, without embedding it."""
        ...
