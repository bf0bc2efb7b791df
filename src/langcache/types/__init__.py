"""The base class of models, open enums, and the `UNSET` value."""

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
    """Base class of all models of the API.

    Fields can be given by their JSON name (`searchStrategy`) or their Python name
    (`search_strategy`). Unknown fields of a response are ignored, so that a newer service does not
    break an older client.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(populate_by_name=True, protected_namespaces=())


class OpenStrEnum(str, Enum):
    """An enumeration of strings that a newer service may extend.

    An unlisted value is not an error. It becomes a new member whose `name` and `value` are the
    string, equal to every other member with that value. `isinstance(member, UnrecognizedStr)` is
    true for such members.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    def __reduce_ex__(self, proto: object) -> tuple[type[Self], tuple[str]]:
        # By value: Python 3.11.0 to 3.11.3 look for the name in the class, and an unlisted member
        # is not there.
        return type(self), (self.value,)


class _UnrecognizedStrMeta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, OpenStrEnum) and instance.name not in type(instance).__members__


class UnrecognizedStr(str, metaclass=_UnrecognizedStrMeta):
    """The class for `isinstance` checks of enum members with an unlisted value."""

    __slots__ = ()


class Unset:
    """The type of `UNSET`, its only instance. It is false."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final[Unset] = Unset()
"""The value of an argument that was not given, where `None` has a different meaning."""

Nullable: TypeAlias = T | None
OptionalNullable: TypeAlias = T | Unset | None
