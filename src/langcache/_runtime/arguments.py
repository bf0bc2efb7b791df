"""Checks of what a caller passes, by type. What a value may be beyond its type, the server says.

Each function takes the argument's name and its value, gives back what is sent, and raises a
TypeError or ValueError that names the argument and never shows the value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import PydanticSerializationError, to_json

if TYPE_CHECKING:
    from langcache._runtime.operation import Argument


def text(name: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: must be a str, is {type(value).__name__}")
    return value


def number(name: str, value: object) -> float:
    """A finite number; a NumPy scalar will do, a bool will not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: must be a number, is {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: must be finite, is {value}")
    return float(value)


def integer(name: str, value: object) -> int:
    """An integer; a NumPy scalar will do, a bool will not."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}: must be an int, is {type(value).__name__}")
    return int(value)


def text_map(name: str, value: object) -> dict[str, str]:
    """A mapping of strings to strings."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: must be a mapping of str to str, is {type(value).__name__}")
    items = dict(cast("Mapping[Any, Any]", value))
    for key, item in items.items():
        if not isinstance(key, str):
            raise TypeError(f"{name}: names must be str, one is {type(key).__name__}")
        if not isinstance(item, str):
            raise TypeError(f"{name}[{key!r}]: must be a str, is {type(item).__name__}")
    return items


def text_list(name: str, value: object) -> list[str]:
    """An iterable of strings that is not itself a string."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name}: must be a list of str, is {type(value).__name__}")
    items = list(cast("Iterable[Any]", value))
    for position, item in enumerate(items):
        if not isinstance(item, str):
            raise TypeError(f"{name}[{position}]: must be a str, is {type(item).__name__}")
    return items


def to_body(arguments: Sequence[Argument], values: Sequence[object]) -> bytes:
    """The JSON of a request body.

    Args:
        arguments: What the contract says of each member.
        values: A value for each; one that is None is left out.

    Raises:
        TypeError: A value is of the wrong type, or a required one is None.
        ValueError: A number is not finite, or a string has a surrogate code point, which UTF-8
            cannot carry.
    """
    body = {
        argument.key: argument.encode(argument.name, value)
        for argument, value in zip(arguments, values, strict=True)
        if value is not None or argument.required
    }
    try:
        return to_json(body)
    except (PydanticSerializationError, UnicodeEncodeError):
        for argument in arguments:
            _require_unicode(argument.name, body.get(argument.key))
        raise


def _require_unicode(name: str, value: object) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name}: must be valid Unicode, has a surrogate at position {error.start} of "
                f"{len(value)}"
            ) from None
    elif isinstance(value, dict):
        for position, pair in enumerate(cast("dict[str, str]", value).items()):
            for what, item in zip(("name", "value"), pair, strict=True):
                _require_unicode(f"{name} ({what} {position})", item)
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[str]", value)):
            _require_unicode(f"{name}[{position}]", item)
