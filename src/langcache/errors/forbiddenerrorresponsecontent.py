# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`ForbiddenErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.forbiddenerrortype import ForbiddenErrorType
from langcache.types import BaseModel


class ForbiddenErrorResponseContentData(BaseModel):
    """The caller has no permission for this operation."""

    title: str
    """A short summary of the kind of problem."""

    type: ForbiddenErrorType
    """The kind of a 403."""

    status: int | None = 403
    """The HTTP status. Default 403."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class ForbiddenErrorResponseContent(ProblemError[ForbiddenErrorResponseContentData]):
    """Status 403: The caller has no permission for this operation.

    The API key is valid but has no grant for this operation on this cache. Use another key or add
    the grant.
    """

    data_type: ClassVar[type[BaseModel]] = ForbiddenErrorResponseContentData
