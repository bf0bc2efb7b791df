# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`UnexpectedErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.unexpectederrortype import UnexpectedErrorType
from langcache.types import BaseModel


class UnexpectedErrorResponseContentData(BaseModel):
    """The service failed unexpectedly."""

    title: str
    """A short summary of the kind of problem."""

    type: UnexpectedErrorType
    """The kind of a 500. All values but the first come from older services."""

    status: int | None = 500
    """The HTTP status. Default 500."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class UnexpectedErrorResponseContent(ProblemError[UnexpectedErrorResponseContentData]):
    """Status 500: The service failed unexpectedly.

    The service failed unexpectedly. Report the error with its request id.
    """

    data_type: ClassVar[type[BaseModel]] = UnexpectedErrorResponseContentData
