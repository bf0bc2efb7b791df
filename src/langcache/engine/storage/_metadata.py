"""Metadata as JSON that comes back equal, for the storages that write it to a file or server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langcache.engine._checks import check_depth
from langcache.engine._utf8 import encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["metadata_json"]


def metadata_json(metadata: Mapping[str, Any]) -> bytes:
    """Return metadata as JSON in UTF-8, lone surrogates encoded like other characters.

    (As an escape, two of them in a row would come back as one character.)

    Raises:
        ValueError: It would not come back equal, or is nested too deeply to be copied.
    """
    plain = dict(metadata)
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
        faithful = json.loads(text) == plain
    except (TypeError, ValueError, RecursionError):
        faithful = False
        text = ""
    if not faithful:
        # A tuple would come back as a list, and the key 1 as "1".
        raise ValueError(
            "metadata: must be JSON: dict with keys of str, list, str, finite numbers, bool, None"
        )
    check_depth(metadata)
    return encoded(text)
