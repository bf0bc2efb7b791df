"""The description of an operation. The generated client has one for each operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langcache._runtime.errors import ProblemError

T = TypeVar("T")


@dataclass(slots=True, eq=False, repr=False)
class Argument:
    """One member of a request body.

    Attributes:
        name: The name in Python.
        key: The name in JSON.
        encode: A function of `name` and a value that returns the value for JSON. It raises
            TypeError or ValueError with the name of the argument.
        required: Whether a value of None is an error. Otherwise, None is not sent.
    """

    name: str
    key: str
    encode: Callable[[str, Any], object]
    required: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Operation(Generic[T]):
    """One operation of the contract.

    Attributes:
        id: The `operationId`.
        method: The HTTP method.
        path: The literal parts of the path before, between and after its parameters.
        path_parameters: The names of the path parameters in Python. The first is always `cache_id`,
            which the client holds.
        result: Returns the model of a successful response, which is made when it is first needed;
            None if it has no body.
        errors: The error class for each error status of the contract.
        body: The members of the request body, or None if the operation has no body.
    """

    id: str
    method: str
    path: tuple[str, ...]
    path_parameters: tuple[str, ...]
    result: Callable[[], type[T]] | None
    errors: Mapping[int, type[ProblemError[Any]]]
    body: tuple[Argument, ...] | None = None
