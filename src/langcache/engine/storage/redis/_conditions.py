"""Filter expressions as conditions in queries.

The index has tokens of tags and of words, because the query engine splits, folds and parses texts
in its own way. Numbers are in a fixed set of fields, so that the index need not change with the
names of the attributes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from langcache.engine.filters import Num, NumberSymbol, Tag, Text, Translator, words_of
from langcache.engine.storage.redis._keys import LATEST, token

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from langcache.engine.filters import FilterExpression

NUMBER_FIELDS = tuple(b"n%d" % number for number in range(32))
"""The fields for numbers. The name of an attribute determines its field."""

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
_ANY_WORD = token("any word")[:_TOKEN_LENGTH]


class Condition(NamedTuple):
    """A filter as two queries.

    Attributes:
        wide: Finds all entries that match, and perhaps others.
        narrow: Finds only entries that match, and perhaps not all.
        depth: How deep they are nested.
    """

    wide: bytes
    narrow: bytes
    depth: int = 0


_UNKNOWN = Condition(EVERYTHING, _NOTHING)


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
    numbers: dict[bytes, str] = {}
    for name, text in attributes.items():
        number = _number(text)
        field = _number_field(name)
        if number is None:
            pass
        elif field in numbers or math.isinf(number):
            # An entry has one value in each field, and these are finite.
            tokens.add(_spare_token(field))
        else:
            numbers[field] = name
    spare = {field for field in numbers if _spare_token(field) in tokens}
    fields = {
        field: repr(float(attributes[name])).encode()
        for field, name in numbers.items()
        if field not in spare
    }
    tokens.update(_name_token(name) for field, name in numbers.items() if field not in spare)
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


def _number_field(name: str) -> bytes:
    return NUMBER_FIELDS[int(token(name)[1:9], 16) % len(NUMBER_FIELDS)]


def _spare_token(field: bytes) -> bytes:
    return token("not in", field.decode())[:_TOKEN_LENGTH]


def _name_token(name: str) -> bytes:
    return token("number", name)[:_TOKEN_LENGTH]


def _word_token(name: str, word: str) -> bytes:
    return token("word", name, word)[:_TOKEN_LENGTH]


class _Conditions(Translator[Condition]):
    @override
    def both(self, left: Condition, right: Condition) -> Condition:
        return _bounded(
            _and(left.wide, right.wide), _and(left.narrow, right.narrow), left.depth, right.depth
        )

    @override
    def either(self, left: Condition, right: Condition) -> Condition:
        return _bounded(
            _or(left.wide, right.wide), _or(left.narrow, right.narrow), left.depth, right.depth
        )

    @override
    def opposite(self, negated: Condition) -> Condition:
        return _bounded(_not(negated.narrow), _not(negated.wide), negated.depth)

    @override
    def tag_is_one_of(self, name: str, values: Collection[str]) -> Condition:
        if not values:
            return Condition(_NOTHING, _NOTHING)
        tags = b"@tags:{%b}" % b"|".join(sorted(token(name, value) for value in values))
        return _bounded(tags, tags)

    @override
    def number(self, name: str, symbol: NumberSymbol, value: float) -> Condition:
        if name in TIME_FIELDS:
            if abs(value) >= LATEST:
                return _UNKNOWN
            within = b"@%b:%b" % (TIME_FIELDS[name], _range(symbol, value))
            return Condition(within, within)
        field = _number_field(name)
        # Attributes of other names may use the same field.
        within = b"(@words:{%b} @%b:%b)" % (_name_token(name), field, _range(symbol, value))
        return Condition(_or(within, b"@words:{%b}" % _spare_token(field)), within, 2)

    @override
    def words(self, name: str, phrase: Sequence[str]) -> Condition:
        if name in ("prompt", "response"):
            return _UNKNOWN
        tokens = [_word_token(name, word) for word in dict.fromkeys(phrase)]
        wide = b" ".join(b"@words:{%b|%b}" % (each, _ANY_WORD) for each in tokens)
        # The words of a phrase may be apart.
        narrow = b"@words:{%b}" % tokens[0] if len(phrase) == 1 else _NOTHING
        return _bounded(b"(%b)" % wide, narrow, 1)

    @override
    def pattern(self, name: str) -> Condition:
        return _UNKNOWN


class _OfTagsOnly(_Conditions):
    @override
    def number(self, name: str, symbol: NumberSymbol, value: float) -> Condition:
        return _UNKNOWN

    @override
    def words(self, name: str, phrase: Sequence[str]) -> Condition:
        return _UNKNOWN


_CONDITIONS, _OF_TAGS_ONLY = _Conditions(), _OfTagsOnly()


def _range(symbol: NumberSymbol, value: float) -> bytes:
    number = repr(value).encode()
    return {
        "==": b"[%b %b]" % (number, number),
        "<": b"[-inf (%b]" % number,
        "<=": b"[-inf %b]" % number,
        ">": b"[(%b +inf]" % number,
        ">=": b"[%b +inf]" % number,
    }[symbol]


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
    return b"(-%b)" % query


def _bounded(wide: bytes, narrow: bytes, *depths: int) -> Condition:
    """Return a condition, unless it is too large or nested too deep for a query."""
    depth = 1 + max(depths, default=0)
    too_large = len(wide) + len(narrow) > _MOST_BYTES
    return _UNKNOWN if too_large or depth > _DEEPEST else Condition(wide, narrow, depth)


PROBE = condition_of(((Tag("a") == "b") & ~(Num("a") == 0)) | (Text("a") == "b")).wide
"""A condition that has all that conditions may have."""
