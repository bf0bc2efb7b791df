# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`FailedDependencyErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.faileddependencyerrortype import FailedDependencyErrorType
from langcache.types import BaseModel


class FailedDependencyErrorResponseContentData(BaseModel):
    """A dependency of the service is unavailable."""

    title: str
    """A short summary of the kind of problem."""

    type: FailedDependencyErrorType
    """The kind of a 424. All values but the first two come from older services."""

    status: int | None = 424
    """The HTTP status. Default 424."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class FailedDependencyErrorResponseContent(ProblemError[FailedDependencyErrorResponseContentData]):
    """Status 424: A dependency of the service is unavailable.

    A dependency of the service, its database or its embedding model, is unavailable. Continue
    without the cache and try again later.
    """

    data_type: ClassVar[type[BaseModel]] = FailedDependencyErrorResponseContentData


ResourceUnavailableErrorResponseContentData = FailedDependencyErrorResponseContentData
"""An older name of `FailedDependencyErrorResponseContentData`."""

ResourceUnavailableErrorResponseContent = FailedDependencyErrorResponseContent
"""An older name of `FailedDependencyErrorResponseContent`."""
