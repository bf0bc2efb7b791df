# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`ForbiddenErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.forbiddenerrortype import ForbiddenErrorType
from langcache.types import BaseModel


class ForbiddenErrorResponseContentData(BaseModel):
    """The caller may not do this."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: ForbiddenErrorType
    """What kind of 403 it is."""

    status: int | None = 403
    """The HTTP status. Default 403."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class ForbiddenErrorResponseContent(ProblemError[ForbiddenErrorResponseContentData]):
    """Status 403: The caller may not do this.

    The API key is valid but has no grant for this operation on this cache. Use another key or have
    the grant added.
    """

    data_type: ClassVar[type[BaseModel]] = ForbiddenErrorResponseContentData
