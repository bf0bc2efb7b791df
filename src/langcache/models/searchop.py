# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SearchGlobals`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class SearchGlobals(BaseModel):
    """The argument that the client adds to each call of `search`."""

    cache_id: Annotated[str | None, Field(alias="cacheId")] = None
    """The id of the cache. At least 1 character."""


class SearchGlobalsTypedDict(TypedDict):
    """The dict form of `SearchGlobals`."""

    cache_id: NotRequired[str]
