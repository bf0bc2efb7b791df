"""Checks of the constructors' arguments."""

from __future__ import annotations

from typing import Any


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
