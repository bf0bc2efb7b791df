# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`FailedDependencyErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.faileddependencyerrortype import FailedDependencyErrorType
from langcache.types import BaseModel


class FailedDependencyErrorResponseContentData(BaseModel):
    """Something that the service needs can't be used."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: FailedDependencyErrorType
    """What kind of 424 it is. All but the first two are of older services."""

    status: int | None = 424
    """The HTTP status. Default 424."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class FailedDependencyErrorResponseContent(ProblemError[FailedDependencyErrorResponseContentData]):
    """Status 424: Something that the service needs can't be used.

    Something the service needs, its database or its embedding model, can't be used at the moment.
    Go on without the cache and try again later.
    """

    data_type: ClassVar[type[BaseModel]] = FailedDependencyErrorResponseContentData


ResourceUnavailableErrorResponseContentData = FailedDependencyErrorResponseContentData
"""An older name of `FailedDependencyErrorResponseContentData`."""

ResourceUnavailableErrorResponseContent = FailedDependencyErrorResponseContent
"""An older name of `FailedDependencyErrorResponseContent`."""
