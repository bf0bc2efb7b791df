"""Digests of values: equal for values that mean the same, different for all others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, cast

from pydantic import BaseModel

__all__ = ["NotCacheableError", "digest", "plain"]


class NotCacheableError(Exception):
    """An argument of a call cannot be compared with the arguments of other calls."""


def digest(value: Any) -> str:
    """Return 32 hex digits, which differ for different values.

    Raises:
        NotCacheableError: The value holds an object that has no JSON form.
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def plain(value: Any) -> Any:
    """Return a value in JSON's types, without the members of mappings that are None.

    Raises:
        NotCacheableError: The value holds an object that has no JSON form.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_none=True))
    if isinstance(value, type) and issubclass(value, BaseModel):
        return {"class": value.__qualname__, "schema": plain(value.model_json_schema())}
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        if not all(isinstance(name, str) for name, _ in items):
            raise NotCacheableError
        return {name: plain(each) for name, each in items if each is not None}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Sequence):
        return [plain(each) for each in cast("Sequence[Any]", value)]
    # Its repr may contain an address, which another object can have later.
    raise NotCacheableError
