"""Checks of arguments."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["check_number", "is_ttl"]


def check_number(name: str, value: Any, least: float, most: float) -> float:
    """Return a number that is within a range.

    Raises:
        TypeError: It is not a number.
        ValueError: It is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: must be a number, got {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name}: must be from {least:g} to {most:g}, got {value:g}")
    return float(value)


def is_ttl(value: Any) -> bool:
    """Return whether a value is a time to live in seconds."""
    return isinstance(value, (int, float)) and value is not True and 0 < value < math.inf
