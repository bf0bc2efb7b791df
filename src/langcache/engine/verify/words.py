"""Lists of words, written as text."""

from __future__ import annotations

__all__ = ["word_groups", "word_set"]


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that are separated by white space."""
    return frozenset(text.split())


def pair_table(text: str) -> dict[str, frozenset[str]]:
    """Return for each word of "one,two/three" those on the other side of the "/"."""
    table: dict[str, set[str]] = {}
    for pair in text.split():
        left, right = (side.split(",") for side in pair.split("/"))
        for one in left:
            table.setdefault(one, set()).update(right)
        for one in right:
            table.setdefault(one, set()).update(left)
    return {word: frozenset(others) for word, others in table.items()}


def word_groups(text: str) -> dict[str, int]:
    """Return the words of a text, each with a number; words that "/" joins share one."""
    groups = enumerate(text.split())
    return {word: number for number, group in groups for word in group.split("/")}
