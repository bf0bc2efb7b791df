"""Lists of words, written as text."""

from __future__ import annotations

__all__ = ["word_groups", "word_set"]


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that are separated by white space."""
    return frozenset(text.split())


def word_groups(text: str) -> dict[str, int]:
    """Return the words of a text, each with a number; words that "/" joins share one."""
    groups = enumerate(text.split())
    return {word: number for number, group in groups for word in group.split("/")}
