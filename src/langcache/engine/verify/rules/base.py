"""What a rule is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine.verify.rules.reading import Reading

__all__ = ["Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A difference between two prompts that makes them need different answers.

    Attributes:
        name: What it is called, to switch it on or off.
        reason: The reason of its verdicts: "the numbers differ".
        english_only: Whether it knows English words, and is not asked about other languages.
        find: Returns what differs, quoted from both prompts, or None if nothing does.
    """

    name: str
    reason: str
    english_only: bool
    find: Callable[[Reading, Reading], str | None]
