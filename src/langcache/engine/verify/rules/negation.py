"""A rule about negation: the same thing is denied in one prompt only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.reading import differing, stem
from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langcache.engine.verify.rules.reading import Reading

__all__ = ["NEGATION", "has_negator"]

_NEGATORS = word_set(
    "not no never without cannot nobody nothing none neither nor can't cant don't dont doesn't "
    "doesnt didn't didnt isn't isnt aren't arent wasn't wasnt weren't werent won't wont wouldn't "
    "shouldn't couldn't hasn't haven't hadn't mustn't needn't ain't"
)
# A longer difference is another way to say it, as often as not.
_LONGEST = 4
# They stand between a negator and what it denies.
_SKIPPED = word_set(
    "a an the be been being i you we he she it they my your any ever really yet to do does did "
    "have has had is are was were can could will would should get getting able just allowed"
)
# "Why not", "no longer", "not only", "not sure how": they deny nothing of the question.
_IDIOMS = word_set("only sure matter just longer idea know understand")


def _negation(asked: Reading, cached: Reading) -> str | None:
    left, right = differing(asked, cached)
    if max(len(left), len(right)) > _LONGEST:
        return None
    ours, theirs = _denied(asked), _denied(cached)
    if not ours and not theirs:
        return None
    if ours and theirs:
        # Both deny something; whether it is the same, rules cannot tell.
        return None
    for target, negator in ours.items():
        if target in cached.stems:
            return f"{negator} {target} / {target}"
    for target, negator in theirs.items():
        if target in asked.stems:
            return f"{target} / {negator} {target}"
    return None


def _denied(reading: Reading) -> dict[str, str]:
    """Return the stems of what is denied, each with its negator."""
    found: dict[str, str] = {}
    words = reading.words
    for place, word in enumerate(words):
        if word not in _NEGATORS:
            continue
        following = words[place + 1 : place + 6]
        if following and following[0] in _IDIOMS:
            continue
        target = next((other for other in following if other not in _SKIPPED), None)
        if target is not None and target not in _IDIOMS:
            found[stem(target)] = word
    return found


def has_negator(words: Iterable[str]) -> bool:
    """Return whether any of these words denies something."""
    return not _NEGATORS.isdisjoint(words)


NEGATION = Rule("negation", "one prompt denies what the other does not", True, _negation)
