# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`MethodNotAllowedErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.methodnotallowederrortype import MethodNotAllowedErrorType
from langcache.types import BaseModel


class MethodNotAllowedErrorResponseContentData(BaseModel):
    """The path does not have this method."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: MethodNotAllowedErrorType
    """What kind of 405 it is."""

    status: int | None = 405
    """The HTTP status. Default 405."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class MethodNotAllowedErrorResponseContent(ProblemError[MethodNotAllowedErrorResponseContentData]):
    """Status 405: The path does not have this method.

    The path exists, but not for this method; `Allow` lists the methods it has. Every path of the
    service answers so.
    """

    data_type: ClassVar[type[BaseModel]] = MethodNotAllowedErrorResponseContentData
