"""Type checks of the arguments of a call. The server checks the values.

Each function takes the name and the value of an argument and returns the value to send. It raises a
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
    """Check a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: must be a str, got {type(value).__name__}")
    return value


def number(name: str, value: object) -> float:
    """Check a finite number. NumPy scalars are accepted, bools are not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: must be a number, got {type(value).__name__}")
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    if not math.isfinite(converted):
        raise ValueError(f"{name}: must be finite, got {converted}")
    return converted


def integer(name: str, value: object) -> int:
    """Check an integer. NumPy scalars and floats with a whole value are accepted, bools are not."""
    # `timedelta.total_seconds() * 1000` is such a float.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}: must be an int, got {type(value).__name__}")
    return int(value)


def text_map(name: str, value: object) -> dict[str, str]:
    """Check a mapping of strings to strings."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: must be a mapping of str to str, got {type(value).__name__}")
    items = dict(cast("Mapping[Any, Any]", value))
    for key, item in items.items():
        if not isinstance(key, str):
            raise TypeError(f"{name}: keys must be str, got {type(key).__name__}")
        if not isinstance(item, str):
            raise TypeError(f"{name}[{key!r}]: must be a str, got {type(item).__name__}")
    return items


def text_list(name: str, value: object) -> list[str]:
    """Check an iterable of strings that is not itself a string."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name}: must be a list of str, got {type(value).__name__}")
    items = list(cast("Iterable[Any]", value))
    for position, item in enumerate(items):
        if not isinstance(item, str):
            raise TypeError(f"{name}[{position}]: must be a str, got {type(item).__name__}")
    return items


def to_body(arguments: Sequence[Argument], values: Sequence[object]) -> bytes:
    """Return the JSON of a request body.

    Args:
        arguments: The members of the body.
        values: The value of each member. Members whose value is None are left out.

    Raises:
        TypeError: A value has the wrong type, or a required value is None.
        ValueError: A number is not finite, or a string has a surrogate code point, which UTF-8
            cannot encode.
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
                f"{name}: must be valid Unicode, got a surrogate at position {error.start} of "
                f"{len(value)}"
            ) from None
    elif isinstance(value, dict):
        for position, pair in enumerate(cast("dict[str, str]", value).items()):
            for what, item in zip(("name", "value"), pair, strict=True):
                _require_unicode(f"{name} ({what} {position})", item)
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[str]", value)):
            _require_unicode(f"{name}[{position}]", item)
