"""Rules about the order of words: who does what to whom, from where to where, what than what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.reading import stem
from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["DIRECTION", "WORD_ORDER"]


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, text.split()))


# Between two things in either order: "cats and dogs", "cats vs dogs".
_SYMMETRIC = _stems("and or nor vs versus & plus und oder et ou y o e en med och")
# They say what one thing is to another.
_RELATIONS = _stems(
    "than to into from by of on for with without in over under before after while when if as at is "
    "are was were do does did will has have and but not only the a an my your his her vs per "
    "minus mod "
    # German, French, Spanish, Italian, Portuguese, Dutch
    "von nach zu aus bei mit ohne vor als de d à vers pour avec sans avant après que hacia hasta "
    "para con sin antes después da di del al per senza prima dopo com sem depois do van naar uit "
    "met zonder voor na dan "
    # Chinese; Japanese "kara", of which the first letter is a word of its own
    "到 至 往 比 给 給 ら"
)
# These hold of two things in either order.
_EITHER_WAY = _stems(
    "difference differ different between compare comparison distance far similar similarity"
)
_DISTANCE = _stems("distance far")
_LONGEST = 120
_LONGEST_PART = 4
_PARTS = sorted(
    (
        (left, right)
        for left in range(1, _LONGEST_PART + 1)
        for right in range(1, _LONGEST_PART + 1)
    ),
    key=sum,
)


def _word_order(asked: Reading, cached: Reading) -> str | None:
    ours, theirs = asked.units, cached.units
    if len(ours) != len(theirs) or ours == theirs or len(ours) > _LONGEST:
        return None
    if sorted(ours) != sorted(theirs) or not _EITHER_WAY.isdisjoint(ours):
        return None
    first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    last = len(ours) - next(
        i for i, (a, b) in enumerate(zip(ours[::-1], theirs[::-1], strict=True)) if a != b
    )
    mine, other = ours[first:last], theirs[first:last]
    size = len(mine)
    # Of all ways to see it as two parts that changed places, the one with the shortest parts.
    for left, right in _PARTS:
        between = mine[left : size - right]
        if not (
            between
            and mine[:left] == other[size - left :]
            and mine[size - right :] == other[:right]
            and between == other[right : size - left]
        ):
            continue
        if _RELATIONS.isdisjoint(between):
            # Search terms in another order.
            continue
        if "vs" in between or (len(between) <= 3 and not _SYMMETRIC.isdisjoint(between)):
            return None
        words = asked.words if asked.units is asked.stems else ours
        return f"{' '.join(words[first : first + left])} … {' '.join(words[last - right : last])}"
    return None


_ARTICLES = word_set("a an the my your our this that some any")
_TO = frozenset({"to", "into"})


def _direction(asked: Reading, cached: Reading) -> str | None:
    ours = _directions(asked)
    theirs = _directions(cached) if ours else {}
    if not theirs or not (_DISTANCE.isdisjoint(asked.stems) or _DISTANCE.isdisjoint(cached.stems)):
        return None
    for source, target in ours:
        back = target, source
        if (
            source != target
            and back in theirs
            and back not in ours
            and (source, target) not in theirs
        ):
            return f"from {source} to {target} / from {target} to {source}"
    return None


def _directions(reading: Reading) -> dict[tuple[str, str], None]:
    """Return where something comes from and where it goes to: the words after or before these."""
    words = reading.words
    found: dict[tuple[str, str], None] = {}
    has_target = not _TO.isdisjoint(reading.vocabulary)
    first = words.index("from") if "from" in reading.vocabulary else None
    if not has_target and first is None:
        return found
    # Of the nearest "from" before a "to", else of the first one after it.
    source = None if first is None else _content(words, first + 1)
    for place, word in enumerate(words):
        if word == "from":
            source = _content(words, place + 1)
            if has_target:
                continue
            target = words[place - 1] if place else None
        elif word in _TO:
            target = _content(words, place + 1)
            if first is None:
                source = words[place - 1] if place else None
        else:
            continue
        if source and target:
            found[source, target] = None
    return found


def _content(words: list[str], start: int) -> str | None:
    following = words[start : start + _LONGEST_PART]
    return next((word for word in following if word not in _ARTICLES), None)


WORD_ORDER = Rule(
    "word order", "the same words stand in another order", english_only=False, find=_word_order
)
DIRECTION = Rule("direction", "the direction is reversed", english_only=True, find=_direction)
