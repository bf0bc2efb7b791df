# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`DeleteQueryGlobals`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class DeleteQueryGlobals(BaseModel):
    """The argument that the client adds to each call of `delete_query`."""

    cache_id: Annotated[str | None, Field(alias="cacheId")] = None
    """The id of the cache. At least 1 character."""


class DeleteQueryGlobalsTypedDict(TypedDict):
    """The dict form of `DeleteQueryGlobals`."""

    cache_id: NotRequired[str]
