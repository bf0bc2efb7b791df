# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`UnsupportedMediaTypeErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.unsupportedmediatypeerrortype import UnsupportedMediaTypeErrorType
from langcache.types import BaseModel


class UnsupportedMediaTypeErrorResponseContentData(BaseModel):
    """The request body is not declared as JSON."""

    title: str
    """A short summary of the kind of problem."""

    type: UnsupportedMediaTypeErrorType
    """The kind of a 415."""

    status: int | None = 415
    """The HTTP status. Default 415."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class UnsupportedMediaTypeErrorResponseContent(
    ProblemError[UnsupportedMediaTypeErrorResponseContentData]
):
    """Status 415: The request body is not declared as JSON.

    The request body is not declared as JSON. Send `Content-Type: application/json`.
    """

    data_type: ClassVar[type[BaseModel]] = UnsupportedMediaTypeErrorResponseContentData
