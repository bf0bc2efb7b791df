# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`HealthResponse`."""

from typing_extensions import TypedDict

from langcache.types import BaseModel


class HealthResponse(BaseModel):
    """The outcome of a health check."""

    ok: bool
    """Whether all is well."""


class HealthResponseTypedDict(TypedDict):
    """A `HealthResponse` as a dict."""

    ok: bool
