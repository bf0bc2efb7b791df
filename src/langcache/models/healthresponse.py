# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`HealthResponse`."""

from typing_extensions import TypedDict

from langcache.types import BaseModel


class HealthResponse(BaseModel):
    """The result of a health check."""

    ok: bool
    """Whether the check succeeded."""


class HealthResponseTypedDict(TypedDict):
    """The dict form of `HealthResponse`."""

    ok: bool
