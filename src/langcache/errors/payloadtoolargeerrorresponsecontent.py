# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`PayloadTooLargeErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.payloadtoolargeerrortype import PayloadTooLargeErrorType
from langcache.types import BaseModel


class PayloadTooLargeErrorResponseContentData(BaseModel):
    """The request body is too large."""

    title: str
    """A short summary of the kind of problem."""

    type: PayloadTooLargeErrorType
    """The kind of a 413."""

    status: int | None = 413
    """The HTTP status. Default 413."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class PayloadTooLargeErrorResponseContent(ProblemError[PayloadTooLargeErrorResponseContentData]):
    """Status 413: The request body is too large.

    The request body is larger than the service accepts. Send a shorter prompt or response.
    """

    data_type: ClassVar[type[BaseModel]] = PayloadTooLargeErrorResponseContentData
