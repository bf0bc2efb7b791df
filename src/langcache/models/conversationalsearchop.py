# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`ConversationalSearchGlobals`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class ConversationalSearchGlobals(BaseModel):
    """The argument that the client adds to each call of `conversational_search`."""

    cache_id: Annotated[str | None, Field(alias="cacheId")] = None
    """The id of the cache. At least 1 character."""


class ConversationalSearchGlobalsTypedDict(TypedDict):
    """The dict form of `ConversationalSearchGlobals`."""

    cache_id: NotRequired[str]
