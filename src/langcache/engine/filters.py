"""Filter expressions: which entries a search may return.

    (Tag("user") == "ann") & (Num("age") >= 18) & ~(Text("topic") == "red wine")

A comparison of a field with a value is an expression; `&`, `|` and `~` combine them. Python binds
`&` and `|` tighter than `==` and `<`, so each comparison needs its parentheses.
"""

from __future__ import annotations

import math
import operator
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

__all__ = ["FieldType", "FilterExpression", "Num", "Tag", "Text"]

FieldType: TypeAlias = Literal["tag", "numeric", "text"]
"""What a filterable field holds, and so by which of `Tag`, `Num` and `Text` it is filtered."""

_WORD = re.compile(r"\w+")
_PATTERN_WORD = re.compile(r"[\w*]+")


class FilterExpression(ABC):
    """A condition on an entry's fields.

    Made by comparing a `Tag`, `Num` or `Text` with a value, and by combining expressions with `&`
    (both), `|` (either) and `~` (not). Expressions are immutable and may be used any number of
    times, from several threads. `repr` shows fields and operators, but not the values.
    """

    __slots__ = ()

    @abstractmethod
    def matches(self, fields: Mapping[str, str]) -> bool:
        """Return whether an entry with these fields fulfils the condition.

        Args:
            fields: The entry's fields by name, as they are stored: numbers in decimal text.
        """

    def required_attributes(self) -> Mapping[str, str]:
        """Return fields that every match is sure to have, with these values.

        A storage backend finds entries by the equality of attributes fast. What it finds by these
        holds every match, and maybe others.
        """
        return {}

    @abstractmethod
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        """Iterate over the name and the type of each field in the expression."""

    def __and__(self, other: FilterExpression) -> FilterExpression:
        return _And(self, other) if _is_expression(other) else NotImplemented

    def __or__(self, other: FilterExpression) -> FilterExpression:
        return _Or(self, other) if _is_expression(other) else NotImplemented

    def __invert__(self) -> FilterExpression:
        return _Not(self)

    def __bool__(self) -> bool:
        raise TypeError("a filter expression has no truth value: combine with &, | and ~")


def _is_expression(value: object) -> bool:
    return isinstance(value, FilterExpression)


@dataclass(frozen=True, slots=True, repr=False)
class _And(FilterExpression):
    left: FilterExpression
    right: FilterExpression

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        return self.left.matches(fields) and self.right.matches(fields)

    @override
    def required_attributes(self) -> Mapping[str, str]:
        return {**self.left.required_attributes(), **self.right.required_attributes()}

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield from self.left.fields()
        yield from self.right.fields()

    def __repr__(self) -> str:
        return f"({self.left!r} & {self.right!r})"


@dataclass(frozen=True, slots=True, repr=False)
class _Or(FilterExpression):
    left: FilterExpression
    right: FilterExpression

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        return self.left.matches(fields) or self.right.matches(fields)

    @override
    def required_attributes(self) -> Mapping[str, str]:
        right = self.right.required_attributes()
        left = self.left.required_attributes()
        return {name: value for name, value in left.items() if right.get(name) == value}

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield from self.left.fields()
        yield from self.right.fields()

    def __repr__(self) -> str:
        return f"({self.left!r} | {self.right!r})"


@dataclass(frozen=True, slots=True, repr=False)
class _Not(FilterExpression):
    negated: FilterExpression

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        return not self.negated.matches(fields)

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        return self.negated.fields()

    def __repr__(self) -> str:
        return f"~{self.negated!r}"


@dataclass(frozen=True, slots=True, repr=False)
class _TagIsOneOf(FilterExpression):
    name: str
    values: frozenset[str]

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        return fields.get(self.name) in self.values

    @override
    def required_attributes(self) -> Mapping[str, str]:
        return dict.fromkeys((self.name,), *self.values) if len(self.values) == 1 else {}

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "tag"

    def __repr__(self) -> str:
        return f"(Tag({self.name!r}) == ...)"


@dataclass(frozen=True, slots=True, repr=False)
class _NumCompares(FilterExpression):
    name: str
    symbol: str
    compare: Callable[[float, float], bool]
    value: float

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        try:
            return self.compare(float(fields[self.name]), self.value)
        except (KeyError, ValueError):
            return False

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "numeric"

    def __repr__(self) -> str:
        return f"(Num({self.name!r}) {self.symbol} ...)"


@dataclass(frozen=True, slots=True, repr=False)
class _TextHasPhrase(FilterExpression):
    name: str
    phrase: str
    """The words, each between two spaces: so is the text that is searched for it."""

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        return self.phrase in _spaced(_words(fields.get(self.name, "")))

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "text"

    def __repr__(self) -> str:
        return f"(Text({self.name!r}) == ...)"


@dataclass(frozen=True, slots=True, repr=False)
class _TextIsLike(FilterExpression):
    name: str
    alternatives: tuple[tuple[str, ...], ...]
    """The words of each alternative; `*` in a word stands for any characters."""

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        words = _words(fields.get(self.name, ""))
        return any(
            all(any(_is_like(word, pattern) for word in words) for pattern in patterns)
            for patterns in self.alternatives
        )

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "text"

    def __repr__(self) -> str:
        return f"(Text({self.name!r}) % ...)"


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _is_like(word: str, pattern: str) -> bool:
    # Part by part: a regular expression can take very long for a pattern with many asterisks.
    first, *others = pattern.split("*")
    if not others:
        return word == first
    *middle, last = others
    if not word.startswith(first) or not word.endswith(last, len(first)):
        return False
    position = len(first)
    end = len(word) - len(last)
    for part in middle:
        position = word.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True


