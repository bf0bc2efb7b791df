# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SetGlobals`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class SetGlobals(BaseModel):
    """The argument that the client adds to each call of `set`."""

    cache_id: Annotated[str | None, Field(alias="cacheId")] = None
    """The id of the cache. At least 1 character."""


class SetGlobalsTypedDict(TypedDict):
    """The dict form of `SetGlobals`."""

    cache_id: NotRequired[str]
