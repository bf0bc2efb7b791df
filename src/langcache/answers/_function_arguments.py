"""What a cached function is told besides the prompt: its arguments, and what it has captured."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from langcache.answers.digests import NotCacheableError, plain

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["captured_by", "name_of", "told_apart"]


def name_of(function: Callable[..., Any]) -> str:
    """Return the module and name of a function.

    Raises:
        ValueError: Another one may have the same name: it is a lambda, a bound method, or an object
            that can be called.
    """
    name: str = getattr(function, "__qualname__", "")
    if not name or name.endswith("<lambda>") or inspect.ismethod(function):
        raise ValueError("name: must be given for a lambda, a bound method or a callable object")
    return f"{function.__module__}.{name}"


def captured_by(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the values that a nested function has captured so far, in JSON's types.

    Two functions of one name can differ in them. Objects without a JSON form, such as clients, are
    left out: nothing tells them from others in another process.
    """
    return _captured_by(function, frozenset())


def _captured_by(function: Callable[..., Any], outer: frozenset[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    bare: Any = inspect.unwrap(function)
    if not isinstance(bare, FunctionType) or bare in outer:
        return found
    for name, cell in zip(bare.__code__.co_freevars, bare.__closure__ or (), strict=True):
        with suppress(Exception):  # it has no value yet, or no JSON form
            found[name] = _captured(cell.cell_contents, outer | {bare})
    return found


def _captured(value: Any, outer: frozenset[Any]) -> Any:
    if isinstance(value, FunctionType):
        name = f"{value.__module__}.{value.__qualname__}"
        if name.endswith("<lambda>"):
            name = f"{name}:{value.__code__.co_firstlineno}"
        return {"function": name, "captured": _captured_by(value, outer)}
    if isinstance(value, type):
        return {"class": _name_of_class(value)}
    return plain(told_apart(value))


def told_apart(value: Any) -> Any:
    """Return an argument, with a description in place of each model of pydantic in it.

    A function sees more of a model than its JSON has: the class, and what is excluded from the
    JSON. Models in mappings, sequences and models are replaced, too.
    """
    if value is None or isinstance(value, (str, bytes, int, float)):
        return value
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        # A digest leaves out members that are None, but a function may not.
        return {
            name: [None] if each is None else told_apart(each) for name, each in members.items()
        }
    if isinstance(value, Sequence):
        return [told_apart(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, BaseModel):
        return {"class": _name_of_class(type(value)), "fields": _fields_of(value)}
    return value


def _fields_of(model: BaseModel) -> dict[str, Any]:
    found: dict[str, Any] = {}
    fields = {name: getattr(model, name) for name in type(model).model_fields}
    for name, value in {**fields, **(model.model_extra or {})}.items():
        known, described = _field_of(model, name, value)
        if known:
            found[name] = described
    return found


def _field_of(model: BaseModel, name: str, value: Any) -> tuple[bool, Any]:
    """Return whether a field is part of what a model describes, and its value in JSON's types."""
    try:
        return True, plain(told_apart(value))
    except NotCacheableError:
        # The model may have a JSON form of its own for it. One that is excluded is a client, say.
        dumped: Any = model.model_dump(include={name}, warnings=False)
        if not isinstance(dumped, dict):
            return True, plain(dumped)
        members = cast("dict[str, Any]", dumped)
        return name in members, plain(members.get(name))


def _name_of_class(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
