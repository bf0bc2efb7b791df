# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`Security`."""

from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class Security(BaseModel):
    """The API key of the service, sent as `Authorization: Bearer <key>`."""

    api_key: str | None = None
    """The API key of the service, sent as `Authorization: Bearer <key>`."""


class SecurityTypedDict(TypedDict):
    """The dict form of `Security`."""

    api_key: NotRequired[str]
