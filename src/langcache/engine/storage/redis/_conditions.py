"""Filter expressions as conditions in queries.

The index has tokens of tags and of words, because the query engine splits, folds and parses texts
in its own way. Numbers are in a fixed set of fields, so that the index need not change with the
names of the attributes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from langcache.engine.filters import Num, NumberRange, Tag, Text, Translator, words_of
from langcache.engine.storage.redis._keys import LATEST, repeated_token

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from langcache.engine.filters import FilterExpression

NUMBER_FIELDS = tuple(b"n%d" % number for number in range(32))
"""The fields for numbers. The name of an attribute determines two, one of which has its number."""

TIME_FIELDS = {"inserted_at": b"created", "updated_at": b"updated"}
"""The fields for an entry's times, by their names in filters."""

# Shorter than those of tags: what is found is checked again.
_TOKEN_LENGTH = 17
_MOST_WORDS = 256
_MOST_BYTES = 16_384
# The parser of the engine refuses a query that is nested more than twice as deep.
_DEEPEST = 40

EVERYTHING = b"*"
_NOTHING = b"@words:{h}"
_NO_FIELD = b""
_NOT = b"(-"  # the beginning of a negation, and of no other condition
_ANY_WORD = repeated_token("any word")[:_TOKEN_LENGTH]


class Condition(NamedTuple):
    """A filter as two queries.

    Attributes:
        wide: Finds all entries that match, and perhaps others.
        narrow: Finds only entries that match, and perhaps not all.
        depth: How deep they are nested.
        is_loose: Whether `wide` may find many others.
    """

    wide: bytes
    narrow: bytes
    depth: int = 0
    is_loose: bool = False


_UNKNOWN = Condition(EVERYTHING, _NOTHING, is_loose=True)


def condition_of(expression: FilterExpression, *, is_indexed: bool = True) -> Condition:
    """Return the condition for a filter expression.

    Args:
        expression: The expression.
        is_indexed: Whether all entries have the fields of `filter_fields`.
    """
    return expression.translate(_CONDITIONS if is_indexed else _OF_TAGS_ONLY)


