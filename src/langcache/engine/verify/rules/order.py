"""Rules about the order of words: who does what to whom, from where to where, what than what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["DIRECTION", "WORD_ORDER"]

# Between two things in either order: "cats and dogs", "cats vs dogs".
_SYMMETRIC = frozenset(
    "and or nor vs versus & plus und oder et ou y o e en med och".split()  # noqa: SIM905
)
_LONGEST = 120


def _word_order(asked: Reading, cached: Reading) -> str | None:
    ours, theirs = asked.stems, cached.stems
    if len(ours) != len(theirs) or ours == theirs or len(ours) > _LONGEST:
        return None
    if sorted(ours) != sorted(theirs):
        return None
    first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    last = len(ours) - next(
        i for i, (a, b) in enumerate(zip(ours[::-1], theirs[::-1], strict=True)) if a != b
    )
    mine, other = ours[first:last], theirs[first:last]
    # Of all ways to see it as two parts that changed places, the one with the longest middle.
    for middle in range(len(mine) - 2, 0, -1):
        for left in range(1, len(mine) - middle):
            right = len(mine) - middle - left
            if (
                mine[:left] == other[len(mine) - left :]
                and mine[len(mine) - right :] == other[:right]
                and mine[left : left + middle] == other[right : right + middle]
            ):
                if _SYMMETRIC.issuperset(mine[left : left + middle]):
                    return None
                words = asked.words[first:last]
                return f"{' '.join(words[:left])} … {' '.join(words[len(mine) - right :])}"
    # Two adjacent parts changed places: "on Linux, how do I …" and "how do I … on Linux".
    for left in range(1, len(mine)):
        if mine[:left] == other[len(mine) - left :] and mine[left:] == other[: len(mine) - left]:
            return None
    return " ".join(asked.words[first:last])


_ARTICLES = frozenset("a an the my your our this that some any".split())  # noqa: SIM905
_TO = frozenset({"to", "into"})


def _direction(asked: Reading, cached: Reading) -> str | None:
    for source, target in _directions(asked):
        for other_source, other_target in _directions(cached):
            if source == other_target and target == other_source and source != target:
                return f"from {source} to {target} / from {other_source} to {other_target}"
    return None


def _directions(reading: Reading) -> list[tuple[str, str]]:
    """Return where something comes from and where it goes to: the words after or before these."""
    words = reading.words
    found: list[tuple[str, str]] = []
    for place, word in enumerate(words):
        if word in _TO:
            target = _content(words[place + 1 :])
            before = words[:place]
            if "from" in before:
                source = _content(before[len(before) - before[::-1].index("from") :])
            elif "from" in words[place + 1 :]:
                source = _content(words[words.index("from", place) + 1 :])
            else:
                source = before[-1] if before else None
        elif word == "from" and not _TO.intersection(words):
            source = _content(words[place + 1 :])
            target = words[place - 1] if place else None
        else:
            continue
        if source and target:
            found.append((source, target))
    return found


def _content(words: list[str]) -> str | None:
    return next((word for word in words if word not in _ARTICLES), None)


WORD_ORDER = Rule(
    "word order", "the same words stand in another order", english_only=False, find=_word_order
)
DIRECTION = Rule("direction", "the direction is reversed", english_only=True, find=_direction)
