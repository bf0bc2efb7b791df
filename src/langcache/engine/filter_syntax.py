"""Filters written as a text, in the part of Redis's query syntax that compares fields.

@user:{ann|bob} @age:[18 (65] -(@topic:("red wine") | @topic:(beer*))
"""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Literal, NoReturn

from langcache.engine.filters import FilterExpression, Num, Tag, Text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_filter"]

_MOST_CHARACTERS = 10_000
_DEEPEST = 50

_SPACE = re.compile(r"\s*")
_FIELD = re.compile(r"@((?:\\.|[^\s\\:@{}\[\]()|])+)\s*:\s*")
_TAGS = re.compile(r"\{((?:\\.|[^\\{}])*)\}", re.DOTALL)
_TAG = re.compile(r"(?:\\.|[^\\|])+", re.DOTALL)
_BOUND = r"(\(?)\s*([-+]?inf|[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
_RANGE = re.compile(rf"\[\s*{_BOUND}\s*[\s,]\s*{_BOUND}\s*\]", re.IGNORECASE)
_INCLUSIVE: dict[tuple[bool, bool], Literal["both", "left", "right", "neither"]] = {
    (False, False): "both",
    (False, True): "left",
    (True, False): "right",
    (True, True): "neither",
}
_PHRASE = re.compile(r'"((?:\\.|[^\\"])*)"', re.DOTALL)
_WORD = re.compile(r"%{1,3}\w+%{1,3}|[\w*]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_filter(text: str) -> FilterExpression | None:
    """Return the filter that a text in Redis's query syntax stands for.

    It may have tags (`@user:{ann|b*}`), ranges of numbers (`@age:[18 (65]`), texts
    (`@topic:("red wine")`, `@topic:(wine*|%%beer%%)`, `@topic:wine`), parentheses, `|` for "or",
    white space for "and", and `-` for "not". A backslash makes the next character one of a value.

    Args:
        text: The text.

    Returns:
        The filter; None for `*`, which every entry meets.

    Raises:
        ValueError: The text is not of this form.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(
            f"filter_expression: must have at most {_MOST_CHARACTERS} characters, got {len(text)}"
        )
    if text.strip() == "*":
        return None
    parser = _Parser(text)
    found = parser.either(0, None)
    parser.end()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._skip()

    def end(self) -> None:
        if self._position < len(self._text):
            self._fail()

    def either(self, depth: int, field: Text | None) -> FilterExpression:
        found = [self._all(depth, field)]
        while self._take("|"):
            found.append(self._all(depth, field))
        return _any_of(found)

    def _all(self, depth: int, field: Text | None) -> FilterExpression:
        found = [self._one(depth, field)]
        while self._position < len(self._text) and self._text[self._position] not in "|)":
            found.append(self._one(depth, field))
        return reduce(lambda left, right: left & right, found)

    def _one(self, depth: int, field: Text | None) -> FilterExpression:
        if depth > _DEEPEST:
            self._fail()
        if self._take("-"):
            return ~self._one(depth + 1, field)
        if self._take("("):
            found = self.either(depth + 1, field)
            if not self._take(")"):
                self._fail()
            return found
        if field is not None:
            return self._text_of(field)
        name = self._match(_FIELD)
        if name is None:
            self._fail()
        return self._condition(_unescaped(name[1]), depth)

    def _condition(self, name: str, depth: int) -> FilterExpression:
        tags = self._match(_TAGS)
        if tags is not None:
            return self._made(lambda: _tags(name, tags[1]))
        bounds = self._match(_RANGE)
        if bounds is not None:
            inclusive = _INCLUSIVE[bool(bounds[1]), bool(bounds[3])]
            return Num(name).between(float(bounds[2]), float(bounds[4]), inclusive)
        if self._take("("):
            found = self.either(depth + 1, Text(name))
            if not self._take(")"):
                self._fail()
            return found
        return self._text_of(Text(name))

    def _text_of(self, field: Text) -> FilterExpression:
        phrase = self._match(_PHRASE)
        if phrase is not None:
            return self._made(lambda: field == _unescaped(phrase[1]))
        word = self._match(_WORD)
        if word is None:
            self._fail()
        return self._made(lambda: field % word[0] if set("*%") & set(word[0]) else field == word[0])

    def _made(self, make: Callable[[], FilterExpression]) -> FilterExpression:
        try:
            return make()
        except ValueError as error:
            raise ValueError(f"filter_expression: {error}") from None

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._position)
        if found is not None:
            self._position = found.end()
            self._skip()
        return found

    def _take(self, sign: str) -> bool:
        taken = self._text.startswith(sign, self._position)
        if taken:
            self._position += len(sign)
            self._skip()
        return taken

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._position)
        self._position = self._position if found is None else found.end()

    def _fail(self) -> NoReturn:
        raise ValueError(
            "filter_expression: must compare fields in Redis's query syntax, such as @user:{ann};"
            f" it does not from character {self._position + 1} on"
        )


def _any_of(found: list[FilterExpression]) -> FilterExpression:
    return reduce(lambda left, right: left | right, found)


def _tags(name: str, text: str) -> FilterExpression:
    values = [_stripped(value) for value in _TAG.findall(text)]
    exact = [_unescaped(value) for value in values if "*" not in _ESCAPED.sub("", value)]
    patterns = [value for value in values if "*" in _ESCAPED.sub("", value)]
    if any(each in ("*", "|") for value in patterns for each in _ESCAPED.findall(value)):
        raise ValueError("a pattern of tags must not have an escaped * or |")
    conditions: list[FilterExpression] = []
    if exact or not patterns:
        conditions.append(Tag(name) == exact)
    if patterns:
        conditions.append(Tag(name) % [_unescaped(value) for value in patterns])
    return _any_of(conditions)


def _stripped(value: str) -> str:
    """Return a value without the white space around it that is not escaped."""
    end = len(value.rstrip())
    backslashes = end - len(value[:end].rstrip("\\"))
    return value[: end + backslashes % 2].lstrip()


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
