"""Filter expressions: conditions on the entries that a search returns.

    (Tag("user") == "ann") & (Num("age") >= 18) & ~(Text("topic") == "red wine")

A comparison of a field with a value is an expression; `&`, `|` and `~` combine them. Python binds
`&` and `|` tighter than `==` and `<`, so each comparison needs its parentheses.
"""

from __future__ import annotations

import math
import re
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["FieldType", "FilterExpression", "Num", "Tag", "Text", "Translator"]

_T = TypeVar("_T")

FieldType: TypeAlias = Literal["tag", "numeric", "text"]
"""The type of a filterable field, for `Tag`, `Num` or `Text`."""


class NumberRange(NamedTuple):
    """The numbers from one to another.

    Attributes:
        lower: The lower bound.
        upper: The upper bound.
        above: Whether the lower bound itself does not belong to the range.
        below: Whether the upper bound itself does not belong to the range.
    """

    lower: float = -math.inf
    upper: float = math.inf
    above: bool = False
    below: bool = False

    def has(self, number: float) -> bool:
        """Return whether a number belongs to the range."""
        return (number > self.lower if self.above else number >= self.lower) and (
            number < self.upper if self.below else number <= self.upper
        )


_FUZZY_WORD = re.compile("(?P<signs>%{1,3})(?P<word>[^%*]+)(?P=signs)")
_LONGEST_FUZZY = 64


class Translator(ABC, Generic[_T]):
    """Makes something else of a filter expression, such as a query; see `translate`."""

    @abstractmethod
    def both(self, left: _T, right: _T) -> _T:
        """Return what stands for an "and"."""

    @abstractmethod
    def either(self, left: _T, right: _T) -> _T:
        """Return what stands for an "or"."""

    @abstractmethod
    def opposite(self, negated: _T) -> _T:
        """Return what stands for a "not"."""

    @abstractmethod
    def tag_is_one_of(self, name: str, values: Collection[str]) -> _T:
        """Return what stands for a tag that equals one of some values."""

    @abstractmethod
    def number(self, name: str, within: NumberRange) -> _T:
        """Return what stands for a number in a range."""

    @abstractmethod
    def words(self, name: str, phrase: Sequence[str]) -> _T:
        """Return what stands for a text that has these words, one after the other."""

    @abstractmethod
    def pattern(self, name: str) -> _T:
        """Return what stands for a comparison with a pattern."""


class FilterExpression(ABC):
    """A condition on an entry's fields.

    Created by comparing a `Tag`, `Num` or `Text` with a value, and by combining expressions with
    `&` (and), `|` (or) and `~` (not). Expressions are immutable and thread-safe. `repr` shows
    fields and operators, but no values.
    """

    __slots__ = ()

    @abstractmethod
    def matches(self, fields: Mapping[str, str]) -> bool:
        """Return whether an entry with these fields meets the condition.

        Args:
            fields: The entry's fields by name, as stored: numbers are decimal text.
        """

    def required_attributes(self) -> Mapping[str, str]:
        """Return fields and values that every match has.

        A storage backend can select entries with these attributes fast. They include every match,
        and possibly other entries.
        """
        return {}

    @abstractmethod
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        """Iterate over the names and types of the fields in the expression."""

    @abstractmethod
    def translate(self, translator: Translator[_T]) -> _T:
        """Return what a translator makes of the expression."""

    def __and__(self, other: FilterExpression) -> FilterExpression:
        return _And(self, other) if _is_expression(other) else NotImplemented

    def __or__(self, other: FilterExpression) -> FilterExpression:
        return _Or(self, other) if _is_expression(other) else NotImplemented

    def __invert__(self) -> FilterExpression:
        return _Not(self)

    def __bool__(self) -> bool:
        raise TypeError("a filter expression has no truth value: use &, | and ~ to combine")


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

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        return translator.both(self.left.translate(translator), self.right.translate(translator))

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

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        left, right = self.left.translate(translator), self.right.translate(translator)
        return translator.either(left, right)

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

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        return translator.opposite(self.negated.translate(translator))

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

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        return translator.tag_is_one_of(self.name, self.values)

    def __repr__(self) -> str:
        return f"(Tag({self.name!r}) == ...)"


@dataclass(frozen=True, slots=True, repr=False)
class _TagIsLike(FilterExpression):
    name: str
    patterns: frozenset[str]
    """`*` in a pattern matches any characters."""

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        value = fields.get(self.name)
        return value is not None and any(_is_like(value, pattern) for pattern in self.patterns)

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "tag"

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        return translator.pattern(self.name)

    def __repr__(self) -> str:
        return f"(Tag({self.name!r}) % ...)"


