# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`NotFoundErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.notfounderrortype import NotFoundErrorType
from langcache.types import BaseModel


class NotFoundErrorResponseContentData(BaseModel):
    """The cache or the entry does not exist."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: NotFoundErrorType
    """What kind of 404 it is. All but the first are of older services."""

    status: int | None = 404
    """The HTTP status. Default 404."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class NotFoundErrorResponseContent(ProblemError[NotFoundErrorResponseContentData]):
    """Status 404: The cache or the entry does not exist.

    There is no such cache, or no such entry in it. Check `cache_id` and the id of the entry.
    """

    data_type: ClassVar[type[BaseModel]] = NotFoundErrorResponseContentData
