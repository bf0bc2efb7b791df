# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`BadRequestErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.badrequesterrortype import BadRequestErrorType
from langcache.models.fielderror import FieldError
from langcache.types import BaseModel


class BadRequestErrorResponseContentData(BaseModel):
    """The request is invalid."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: BadRequestErrorType
    """What kind of 400 it is."""

    status: int | None = 400
    """The HTTP status. Default 400."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""

    fields: list[FieldError] | None = None
    """Every rule that the request breaks."""


class BadRequestErrorResponseContent(ProblemError[BadRequestErrorResponseContentData]):
    """Status 400: The request is invalid.

    The request breaks a rule of the API or of the cache; `fields` says which. Correct the request;
    sending it again unchanged fails again.
    """

    data_type: ClassVar[type[BaseModel]] = BadRequestErrorResponseContentData