@dataclass(frozen=True, slots=True, repr=False)
class _NumIsIn(FilterExpression):
    name: str
    symbol: str
    within: NumberRange

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        try:
            return self.within.has(float(fields[self.name]))
        except (KeyError, ValueError):
            return False

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "numeric"

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        return translator.number(self.name, self.within)

    def __repr__(self) -> str:
        return f"(Num({self.name!r}) {self.symbol} ...)"


@dataclass(frozen=True, slots=True, repr=False)
class _TextHasPhrase(FilterExpression):
    name: str
    phrase: str
    """The words, separated and surrounded by spaces, like the text that is searched."""

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        return self.phrase in _spaced(words_of(fields.get(self.name, "")))

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "text"

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        return translator.words(self.name, self.phrase.split())

    def __repr__(self) -> str:
        return f"(Text({self.name!r}) == ...)"


@dataclass(frozen=True, slots=True, repr=False)
class _TextIsLike(FilterExpression):
    name: str
    alternatives: tuple[tuple[str, ...], ...]
    """The words of each alternative, with the signs of a pattern."""

    @override
    def matches(self, fields: Mapping[str, str]) -> bool:
        words = words_of(fields.get(self.name, ""))
        return any(
            all(any(_word_is_like(word, pattern) for word in words) for pattern in patterns)
            for patterns in self.alternatives
        )

    @override
    def fields(self) -> Iterator[tuple[str, FieldType]]:
        yield self.name, "text"

    @override
    def translate(self, translator: Translator[_T]) -> _T:
        return translator.pattern(self.name)

    def __repr__(self) -> str:
        return f"(Text({self.name!r}) % ...)"


_MOST_CHARACTERS = 10_000


class _WordCharacters(dict[int, int | str | None]):
    """What becomes of each character of a text before it is split into words, for `str.translate`.

    Letters, digits, underscores and combining marks make words. Characters that only guide the
    layout, such as the zero-width joiner and the soft hyphen, are left out. Anything else separates
    words.
    """

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        category = unicodedata.category(character)
        if character.isalnum() or character == "_" or category.startswith("M"):
            becomes = code
        else:
            becomes = None if category == "Cf" else " "
        if len(self) < _MOST_CHARACTERS:
            self[code] = becomes
        return becomes


_word_characters = _WordCharacters()


def _folded(text: str) -> str:
    """Return a text in a form that is equal for texts that differ in letter case or spelling.

    A letter with a mark is spelled as one character or as two. Folding is done on the long
    spelling, because it is not defined for all short ones.
    """
    if text.isascii():
        return text.casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def words_of(text: str) -> list[str]:
    """Return the words of a text as text filters compare them."""
    return _folded(text).translate(_word_characters).split()


def _word_is_like(word: str, pattern: str) -> bool:
    meant = pattern.strip("%")
    if meant == pattern:
        return _is_like(word, pattern)
    return word == meant or _is_near(word, meant, (len(pattern) - len(meant)) // 2)


def _is_near(word: str, other: str, most: int) -> bool:
    """Return whether `most` insertions, deletions and replacements make one word the other."""
    if len(word) > _LONGEST_FUZZY or abs(len(word) - len(other)) > most:
        return False
    row = list(range(len(other) + 1))
    for deleted, letter in enumerate(word, 1):
        above, row = row, [deleted]
        for column, wanted in enumerate(other, 1):
            replaced = above[column - 1] + (letter != wanted)
            row.append(min(replaced, above[column] + 1, row[-1] + 1))
    return row[-1] <= most


def _is_like(word: str, pattern: str) -> bool:
    # Not by a regular expression, which is very slow for a pattern with many asterisks.
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
    """A field to compare.

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


class Tag(_Field):  # noqa: PLW1641 - == makes an expression
    """A field that holds a label, such as a user's name.

    `Tag("user") == "ann"` matches exactly this value, including letter case. With a collection,
    `Tag("user") == ["ann", "bob"]` matches any of its values; an empty collection matches nothing.
    `!=` is the opposite, and also matches an entry without the field.

    `Tag("user") % "ann*"` matches values that begin with "ann": `*` stands for any characters, also
    none, anywhere in the pattern. `|` separates alternatives, as do the items of a collection.

    Raises:
        TypeError: Compared with anything but a str or a collection of str.
        ValueError: A pattern is empty.
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

    def __mod__(self, pattern: str | Collection[str]) -> FilterExpression:
        patterns = [
            alternative.strip() for each in _tag_values(pattern) for alternative in each.split("|")
        ]
        if not all(patterns):
            raise ValueError("Tag: must be compared with patterns that are not empty")
        return _TagIsLike(self._name, frozenset(patterns))


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


class Num(_Field):  # noqa: PLW1641 - == makes an expression
    """A field that holds a number: `==`, `!=`, `<`, `<=`, `>`, `>=` and `between` compare floats.

    An entry without the field matches only `!=`.

    Raises:
        TypeError: Compared with anything but an int or a float.
        ValueError: Compared with NaN, or with an int outside the range of a float.
    """

    __slots__ = ()

    def __eq__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: float
    ) -> FilterExpression:
        number = _number(value)
        return _NumIsIn(self._name, "==", NumberRange(number, number))

    def __ne__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: float
    ) -> FilterExpression:
        return ~(self == value)

    def __lt__(self, value: float) -> FilterExpression:
        return _NumIsIn(self._name, "<", NumberRange(upper=_number(value), below=True))

    def __le__(self, value: float) -> FilterExpression:
        return _NumIsIn(self._name, "<=", NumberRange(upper=_number(value)))

    def __gt__(self, value: float) -> FilterExpression:
        return _NumIsIn(self._name, ">", NumberRange(_number(value), above=True))

    def __ge__(self, value: float) -> FilterExpression:
        return _NumIsIn(self._name, ">=", NumberRange(_number(value)))

    def between(
        self,
        start: float,
        end: float,
        inclusive: Literal["both", "neither", "left", "right"] = "both",
    ) -> FilterExpression:
        """Return the condition that the number is between two others.

        Args:
            start: The lower bound.
            end: The upper bound.
            inclusive: Which bounds belong to the range.

        Raises:
            ValueError: `inclusive` is none of these.
        """
        if inclusive not in ("both", "neither", "left", "right"):
            raise ValueError("inclusive: must be 'both', 'neither', 'left' or 'right'")
        within = NumberRange(
            _number(start),
            _number(end),
            above=inclusive in ("neither", "right"),
            below=inclusive in ("neither", "left"),
        )
        return _NumIsIn(self._name, "between", within)


