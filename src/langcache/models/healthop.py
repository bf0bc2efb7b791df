# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`HealthGlobals` and `HealthRequest`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class HealthGlobals(BaseModel):
    """The argument that the client adds to each call of `health`."""

    cache_id: Annotated[str | None, Field(alias="cacheId")] = None
    """The id of the cache. At least 1 character."""


class HealthGlobalsTypedDict(TypedDict):
    """The dict form of `HealthGlobals`."""

    cache_id: NotRequired[str]


class HealthRequest(BaseModel):
    """The arguments of `health` (none)."""


class HealthRequestTypedDict(TypedDict):
    """The dict form of `HealthRequest`."""
