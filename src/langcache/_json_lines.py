"""Files of JSON Lines: a JSON object on each line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["BAD_BYTES", "json_rows"]

BAD_BYTES = re.compile("[\udc80-\udcff]")
"""Finds bytes that are not UTF-8 in a text that was read with `surrogateescape`."""


def json_rows(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the number of each line and its object, or a str that says what is wrong with it.

    Args:
        lines: A file that was opened with the errors `surrogateescape`, so that bytes that are not
            UTF-8 spoil their own line only. Empty lines are left out.
    """
    for number, text in enumerate(lines, 1):
        if text.strip():
            yield number, _json_object(text)


def _json_object(text: str) -> dict[str, Any] | str:
    if BAD_BYTES.search(text):
        return "must be UTF-8"
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return "must be a JSON object"
    if not isinstance(row, dict):
        return f"must be a JSON object, got {type(row).__name__}"
    return cast("dict[str, Any]", row)
