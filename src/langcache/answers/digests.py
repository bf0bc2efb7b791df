"""Digests of values: equal for values that mean the same, different for all others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from json.encoder import encode_basestring_ascii
from typing import Any, cast

from pydantic import BaseModel

__all__ = [
    "NotCacheableError",
    "digest",
    "digest_of_members",
    "digest_of_texts",
    "list_of_texts",
    "mapping_of_texts",
    "plain",
    "text_of_value",
]


class NotCacheableError(Exception):
    """An argument of a call cannot be compared with the arguments of other calls."""


def digest(value: Any) -> str:
    """Return 32 hex digits, which differ for different values.

    Raises:
        NotCacheableError: The value holds an object that has no JSON form.
    """
    return _digest_of(text_of_value(value))


def digest_of_texts(*texts: str) -> str:
    """Return the digest of a list, of whose items `text_of_value` has made these texts."""
    return _digest_of(list_of_texts(*texts))


def digest_of_members(**texts: str) -> str:
    """Return the digest of a mapping, of whose members `text_of_value` has made these texts."""
    return _digest_of(mapping_of_texts(**texts))


def list_of_texts(*texts: str) -> str:
    """Return what `text_of_value` makes of a list, of whose items it has made these texts."""
    return f"[{','.join(texts)}]"


def mapping_of_texts(**texts: str) -> str:
    """Return what `text_of_value` makes of a mapping, of whose members it has made these texts."""
    members = (f'"{name}":{texts[name]}' for name in sorted(texts))
    return f"{{{','.join(members)}}}"


def text_of_value(value: Any) -> str:
    """Return a value as JSON: equal for values that mean the same, different for all others.

    Raises:
        NotCacheableError: The value holds an object that has no JSON form.
    """
    # The most common types are encoded without a copy; `plain` would make one.
    kind = cast("type[Any]", type(value))
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is list:
        return list_of_texts(*map(text_of_value, value))
    if kind is dict:
        return _text_of_members(value)
    if kind is int:
        return repr(value)
    if value is None or kind is bool:
        return _CONSTANTS[value]
    return _encode(plain(value))


def _text_of_members(members: dict[Any, Any]) -> str:
    _check_names(members)
    texts: list[str] = []
    for name in sorted(members):
        value = members[name]
        if type(value) is str:  # as most are; a call takes longer than to encode one
            texts.append(f"{encode_basestring_ascii(name)}:{encode_basestring_ascii(value)}")
        elif value is not None:
            texts.append(f"{encode_basestring_ascii(name)}:{text_of_value(value)}")
    return f"{{{','.join(texts)}}}"


_CONSTANTS = {None: "null", False: "false", True: "true"}
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
# A copy takes half as long as a new hash, for which OpenSSL looks up the algorithm.
_new_hash = hashlib.sha256().copy


def _digest_of(text: str) -> str:
    found = _new_hash()
    found.update(text.encode())
    return found.hexdigest()[:32]


def plain(value: Any) -> Any:
    """Return a value in JSON's types, without the members of mappings that are None.

    Raises:
        NotCacheableError: The value holds an object that has no JSON form.
    """
    kind = cast("type[Any]", type(value))
    # The most common types first: the checks below take longer.
    if kind is str:
        return value
    if kind is list:
        return [plain(each) for each in value]
    if kind is dict:
        return _plain_members(value)
    if value is None or isinstance(value, (str, int, float)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_none=True, warnings=False))
    if isinstance(value, type) and issubclass(value, BaseModel):
        return {"class": value.__qualname__, "schema": plain(value.model_json_schema())}
    if isinstance(value, Mapping):
        return _plain_members(cast("Mapping[Any, Any]", value))
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Sequence):
        return [plain(each) for each in cast("Sequence[Any]", value)]
    # Its repr may contain an address, which another object can have later.
    raise NotCacheableError


def _plain_members(members: Mapping[Any, Any]) -> dict[str, Any]:
    _check_names(members)
    return {name: plain(each) for name, each in members.items() if each is not None}


def _check_names(members: Mapping[Any, Any]) -> None:
    for name in members:
        if not isinstance(name, str):
            raise NotCacheableError
