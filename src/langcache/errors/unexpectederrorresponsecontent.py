# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`UnexpectedErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.unexpectederrortype import UnexpectedErrorType
from langcache.types import BaseModel


class UnexpectedErrorResponseContentData(BaseModel):
    """The service failed."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: UnexpectedErrorType
    """What kind of 500 it is. All but the first are of older services."""

    status: int | None = 500
    """The HTTP status. Default 500."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class UnexpectedErrorResponseContent(ProblemError[UnexpectedErrorResponseContentData]):
    """Status 500: The service failed.

    The service failed in a way it did not foresee. Report it with the request id.
    """

    data_type: ClassVar[type[BaseModel]] = UnexpectedErrorResponseContentData
