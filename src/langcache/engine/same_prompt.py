"""Whether two prompts are the same: if they differ in letter case at most."""

from __future__ import annotations

__all__ = ["are_same", "folded"]


def folded(prompt: str) -> str:
    """Return the form of a prompt that is equal for the same prompts."""
    return prompt.casefold()


def are_same(prompt: str, other: str) -> bool:
    """Return whether two prompts are the same."""
    return folded(prompt) == folded(other)
