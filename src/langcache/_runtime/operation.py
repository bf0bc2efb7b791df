"""What the generator says of an operation; the runtime needs nothing else to carry it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langcache._runtime.errors import ProblemError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Argument:
    """One member of a request body.

    Attributes:
        name: Its name in Python.
        key: Its name on the wire.
        encode: Checks a value and makes it fit for JSON; is given ``name`` and the value, and
            raises TypeError or ValueError that name the argument.
        required: Whether None is refused; otherwise an argument that is None is not sent.
    """

    name: str
    key: str
    encode: Callable[[str, Any], object]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One operation of the contract.

    Attributes:
        id: Its ``operationId``.
        method: The HTTP method.
        path: The literal pieces of the path around its parameters: one more than parameters.
        path_parameters: The names of the path parameters in Python. The first is always the
            client's ``cache_id``.
        result: The model of a success, None where it has no body.
        errors: The error class of each status that the contract names.
        body: The members of the request body, None where the operation has no body.
    """

    id: str
    method: str
    path: tuple[str, ...]
    path_parameters: tuple[str, ...]
    result: type[T] | None
    errors: Mapping[int, type[ProblemError[Any]]]
    body: tuple[Argument, ...] | None = None
