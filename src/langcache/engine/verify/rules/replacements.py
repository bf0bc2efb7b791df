"""The words of one prompt that stand in the place of others in a prompt that is else the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["SMALL_WORDS", "spelled_alike", "word_was_replaced"]

_MOST_REPLACED = 3
"""With more other words than these, it is another prompt."""

SMALL_WORDS = word_set(
    "a an the this that these those any some each every all both another other such "
    "i you he she it we they me him her us them my your his its our their mine yours one ones "
    "someone somebody anyone anybody everyone everybody people myself yourself oneself "
    "am is are was were be been being do does did doing done have has had having "
    "can could will would shall should may might must need cannot "
    "not no nor or and but if so as than then when while until because though although "
    "of to in on at by for from with without about into onto over under up down off out "
    "what which who whom whose how why where there here "
    "i'm i've i'd i'll you're it's what's who's where's how's that's there's let's whats hows "
    "can't don't doesn't didn't isn't aren't wasn't won't couldn't shouldn't wouldn't cant dont "
    "just also too very really ever still yet only please"
)
"""Words that join others: to replace one changes no name, thing or action."""


def word_was_replaced(asked: Reading, cached: Reading) -> bool:
    """Return whether the prompts have one to three other words of meaning, and are else the same.

    "clean old boats" and "clean small boats" are such prompts. The words may stand in another
    order; if they do not, small words may be other ones, too. Forms of one word and its other
    spellings are no difference, and numbers have a rule of their own.
    """
    ours, theirs = _surplus(asked, cached), _surplus(cached, asked)
    if len(ours) != len(theirs) or len(asked.stems) != len(cached.stems):
        return False
    mine = [word for place in ours if (word := asked.words[place]) not in SMALL_WORDS]
    other = [word for place in theirs if (word := cached.words[place]) not in SMALL_WORDS]
    if len(mine) != len(other) or not 1 <= len(mine) <= _MOST_REPLACED:
        return False
    moved = sum(map(str.__ne__, asked.stems, cached.stems)) > len(ours)
    if moved and len(mine) < len(ours):
        return False
    if any(word[0].isdigit() for word in mine + other):
        return False
    return not all(any(spelled_alike(word, twin) for twin in other) for word in mine)


def _surplus(reading: Reading, other: Reading) -> list[int]:
    """Return the places of the words that one prompt has more often than another one."""
    left = Counter(other.stems)
    places: list[int] = []
    for place, stem in enumerate(reading.stems):
        if left[stem]:
            left[stem] -= 1
        else:
            places.append(place)
    return places


def spelled_alike(one: str, other: str) -> bool:
    """Return whether two words of five letters and more differ in one letter, but not the first."""
    shortest = min(len(one), len(other))
    if shortest < 5 or abs(len(one) - len(other)) > 1 or one[0] != other[0]:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shortest)
    one, other = one[start:], other[start:]
    return (
        one[1:] == other[1:]
        or one[1:] == other
        or one == other[1:]
        # Two neighbours changed places.
        or (one[:2] == other[1::-1] and one[2:] == other[2:])
    )
