# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`DeleteByIDGlobals` and `DeleteByIDRequest`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class DeleteByIDGlobals(BaseModel):
    """The argument that the client adds to each call of `delete_by_id`."""

    cache_id: Annotated[str | None, Field(alias="cacheId")] = None
    """The id of the cache. At least 1 character."""


class DeleteByIDGlobalsTypedDict(TypedDict):
    """The dict form of `DeleteByIDGlobals`."""

    cache_id: NotRequired[str]


class DeleteByIDRequest(BaseModel):
    """The arguments of `delete_by_id`."""

    entry_id: Annotated[str, Field(alias="entryId")]
    """The id of the entry, as returned by `set` and `search`. At least 1 character."""


class DeleteByIDRequestTypedDict(TypedDict):
    """The dict form of `DeleteByIDRequest`."""

    entry_id: str
