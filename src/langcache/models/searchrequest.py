# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SearchRequest`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.models.searchstrategy import SearchStrategy
from langcache.types import BaseModel


class SearchRequest(BaseModel):
    """A search for entries."""

    prompt: str
    """The prompt to find a response for. 1 to 1024 characters."""

    similarity_threshold: Annotated[float | None, Field(alias="similarityThreshold")] = None
    """The minimum similarity of a match, (1 + cosine) / 2.

    The default is the threshold of the cache. 0 to 1.
    """

    search_strategies: Annotated[list[SearchStrategy] | None, Field(alias="searchStrategies")] = (
        None
    )
    """The strategies to use, in order of priority.

    The default is that of the cache, which is `semantic` unless the cache was created with other
    strategies. At least 1 item.
    """

    attributes: dict[str, str] | None = None
    """The attributes that a matching entry must have.

    At most 5 name-value pairs; names must match `^[a-zA-Z0-9_-]{1,32}$`.
    """

    max_results: Annotated[int | None, Field(alias="maxResults")] = None
    """The maximum number of entries to return. The default is 1. 1 to 2147483647."""


class SearchRequestTypedDict(TypedDict):
    """The dict form of `SearchRequest`."""

    prompt: str
    similarity_threshold: NotRequired[float]
    search_strategies: NotRequired[list[SearchStrategy]]
    attributes: NotRequired[dict[str, str]]
    max_results: NotRequired[int]
