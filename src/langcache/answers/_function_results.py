"""The results of cached functions in JSON's types, from which the same results are made again."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from langcache.answers.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import TypeAdapter

__all__ = ["ChunkRecording", "answer_of_result"]


def answer_of_result(adapter: TypeAdapter[Any], result: Any) -> Answer:
    """Return the answer to store for a result; a failed one if it cannot be stored.

    Args:
        adapter: Converts the results to JSON's types and back.
        result: The result.
    """
    try:
        return Answer(ending="failed") if result is None else Answer(_stored(adapter, result))
    except Exception:  # noqa: BLE001 - any error of the user's types
        return Answer(ending="failed")


class ChunkRecording:
    """What a generator yields.

    Args:
        adapter: Converts what it yields to JSON's types and back.
    """

    def __init__(self, adapter: TypeAdapter[Any]) -> None:
        self._adapter = adapter
        self._chunks: list[Any] | None = []

    def add(self, chunk: Any) -> None:
        """Take the next chunk. It is converted now, because it may change later."""
        if self._chunks is None:
            return
        try:
            self._chunks.append(_stored(self._adapter, chunk))
        except Exception:  # noqa: BLE001 - any error of the user's types
            self._chunks = None

    def answer(self) -> Answer:
        """Return the answer to store; a failed one if a chunk cannot be stored."""
        return Answer(ending="failed") if self._chunks is None else Answer(chunks=self._chunks)


def _stored(adapter: TypeAdapter[Any], result: Any) -> Any:
    """Return a result in JSON's types.

    Raises:
        ValueError: It could not be read back as it is.
    """
    # pydantic would read an iterator to its end, and leave nothing of it to the caller.
    if _has_iterator(result):
        raise ValueError("an iterator has no JSON form")
    # A warning would quote the result.
    stored = adapter.dump_python(result, mode="json", warnings=False)
    read = adapter.validate_python(stored)
    # An unknown class becomes a dict, which is not equal to it.
    if type(read) is not type(result) or read != result or not _has_same_types(read, result):
        raise ValueError("it would come back as another value")
    return stored


def _has_iterator(value: Any) -> bool:
    return hasattr(cast("type[Any]", type(value)), "__next__") or any(
        map(_has_iterator, _parts_of(value))
    )


def _has_same_types(one: Any, other: Any) -> bool:
    """Return whether two equal values have parts of the same types.

    A member of a `StrEnum` is equal to its str, for example, which has no `value`.
    """
    types = cast("set[Any]", {type(one), type(other)})
    if len(types) > 1 and types != {int, float}:
        return False
    parts = zip(_parts_of(one), _parts_of(other), strict=True)
    return all(_has_same_types(part, counterpart) for part, counterpart in parts)


def _parts_of(value: Any) -> Sequence[Any]:
    """Return the values that a value is made of."""
    if isinstance(value, (str, int, float)) or value is None:
        return ()
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        return (*members.keys(), *members.values())
    if isinstance(value, (list, tuple, deque)):
        return cast("Sequence[Any]", value)
    if isinstance(value, BaseModel):
        fields = [getattr(value, name) for name in type(value).model_fields]
        return (*fields, *(value.model_extra or {}).values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, each.name) for each in dataclasses.fields(value)]
    return ()
