# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`AuthenticationErrorResponseContent`."""

from typing import ClassVar

from langcache._runtime.errors import ProblemError
from langcache.models.authenticationerrortype import AuthenticationErrorType
from langcache.types import BaseModel


class AuthenticationErrorResponseContentData(BaseModel):
    """The caller could not be authenticated."""

    title: str
    """A short summary of the kind of problem."""

    type: AuthenticationErrorType
    """The kind of a 401."""

    status: int | None = 401
    """The HTTP status. Default 401."""

    detail: str | None = None
    """An explanation of this particular problem."""

    instance: str | None = None
    """What the problem refers to, such as the path of the request."""


class AuthenticationErrorResponseContent(ProblemError[AuthenticationErrorResponseContentData]):
    """Status 401: The caller could not be authenticated.

    The API key is missing, malformed or unknown. Pass a valid `api_key`.
    """

    data_type: ClassVar[type[BaseModel]] = AuthenticationErrorResponseContentData
