# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`CacheEntry`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from langcache.models.searchstrategy import SearchStrategy
from langcache.types import BaseModel


class CacheEntry(BaseModel):
    """An entry of the cache that matches a search."""

    id: str
    """The id of the entry."""

    prompt: str
    """The prompt that the entry was stored with."""

    response: str
    """The stored response."""

    attributes: dict[str, str]
    """The attributes that the entry was stored with."""

    similarity: float
    """How near the entry is to the prompt searched for, (1 + cosine) / 2. 0 to 1."""

    search_strategy: Annotated[SearchStrategy, Field(alias="searchStrategy")]
    """How prompts are compared.

    `exact` finds the same text, ignoring case, and reports a similarity of 1. `semantic` finds text
    that means the same.
    """


class CacheEntryTypedDict(TypedDict):
    """A `CacheEntry` as a dict."""

    id: str
    prompt: str
    response: str
    attributes: dict[str, str]
    similarity: float
    search_strategy: SearchStrategy
