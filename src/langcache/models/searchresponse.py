# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SearchResponse`."""

from typing_extensions import TypedDict

from langcache.models.cacheentry import CacheEntry, CacheEntryTypedDict
from langcache.types import BaseModel


class SearchResponse(BaseModel):
    """The result of a search."""

    data: list[CacheEntry]
    """The matching entries, best match first. Empty on a miss."""


class SearchResponseTypedDict(TypedDict):
    """The dict form of `SearchResponse`."""

    data: list[CacheEntryTypedDict]
