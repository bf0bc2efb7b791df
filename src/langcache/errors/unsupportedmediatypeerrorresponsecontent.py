# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`UnsupportedMediaTypeErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.unsupportedmediatypeerrortype import UnsupportedMediaTypeErrorType
from langcache.types import BaseModel


class UnsupportedMediaTypeErrorResponseContentData(BaseModel):
    """The request body is not JSON by its declared type."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: UnsupportedMediaTypeErrorType
    """What kind of 415 it is."""

    status: int | None = 415
    """The HTTP status. Default 415."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class UnsupportedMediaTypeErrorResponseContent(
    ProblemError[UnsupportedMediaTypeErrorResponseContentData]
):
    """Status 415: The request body is not JSON by its declared type.

    The request body is not declared as JSON. Send `Content-Type: application/json`.
    """

    data_type: ClassVar[type[BaseModel]] = UnsupportedMediaTypeErrorResponseContentData
