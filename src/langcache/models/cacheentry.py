# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`CacheEntry`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from langcache.models.searchstrategy import SearchStrategy
from langcache.types import BaseModel


class CacheEntry(BaseModel):
    """An entry that matches a search."""

    id: str
    """The id of the entry."""

    prompt: str
    """The prompt that the entry was stored with."""

    response: str
    """The stored response."""

    attributes: dict[str, str]
    """The attributes that the entry was stored with."""

    similarity: float
    """The similarity of the entry to the prompt of the search, (1 + cosine) / 2. 0 to 1."""

    search_strategy: Annotated[SearchStrategy, Field(alias="searchStrategy")]
    """How prompts are compared.

    `exact` matches the same text, ignoring case, with a similarity of 1. `semantic` matches text
    with the same meaning.
    """


class CacheEntryTypedDict(TypedDict):
    """The dict form of `CacheEntry`."""

    id: str
    prompt: str
    response: str
    attributes: dict[str, str]
    similarity: float
    search_strategy: SearchStrategy
