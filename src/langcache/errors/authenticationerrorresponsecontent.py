# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`AuthenticationErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.authenticationerrortype import AuthenticationErrorType
from langcache.types import BaseModel


class AuthenticationErrorResponseContentData(BaseModel):
    """The caller is not known."""

    title: str
    """What went wrong, in a few words; the same for every problem of its kind."""

    type: AuthenticationErrorType
    """What kind of 401 it is."""

    status: int | None = 401
    """The HTTP status. Default 401."""

    detail: str | None = None
    """What went wrong this time."""

    instance: str | None = None
    """What the problem is about, such as the path of the request."""


class AuthenticationErrorResponseContent(ProblemError[AuthenticationErrorResponseContentData]):
    """Status 401: The caller is not known.

    The API key is missing, malformed or unknown. Pass a valid `api_key`.
    """

    data_type: ClassVar[type[BaseModel]] = AuthenticationErrorResponseContentData
