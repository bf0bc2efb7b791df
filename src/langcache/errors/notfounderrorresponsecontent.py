# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`NotFoundErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.notfounderrortype import NotFoundErrorType
from langcache.types import BaseModel


class NotFoundErrorResponseContentData(BaseModel):
    """The cache or the entry does not exist."""

    title: str
    """A short summary of the kind of problem."""

    type: NotFoundErrorType
    """The kind of a 404. All values but the first come from older services."""

    status: int | None = 404
    """The HTTP status. Default 404."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class NotFoundErrorResponseContent(ProblemError[NotFoundErrorResponseContentData]):
    """Status 404: The cache or the entry does not exist.

    The cache or the entry does not exist. Check `cache_id` and the id of the entry.
    """

    data_type: ClassVar[type[BaseModel]] = NotFoundErrorResponseContentData
