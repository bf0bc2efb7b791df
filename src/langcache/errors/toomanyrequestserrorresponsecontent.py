# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`TooManyRequestsErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.toomanyrequestserrortype import TooManyRequestsErrorType
from langcache.types import BaseModel


class TooManyRequestsErrorResponseContentData(BaseModel):
    """The rate limit was exceeded."""

    title: str
    """A short summary of the kind of problem."""

    type: TooManyRequestsErrorType
    """The kind of a 429."""

    status: int | None = 429
    """The HTTP status. Default 429."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class TooManyRequestsErrorResponseContent(ProblemError[TooManyRequestsErrorResponseContentData]):
    """Status 429: The rate limit was exceeded.

    The key has exceeded its rate limit. Wait for the time in `Retry-After` and send the request
    again. Clients do this automatically, within their retry policy.
    """

    data_type: ClassVar[type[BaseModel]] = TooManyRequestsErrorResponseContentData
