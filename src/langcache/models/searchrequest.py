# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SearchRequest`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.models.searchstrategy import SearchStrategy
from langcache.types import BaseModel


class SearchRequest(BaseModel):
    """What to look for."""

    prompt: str
    """The prompt to find a response for. 1 to 1024 characters."""

    similarity_threshold: Annotated[float | None, Field(alias="similarityThreshold")] = None
    """The least similarity of a match, (1 + cosine) / 2.

    By default, the cache's own threshold. 0 to 1.
    """

    search_strategies: Annotated[list[SearchStrategy] | None, Field(alias="searchStrategies")] = (
        None
    )
    """The strategies to use, in order of priority.

    By default, the cache's own, which is `semantic` unless it was made otherwise. At least 1 item.
    """

    attributes: dict[str, str] | None = None
    """Only entries that have all of these attributes match.

    At most 5 entries; names must match `^[a-zA-Z0-9_-]{1,32}$`.
    """

    max_results: Annotated[int | None, Field(alias="maxResults")] = None
    """How many entries to give back at most. By default 1. 1 to 2147483647."""


class SearchRequestTypedDict(TypedDict):
    """A `SearchRequest` as a dict."""

    prompt: str
    similarity_threshold: NotRequired[float]
    search_strategies: NotRequired[list[SearchStrategy]]
    attributes: NotRequired[dict[str, str]]
    max_results: NotRequired[int]
