# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`ConversationalSearchResponseContent`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from langcache.models.cacheentry import CacheEntry, CacheEntryTypedDict
from langcache.types import BaseModel


class ConversationalSearchResponseContent(BaseModel):
    """The result of a search within a conversation."""

    actual_prompt: Annotated[str, Field(alias="actualPrompt")]
    """The reformulated prompt that was searched for."""

    data: list[CacheEntry]
    """The matching entries, best match first. Empty on a miss."""


class ConversationalSearchResponseContentTypedDict(TypedDict):
    """The dict form of `ConversationalSearchResponseContent`."""

    actual_prompt: str
    data: list[CacheEntryTypedDict]
