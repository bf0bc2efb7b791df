# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`TooManyRequestsErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.toomanyrequestserrortype import TooManyRequestsErrorType
from langcache.types import BaseModel


class TooManyRequestsErrorResponseContentData(BaseModel):
    """The rate limit is reached."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: TooManyRequestsErrorType
    """What kind of 429 it is."""

    status: int | None = 429
    """The HTTP status. Default 429."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class TooManyRequestsErrorResponseContent(ProblemError[TooManyRequestsErrorResponseContentData]):
    """Status 429: The rate limit is reached.

    The rate limit of the key is reached. Wait for the time in `Retry-After` and send again; a
    client does so by itself within its retry policy.
    """

    data_type: ClassVar[type[BaseModel]] = TooManyRequestsErrorResponseContentData