def _number(value: float) -> float:
    given = cast("object", value)
    if isinstance(given, bool) or not isinstance(given, Real):
        raise TypeError(f"Num: must be compared with an int or a float, got {_kind(given)}")
    try:
        number = float(given)
    except OverflowError:
        raise ValueError("Num: must be compared with a number in the range of a float") from None
    if math.isnan(number):
        raise ValueError("Num: must be compared with a number, got nan")
    return number


class Text(_Field):  # noqa: PLW1641 - == makes an expression
    """A field that holds text, compared by words.

    A word is a sequence of letters, digits, combining marks and underscores, in any script. Letter
    case is ignored, and so is whether a letter and its mark are one character or two. There is no
    stemming and there are no stop words. A text without spaces, such as Thai or Chinese, is one
    word.

    - `Text("topic") == "red wine"`: the field contains this sequence of words.
    - `Text("topic") != "red wine"`: it does not, or the field is missing.
    - `Text("topic") % "red win*"`: the field contains each of these words, in any order. `*`
      matches any characters within a word, also none. `%wine%` matches the words that at most one
      insertion, deletion or replacement of a letter makes of "wine"; `%%wine%%` allows two and
      `%%%wine%%%` three, in words of up to 64 letters. `|` separates alternatives:
      `"red win* | beer"`.

    Raises:
        TypeError: Compared with anything but a str.
        ValueError: The text has no word; or, for `%`, an alternative has no word, or the pattern
            has a character besides words, `*`, `|`, white space and `%` around a word.
    """

    __slots__ = ()

    def __eq__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: str
    ) -> FilterExpression:
        words = words_of(_text(value))
        if not words:
            raise ValueError(f"Text: must be compared with at least one word, got {_size(value)}")
        return _TextHasPhrase(self._name, _spaced(words))

    def __ne__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: str
    ) -> FilterExpression:
        return ~(self == value)

    def __mod__(self, pattern: str) -> FilterExpression:
        alternatives: list[tuple[str, ...]] = []
        for alternative in _folded(_text(pattern)).split("|"):
            words = tuple(map(_pattern_word, alternative.split()))
            if not words or not all(words):
                raise ValueError(
                    "Text: each alternative of a pattern must be words of letters, digits, _ and *,"
                    f" or such words between one to three % on both sides, got {_size(pattern)}"
                )
            alternatives.append(words)
        return _TextIsLike(self._name, tuple(alternatives))


def _pattern_word(word: str) -> str:
    """Return a word of a pattern as it is compared, or "" if it has other characters."""
    fuzzy = _FUZZY_WORD.fullmatch(word)
    if fuzzy:
        meant = fuzzy["word"].translate(_word_characters)
        return "" if not meant or " " in meant else fuzzy["signs"] + meant + fuzzy["signs"]
    parts = [part.translate(_word_characters) for part in word.split("*")]
    return "" if any(" " in part for part in parts) else "*".join(parts)


def _text(value: str) -> str:
    given = cast("object", value)
    if not isinstance(given, str):
        raise TypeError(f"Text: must be compared with a str, got {_kind(given)}")
    return given


def _kind(value: object) -> str:
    return type(value).__name__


def _size(text: str) -> str:
    return f"{len(text)} characters"
