"""A prompt as the rules read it."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

from langcache.engine.verify.language import is_english
from langcache.engine.verify.rules.quantities import Quantity, find_quantities

__all__ = ["Reading"]

# A word with its apostrophe ("don't"), or a number with its separators, or "C++" and "C#".
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?(?:\+\+|\#(?!\w))?|\d+(?:[.,:]\d+)*")

_STOP_WORDS = frozenset(
    "a an the of for in on at is are was were be do does did i you we it this that there what which "
    "how please can could would my your me to and".split()  # noqa: SIM905
)


class Reading:
    """A prompt, and what the rules ask about it: found once, when it is first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")

    @cached_property
    def is_english(self) -> bool:
        """Whether the prompt is English, as far as it shows."""
        return is_english(self.text)

    @cached_property
    def tokens(self) -> list[str]:
        """Words and numbers as they are written."""
        return _WORD.findall(self.text)

    @cached_property
    def words(self) -> list[str]:
        """Words and numbers in lower case, without a possessive "'s"."""
        return [word[:-2] if word.endswith("'s") else word for word in map(str.lower, self.tokens)]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word stands in the prompt."""
        return Counter(self.words)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The different words of the prompt."""
        return frozenset(self.words)

    @cached_property
    def stems(self) -> list[str]:
        """The words without the commonest endings."""
        return [stem(word) for word in self.words]

    @cached_property
    def quantities(self) -> list[Quantity]:
        """The numbers of the prompt with their units."""
        return find_quantities(self.text)


def stem(word: str) -> str:
    """Return an English word without its commonest endings: roughly, the same for its forms."""
    for ending in ("ing", "ies", "ied", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word
