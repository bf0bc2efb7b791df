"""Checks of the caches' arguments. No message repeats a text or a vector."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

_LONGEST_TTL = 10**11
_MOST_LEVELS = 100


def wants_redis(arguments: Mapping[str, object]) -> bool:
    """Return whether any argument for a Redis connection is given."""
    return any(value is not None and value != {} for value in arguments.values())


def checked_name(name: str) -> str:
    """Return a cache's name, a str that is not empty."""
    if not checked_text("name", name):
        raise ValueError("name: must not be empty")
    return name


def checked_text(field: str, value: object) -> str:
    """Return a str; raise a TypeError for any other value."""
    if not isinstance(value, str):
        raise TypeError(f"{field}: must be a str, got {kind(value)}")
    return value


def checked_texts(field: str, values: object) -> list[str]:
    """Return a list, tuple or set of str as a list; raise a TypeError for any other value."""
    if not isinstance(values, (list, tuple, set, frozenset)):
        raise TypeError(f"{field}: must be a list of str, got {kind(values)}")
    return [checked_text(field, value) for value in cast("Sequence[object]", values)]


def checked_ttl(ttl: int | None, error: type[Exception] = TypeError) -> int | None:
    """Return a time to live in seconds, or None.

    Raises:
        TypeError: It is not an int. `error` replaces this class.
        ValueError: It is below 1, or more than 3,000 years.
    """
    given = cast("object", ttl)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise error(f"ttl: must be an int (seconds) or None, got {kind(given)}")
    seconds = int(given)
    if seconds < 1:
        raise ValueError(f"ttl: must be at least 1 second, got {seconds}")
    if seconds > _LONGEST_TTL:
        raise ValueError(f"ttl: must be at most {_LONGEST_TTL} seconds, got more")
    return seconds


def checked_int(field: str, value: object) -> int:
    """Return an int, which may be one of NumPy; raise a TypeError for any other value."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{field}: must be an int, got {kind(value)}")
    return int(value)


def checked_metadata(metadata: object) -> dict[str, Any]:
    """Return metadata, a dict.

    Raises:
        TypeError: It is something else.
        ValueError: It is nested too deeply.
    """
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata: must be a dict, got {kind(metadata)}")
    check_depth(cast("dict[str, Any]", metadata))
    return cast("dict[str, Any]", metadata)


def check_depth(metadata: Mapping[str, Any]) -> None:
    """Raise a ValueError if metadata is nested so deeply that it may not be possible to copy it.

    How deep that is depends on the stack of the caller: what can be stored might not be found.
    """
    level: dict[int, Any] = {0: metadata}
    for _ in range(_MOST_LEVELS):
        level = {id(child): child for value in level.values() for child in _children(value)}
        if not level:
            return
    raise ValueError(f"metadata: must be nested at most {_MOST_LEVELS} levels deep")


def _children(value: Any) -> Collection[Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value).values()
    return cast("Collection[Any]", value) if isinstance(value, (list, tuple, set)) else ()


def checked_numbers(field: str, vector: object) -> NDArray[np.floating[Any]]:
    """Return a copy of a vector as an array of shape (dimensions,).

    A float array keeps its precision; anything else becomes float64.

    Raises:
        ValueError: It is empty, or not a sequence of finite numbers.
    """
    try:
        array: NDArray[Any] = np.array(vector)
        if array.dtype.kind != "f":
            array = array.astype(np.float64) if array.dtype.kind in "iu" else np.array(None)
    except (ValueError, TypeError, OverflowError):
        array = np.array(None)
    if array.dtype.kind != "f" or array.ndim != 1 or not array.size:
        raise ValueError(f"{field}: must be a list of numbers, got {kind(vector)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{field}: must hold finite numbers only")
    return cast("NDArray[np.floating[Any]]", array)


def unit_vector(field: str, vector: object, dimensions: int) -> NDArray[np.float32]:
    """Return a vector scaled to length 1: float32, shape (dimensions,).

    Raises:
        ValueError: It is not a sequence of finite numbers, has the wrong number of dimensions, or
            is zero.
    """
    array = checked_numbers(field, vector).astype(np.float64)
    if len(array) != dimensions:
        raise ValueError(f"{field}: must have {dimensions} dimensions, got {len(array)}")
    largest = float(np.abs(array).max())
    if not largest:
        raise ValueError(f"{field}: must not be the zero vector")
    # Scaled twice, because the square of a very large or small number is out of range.
    array /= largest
    return (array / np.linalg.norm(array)).astype(np.float32)


def kind(value: object) -> str:
    """Return the name of a value's type, for error messages."""
    return type(value).__name__
