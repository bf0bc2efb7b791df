# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`FlushGlobals` and `FlushRequest`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class FlushGlobals(BaseModel):
    """The argument that the client adds to each call of `flush`."""

    cache_id: Annotated[str | None, Field(alias="cacheId")] = None
    """The id of the cache. At least 1 character."""


class FlushGlobalsTypedDict(TypedDict):
    """The dict form of `FlushGlobals`."""

    cache_id: NotRequired[str]


class FlushRequest(BaseModel):
    """The arguments of `flush` (none)."""


class FlushRequestTypedDict(TypedDict):
    """The dict form of `FlushRequest`."""
