"""A rule about names: words that are written with a capital."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.quantities import is_unit
from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["NAMES", "alike"]

_AFTER_END = re.compile(r"(?:^|[.?!:\n\"'(][^\S\n]*)([A-Z])")
_NAME = re.compile(r"[A-Z][\w+#&]*(?:[-'][A-Z]\w*)*")
_NOT_NAMES = word_set("I I'm I'd I've I'll Please Hi Hello OK The A An Is")


def _names(asked: Reading, cached: Reading) -> str | None:
    ours, theirs = _find(asked, cached), _find(cached, asked)
    left = [name for name in ours if not _known(name, cached)]
    right = [name for name in theirs if not _known(name, asked)]
    if not left or not right:
        return None
    if any(alike(one, two) for one in left for two in right):
        return None
    return f"{left[0]} / {right[0]}"


def _find(reading: Reading, other: Reading) -> list[str]:
    text = reading.text
    starts = {match.start(1) for match in _AFTER_END.finditer(text)}
    found = [
        match.group()
        for match in _NAME.finditer(text)
        if match.start() not in starts
        and match.group() not in _NOT_NAMES
        and not is_unit(
            match.group(), text[max(0, match.start() - 2) : match.start()], other.quantities
        )
    ]
    # A title, with a capital in every word, shows no names.
    return [] if len(found) * 2 > len(reading.words) and len(found) > 3 else found


def _known(name: str, other: Reading) -> bool:
    lower = name.lower().removesuffix("'s")
    return lower in other.vocabulary or lower in other.text.lower()


def alike(one: str, two: str) -> bool:
    """Return whether one name may be short for the other, or the other wrongly spelled."""
    one, two = sorted((one.lower(), two.lower()), key=len)
    if one[0] == two[0] and (len(one) <= 3 or one[:3] == two[:3]):
        return True
    return one in two or len(set(one) ^ set(two)) <= 1


NAMES = Rule("names", "the names differ", english_only=True, find=_names)
