"""Building blocks of the models: the base class, open enums and the "not given" value."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Final, TypeAlias, TypeVar

from pydantic import BaseModel as _PydanticBaseModel
from pydantic import ConfigDict
from typing_extensions import Self

__all__ = [
    "UNSET",
    "BaseModel",
    "Nullable",
    "OpenStrEnum",
    "OptionalNullable",
    "UnrecognizedStr",
    "Unset",
]

T = TypeVar("T")


class BaseModel(_PydanticBaseModel):
    """Base of every model of the API.

    Fields are read by their name on the wire (``searchStrategy``) or in Python
    (``search_strategy``); unknown fields of a response are ignored, so that a newer service does
    not break an older client.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(populate_by_name=True, protected_namespaces=())


class OpenStrEnum(str, Enum):
    """An enumeration of strings that a newer service may extend.

    A value that is not listed becomes a member of its own (``name`` and ``value`` are the string),
    equal to every other member of that value, instead of an error. ``isinstance(member,
    UnrecognizedStr)`` tells it from the listed ones.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member


class _UnrecognizedStrMeta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, OpenStrEnum) and instance.name not in type(instance).__members__


class UnrecognizedStr(str, metaclass=_UnrecognizedStrMeta):
    """What a member of an open enum is an instance of when its value is not a listed one."""

    __slots__ = ()


class Unset:
    """The type of :data:`UNSET`. It has one instance, which is false."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final[Unset] = Unset()
"""An argument that was not given, where ``None`` has a meaning of its own."""

Nullable: TypeAlias = T | None
OptionalNullable: TypeAlias = T | Unset | None
