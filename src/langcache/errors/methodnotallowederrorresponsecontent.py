# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`MethodNotAllowedErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.methodnotallowederrortype import MethodNotAllowedErrorType
from langcache.types import BaseModel


class MethodNotAllowedErrorResponseContentData(BaseModel):
    """The path does not support this method."""

    title: str
    """A short summary of the kind of problem."""

    type: MethodNotAllowedErrorType
    """The kind of a 405."""

    status: int | None = 405
    """The HTTP status. Default 405."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class MethodNotAllowedErrorResponseContent(ProblemError[MethodNotAllowedErrorResponseContentData]):
    """Status 405: The path does not support this method.

    The path does not support this method. `Allow` lists the methods it supports. This applies to
    every path of the service.
    """

    data_type: ClassVar[type[BaseModel]] = MethodNotAllowedErrorResponseContentData
