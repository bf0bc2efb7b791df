"""The floor: a search and a set written with httpx and pydantic alone."""

from collections.abc import Callable
from typing import Annotated

import httpx
from _sdk import API_KEY, CACHE_ID, SEARCH_ARGUMENTS, SET_ARGUMENTS
from pydantic import BaseModel, ConfigDict, Field

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "accept": "application/json",
    "content-type": "application/json",
}


class _Model(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class SetRequest(_Model):
    prompt: str
    response: str
    attributes: dict[str, str] | None = None
    ttl_millis: Annotated[int | None, Field(alias="ttlMillis")] = None


class SetResponse(_Model):
    entry_id: Annotated[str, Field(alias="entryId")]


class SearchRequest(_Model):
    prompt: str
    similarity_threshold: Annotated[float | None, Field(alias="similarityThreshold")] = None
    attributes: dict[str, str] | None = None


class CacheEntry(_Model):
    id: str
    prompt: str
    response: str
    attributes: dict[str, str]
    similarity: float
    search_strategy: Annotated[str, Field(alias="searchStrategy")]


class SearchResponse(_Model):
    data: list[CacheEntry]


class Exchange:
    """One operation.

    Attributes:
        url: Where it is sent, as text and parsed.
        body: Makes the body of a request.
        answer: The model of the answer.
    """

    def __init__(self, url: str, body: Callable[[], str], answer: type[BaseModel]) -> None:
        self.url = url
        self.parsed_url = httpx.URL(url)
        self.body = body
        self.answer = answer


def set_exchange(server_url: str) -> Exchange:
    def body() -> str:
        request = SetRequest(**SET_ARGUMENTS)
        return request.model_dump_json(by_alias=True, exclude_none=True)

    return Exchange(f"{server_url}/v1/caches/{CACHE_ID}/entries", body, SetResponse)


def search_exchange(server_url: str) -> Exchange:
    def body() -> str:
        request = SearchRequest(**SEARCH_ARGUMENTS)
        return request.model_dump_json(by_alias=True, exclude_none=True)

    return Exchange(f"{server_url}/v1/caches/{CACHE_ID}/entries/search", body, SearchResponse)


def call(client: httpx.Client, exchange: Exchange) -> BaseModel:
    response = client.post(exchange.url, content=exchange.body(), headers=HEADERS)
    response.raise_for_status()
    return exchange.answer.model_validate_json(response.content)


async def call_async(client: httpx.AsyncClient, exchange: Exchange) -> BaseModel:
    response = await client.post(exchange.url, content=exchange.body(), headers=HEADERS)
    response.raise_for_status()
    return exchange.answer.model_validate_json(response.content)


def lean_call(client: httpx.Client, exchange: Exchange) -> BaseModel:
    """As `call`, but the URL is parsed once and the shortest way through httpx taken."""
    request = client.build_request(
        "POST", exchange.parsed_url, content=exchange.body(), headers=HEADERS
    )
    response = client.send(request)
    response.raise_for_status()
    return exchange.answer.model_validate_json(response.content)


async def lean_call_async(client: httpx.AsyncClient, exchange: Exchange) -> BaseModel:
    request = client.build_request(
        "POST", exchange.parsed_url, content=exchange.body(), headers=HEADERS
    )
    response = await client.send(request)
    response.raise_for_status()
    return exchange.answer.model_validate_json(response.content)