def filter_fields(attributes: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return the fields of an entry that conditions use, without those of its times and tags."""
    tokens: set[bytes] = set()
    fields: dict[bytes, bytes] = {}
    for name in sorted(attributes):
        number = _number(attributes[name])
        if number is None:
            continue
        # Another name may have taken a field. The numbers in the index are finite.
        free = [field for field in _number_fields(name) if field not in fields]
        if free and math.isfinite(number):
            fields[free[0]] = repr(number).encode()
            tokens.add(_number_token(name, free[0]))
        else:
            tokens.add(_number_token(name, _NO_FIELD))
    found = _word_tokens(attributes)
    tokens.update(found if len(found) <= _MOST_WORDS else (_ANY_WORD,))
    if tokens:
        fields[b"words"] = b",".join(sorted(tokens))
    return fields


def _word_tokens(attributes: Mapping[str, str]) -> set[bytes]:
    found: set[bytes] = set()
    for name, text in attributes.items():
        for word in words_of(text):
            found.add(_word_token(name, word))
            if len(found) > _MOST_WORDS:
                return found
    return found


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _number_fields(name: str) -> tuple[bytes, bytes]:
    """Return the fields that may have the number of a name, the preferred one first."""
    found = repeated_token(name)
    first, step = int(found[1:9], 16), int(found[9:17], 16)
    count = len(NUMBER_FIELDS)
    other = first + 1 + step % (count - 1)
    return NUMBER_FIELDS[first % count], NUMBER_FIELDS[other % count]


def _number_token(name: str, field: bytes) -> bytes:
    """Return the token of entries that have the number of a name in a field."""
    return repeated_token("number", name, field.decode())[:_TOKEN_LENGTH]


@lru_cache(maxsize=256)
def _number_places(name: str) -> tuple[bytes, bytes, bytes]:
    """Return what precedes the bounds of a number in either of its fields, and what has neither."""
    first, other = (
        b"(@words:{%b} @%b:" % (_number_token(name, field), field) for field in _number_fields(name)
    )
    return first, other, b"@words:{%b}" % _number_token(name, _NO_FIELD)


def _word_token(name: str, word: str) -> bytes:
    return repeated_token("word", name, word)[:_TOKEN_LENGTH]


class _Conditions(Translator[Condition]):
    @override
    def both(self, left: Condition, right: Condition) -> Condition:
        return _bounded(_and(left.wide, right.wide), _and(left.narrow, right.narrow), left, right)

    @override
    def either(self, left: Condition, right: Condition) -> Condition:
        return _bounded(_or(left.wide, right.wide), _or(left.narrow, right.narrow), left, right)

    @override
    def opposite(self, negated: Condition) -> Condition:
        return _bounded(_not(negated.narrow), _not(negated.wide), negated)

    @override
    def tag_is_one_of(self, name: str, values: Collection[str]) -> Condition:
        if not values:
            return Condition(_NOTHING, _NOTHING)
        if len(values) == 1:
            tag = b"@tags:{%b}" % repeated_token(name, *values)
            return Condition(tag, tag, 1)
        tags = b"@tags:{%b}" % b"|".join(sorted(repeated_token(name, value) for value in values))
        return _bounded(tags, tags)

    @override
    def number(self, name: str, within: NumberRange) -> Condition:
        return _number_condition(name, within)

    @override
    def words(self, name: str, phrase: Sequence[str]) -> Condition:
        if name in ("prompt", "response"):
            return _UNKNOWN
        tokens = [_word_token(name, word) for word in dict.fromkeys(phrase)]
        wide = b" ".join(b"@words:{%b|%b}" % (each, _ANY_WORD) for each in tokens)
        # The words of a phrase may be apart.
        narrow = b"@words:{%b}" % tokens[0] if len(phrase) == 1 else _NOTHING
        words = Condition(wide, narrow, 1, is_loose=len(phrase) > 1)
        return _bounded(b"(%b)" % wide, narrow, words)

    @override
    def pattern(self, name: str) -> Condition:
        return _UNKNOWN


class _OfTagsOnly(_Conditions):
    @override
    def number(self, name: str, within: NumberRange) -> Condition:
        return _UNKNOWN

    @override
    def words(self, name: str, phrase: Sequence[str]) -> Condition:
        return _UNKNOWN


_CONDITIONS, _OF_TAGS_ONLY = _Conditions(), _OfTagsOnly()


@lru_cache(maxsize=256)
def _number_condition(name: str, within: NumberRange) -> Condition:
    bounds = _range(within)
    if name in TIME_FIELDS:
        finite = (each for each in within[:2] if math.isfinite(each))
        if any(abs(each) >= LATEST for each in finite):
            return _UNKNOWN
        query = b"@%b:%b" % (TIME_FIELDS[name], bounds)
        return Condition(query, query)
    first, other, spare = _number_places(name)
    narrow = b"%b%b) | %b%b)" % (first, bounds, other, bounds)
    return Condition(b"(%b | %b)" % (narrow, spare), b"(%b)" % narrow, 2)


def _range(within: NumberRange) -> bytes:
    lower, upper = (repr(each).encode() for each in within[:2])
    above, below = (b"(" if each else b"" for each in within[2:])
    return b"[%b%b %b%b]" % (above, lower, below, upper)


def _and(left: bytes, right: bytes) -> bytes:
    if _NOTHING in (left, right):
        return _NOTHING
    if EVERYTHING in (left, right):
        return left if right == EVERYTHING else right
    return b"(%b %b)" % (left, right)


def _or(left: bytes, right: bytes) -> bytes:
    if EVERYTHING in (left, right):
        return EVERYTHING
    if _NOTHING in (left, right):
        return left if right == _NOTHING else right
    return b"(%b | %b)" % (left, right)


def _not(query: bytes) -> bytes:
    if query in (EVERYTHING, _NOTHING):
        return _NOTHING if query == EVERYTHING else EVERYTHING
    if query.startswith(_NOT):
        # The engine does not find all that a double negation matches.
        return query[len(_NOT) : -1]
    return b"%b%b)" % (_NOT, query)


def _bounded(wide: bytes, narrow: bytes, *parts: Condition) -> Condition:
    """Return a condition made of parts, unless it is too large or nested too deep for a query."""
    depth = 1 + max((part.depth for part in parts), default=0)
    if len(wide) + len(narrow) > _MOST_BYTES or depth > _DEEPEST:
        return _UNKNOWN
    return Condition(wide, narrow, depth, any(part.is_loose for part in parts))


PROBE = condition_of(((Tag("a") == "b") & ~(Num("a") == 0)) | (Text("a") == "b")).wide
"""A condition that has all that conditions may have."""