def _spaced(words: list[str]) -> str:
    return f" {' '.join(words)} "


class _Field:
    """Names a field to compare.

    Args:
        name: The field's name.

    Raises:
        TypeError: The name is not a str.
        ValueError: The name is empty.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        if not isinstance(cast("object", name), str):
            raise TypeError(f"name: must be a str, got {type(name).__name__}")
        if not name:
            raise ValueError("name: must not be empty")
        self._name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"


class Tag(_Field):  # noqa: PLW1641 - == does not compare it
    """A field that holds one of a set of values, such as a user's name.

    `Tag("user") == "ann"` asks for exactly this value, letter case included. With a collection,
    `Tag("user") == ["ann", "bob"]`, it asks for one of the values; an empty collection has none,
    so nothing matches. `!=` is the opposite: an entry without the field passes.

    Raises:
        TypeError: Compared with something else than a str or a collection of str.
    """

    __slots__ = ()

    def __eq__(  # pyright: ignore[reportIncompatibleMethodOverride] - it makes an expression
        self, value: str | Collection[str]
    ) -> FilterExpression:
        return _TagIsOneOf(self._name, _tag_values(value))

    def __ne__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: str | Collection[str]
    ) -> FilterExpression:
        return ~(self == value)


def _tag_values(value: str | Collection[str]) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset((value,))
    given = cast("object", value)
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise TypeError(f"Tag: must be compared with a str or a list of str, got {_kind(given)}")
    for each in cast("Collection[object]", given):
        if not isinstance(each, str):
            raise TypeError(f"Tag: must be compared with values of type str, got {_kind(each)}")
    return frozenset(value)


class Num(_Field):  # noqa: PLW1641 - == does not compare it
    """A field that holds a number, compared as a float: `==`, `!=`, `<`, `<=`, `>`, `>=`.

    An entry without the field passes `!=` and nothing else.

    Raises:
        TypeError: Compared with something else than an int or a float.
        ValueError: Compared with NaN, or with an int that no float can hold.
    """

    __slots__ = ()

    def __eq__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: float
    ) -> FilterExpression:
        return _NumCompares(self._name, "==", operator.eq, _number(value))

    def __ne__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: float
    ) -> FilterExpression:
        return ~(self == value)

    def __lt__(self, value: float) -> FilterExpression:
        return _NumCompares(self._name, "<", operator.lt, _number(value))

    def __le__(self, value: float) -> FilterExpression:
        return _NumCompares(self._name, "<=", operator.le, _number(value))

    def __gt__(self, value: float) -> FilterExpression:
        return _NumCompares(self._name, ">", operator.gt, _number(value))

    def __ge__(self, value: float) -> FilterExpression:
        return _NumCompares(self._name, ">=", operator.ge, _number(value))


def _number(value: float) -> float:
    given = cast("object", value)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"Num: must be compared with an int or a float, got {_kind(given)}")
    try:
        number = float(given)
    except OverflowError:
        raise ValueError("Num: must be compared with a number in the range of a float") from None
    if math.isnan(number):
        raise ValueError("Num: must be compared with a number, got nan")
    return number


class Text(_Field):  # noqa: PLW1641 - == does not compare it
    """A field that holds text, compared by words.

    A word is a run of letters, digits and underscores; case does not count, and nothing is
    stemmed or left out.

    - `Text("topic") == "red wine"`: these words follow one another somewhere in the field.
    - `Text("topic") != "red wine"`: they do not, or the field is missing.
    - `Text("topic") % "red win*"`: each of these words is somewhere in the field, in any order.
      `*` stands for any characters within a word, none included. `|` separates alternatives:
      `"red win* | beer"`.

    Raises:
        TypeError: Compared with something else than a str.
        ValueError: There is no word in what it is compared with; or, for `%`, there is none in an
            alternative, or a character besides words, `*`, `|` and white space.
    """

    __slots__ = ()

    def __eq__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: str
    ) -> FilterExpression:
        words = _words(_text(value))
        if not words:
            raise ValueError(f"Text: must be compared with a word, got none in {_size(value)}")
        return _TextHasPhrase(self._name, _spaced(words))

    def __ne__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: str
    ) -> FilterExpression:
        return ~(self == value)

    def __mod__(self, pattern: str) -> FilterExpression:
        alternatives: list[tuple[str, ...]] = []
        for alternative in _text(pattern).casefold().split("|"):
            words = tuple(alternative.split())
            if not words or not all(map(_PATTERN_WORD.fullmatch, words)):
                raise ValueError(
                    "Text: each alternative of a pattern must be words of letters, digits, _ and"
                    f" *, got something else in {_size(pattern)}"
                )
            alternatives.append(words)
        return _TextIsLike(self._name, tuple(alternatives))


def _text(value: str) -> str:
    given = cast("object", value)
    if not isinstance(given, str):
        raise TypeError(f"Text: must be compared with a str, got {_kind(given)}")
    return given


def _kind(value: object) -> str:
    return type(value).__name__


def _size(text: str) -> str:
    return f"{len(text)} characters"
