"""What an embedder reads of a text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

__all__ = ["DescribesTexts", "RememberedFacts", "TextFacts"]

_MAX_CHARACTERS = 2048


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


class RememberedFacts:
    """The facts of the texts used most recently, so that these are not read again. Thread-safe.

    Args:
        embedder: Tells what it reads of a text.
        size: How many facts to keep. Those of a text longer than 2048 characters are not kept.
    """

    def __init__(self, embedder: DescribesTexts, size: int) -> None:
        self._describe = embedder.describe
        self._recall = lru_cache(size)(embedder.describe)

    def describe(self, text: str) -> TextFacts:
        """Return what the embedder reads of a text, without embedding it."""
        return (self._recall if len(text) <= _MAX_CHARACTERS else self._describe)(text)
