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
    """A short summary of the kind of problem."""

    type: BadRequestErrorType
    """The kind of a 400."""

    status: int | None = 400
    """The HTTP status. Default 400."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""

    fields: list[FieldError] | None = None
    """The rules that the request breaks."""


class BadRequestErrorResponseContent(ProblemError[BadRequestErrorResponseContentData]):
    """Status 400: The request is invalid.

    The request breaks a rule of the API or of the cache. `fields` lists the broken rules. Correct
    the request before sending it again.
    """

    data_type: ClassVar[type[BaseModel]] = BadRequestErrorResponseContentData
