# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""The client: a method for each operation of the LangCache API."""

from __future__ import annotations

# Imports for annotations alone are there at run time as well, so that typing.get_type_hints works.
from collections.abc import Iterable, Mapping  # noqa: TC003
from typing import Any, Protocol, TypeVar

from langcache import models
from langcache._runtime import arguments
from langcache._runtime.client import BaseClient
from langcache._runtime.operation import Argument, Operation
from langcache._runtime.raw import RawResponse  # noqa: TC001
from langcache.errors import ERRORS_BY_STATUS
from langcache.types import UNSET, OptionalNullable
from langcache.utils import BackoffStrategy, RetryConfig

__all__ = ["LangCache", "LangCacheWithRawResponse"]

T = TypeVar("T")


class _Call(Protocol):
    def __call__(self, operation: Operation[T], /, *arguments: Any) -> RawResponse[T]: ...


class _AsyncCall(Protocol):
    async def __call__(self, operation: Operation[T], /, *arguments: Any) -> RawResponse[T]: ...


_SET: Operation[models.SetResponse] = Operation(
    id="set",
    method="POST",
    path=("/v1/caches/", "/entries"),
    path_parameters=("cache_id",),
    body=(
        Argument("prompt", "prompt", arguments.text, required=True),
        Argument("response", "response", arguments.text, required=True),
        Argument("attributes", "attributes", arguments.text_map),
        Argument("ttl_millis", "ttlMillis", arguments.integer),
    ),
    result=models.SetResponse,
    errors=ERRORS_BY_STATUS,
)
_SEARCH: Operation[models.SearchResponse] = Operation(
    id="search",
    method="POST",
    path=("/v1/caches/", "/entries/search"),
    path_parameters=("cache_id",),
    body=(
        Argument("prompt", "prompt", arguments.text, required=True),
        Argument("similarity_threshold", "similarityThreshold", arguments.number),
        Argument("search_strategies", "searchStrategies", arguments.text_list),
        Argument("attributes", "attributes", arguments.text_map),
        Argument("max_results", "maxResults", arguments.integer),
    ),
    result=models.SearchResponse,
    errors=ERRORS_BY_STATUS,
)
_CONVERSATIONAL_SEARCH: Operation[models.ConversationalSearchResponseContent] = Operation(
    id="conversationalSearch",
    method="POST",
    path=("/v1/caches/", "/conversations/search"),
    path_parameters=("cache_id",),
    body=(
        Argument("prompt", "prompt", arguments.text, required=True),
        Argument("similarity_threshold", "similarityThreshold", arguments.number),
        Argument("search_strategies", "searchStrategies", arguments.text_list),
        Argument("attributes", "attributes", arguments.text_map),
        Argument("max_results", "maxResults", arguments.integer),
        Argument("context", "context", arguments.text_list),
    ),
    result=models.ConversationalSearchResponseContent,
    errors=ERRORS_BY_STATUS,
)
_DELETE_QUERY: Operation[models.DeleteQueryResponse] = Operation(
    id="deleteQuery",
    method="DELETE",
    path=("/v1/caches/", "/entries"),
    path_parameters=("cache_id",),
    body=(Argument("attributes", "attributes", arguments.text_map, required=True),),
    result=models.DeleteQueryResponse,
    errors=ERRORS_BY_STATUS,
)
_DELETE_BY_ID: Operation[None] = Operation(
    id="deleteById",
    method="DELETE",
    path=("/v1/caches/", "/entries/", ""),
    path_parameters=("cache_id", "entry_id"),
    result=None,
    errors=ERRORS_BY_STATUS,
)
_FLUSH: Operation[None] = Operation(
    id="flush",
    method="POST",
    path=("/v1/caches/", "/flush"),
    path_parameters=("cache_id",),
    result=None,
    errors=ERRORS_BY_STATUS,
)
_HEALTH: Operation[models.HealthResponse] = Operation(
    id="health",
    method="GET",
    path=("/v1/caches/", "/health"),
    path_parameters=("cache_id",),
    result=models.HealthResponse,
    errors=ERRORS_BY_STATUS,
)


class LangCache(BaseClient):
    """A semantic cache for the responses of language models.

    Each method has a twin for async code, its name and `_async`. A client can be shared between
    threads and event loops, and used again after `close`.

    Args:
        server_url: The base URL of the service, such as `http://127.0.0.1:8080`.
        api_key: The API key of the service, sent as `Authorization: Bearer <key>`. May be a
            callable, sync or async, that is asked for it on each attempt. By default the
            environment variable LANGCACHE_API_KEY, read at each call.
        cache_id: The id of the cache. At least 1 character. By default the environment variable
            LANGCACHE_CACHE_ID, read at each call.
        client: An HTTP client of your own for blocking calls, such as an `httpx.Client`. It is used
            as it is and left open. By default one is made on the first call.
        async_client: The same for async calls, such as an `httpx.AsyncClient`.
        retry_config: The retry policy; None for no retries. By default, requests are sent again
            after no or a broken connection and after a status of 429, 502, 503, 504, for at
            most 2000 milliseconds.
        timeout_ms: What a call may take in all, retries included, in milliseconds. By default there
            is no limit but those of the HTTP client.
        debug_logger: Where to log what is sent and received.
        debug_bodies: Whether to log headers (secrets masked) and bodies as well.

    Attributes:
        hooks: Functions of your own to run before requests and after responses.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument has an impossible value.
    """

    _default_retry_config = RetryConfig(
        strategy="backoff",
        backoff=BackoffStrategy(
            initial_interval=100,
            max_interval=2000,
            exponent=2,
            max_elapsed_time=2000,
        ),
        retry_connection_errors=True,
        status_codes_override=["429", "502", "503", "504"],
    )
    _api_key_variable = "LANGCACHE_API_KEY"
    _cache_id_variable = "LANGCACHE_CACHE_ID"

    @property
    def with_raw_response(self) -> LangCacheWithRawResponse:
        """The same methods, giving back the HTTP response as well."""
        return LangCacheWithRawResponse(self._call_raw, self._call_raw_async)

    def set(
        self,
        *,
        prompt: str,
        response: str,
        attributes: Mapping[str, str] | None = None,
        ttl_millis: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.SetResponse:
        """Save an entry.

        Adds an entry to the cache: a prompt and the response to give back for it.

        The id of an entry follows from its prompt and attributes, so storing the same prompt with
        the same attributes again replaces the entry.

        Args:
            prompt: The prompt that the entry answers. 1 to 1024 characters.
            response: The response to give back for the prompt and for others that mean the same.
            attributes: Names and values that a search can filter by. A value must not contain a
                comma. At most 5 entries; names must match `^[a-zA-Z0-9_-]{1,32}$`; each value: 1 to
                500 characters, must match `^[^,]*$`.
            ttl_millis: How long the entry lives, in milliseconds. By default, the cache's own
                default, which may be for ever. 1 to 31556952000.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `SetResponse`. The entry is stored. `entry_id`: The id of the entry.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return self._call(
            _SET,
            (),
            (prompt, response, attributes, ttl_millis),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    async def set_async(
        self,
        *,
        prompt: str,
        response: str,
        attributes: Mapping[str, str] | None = None,
        ttl_millis: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.SetResponse:
        """Save an entry.

        Adds an entry to the cache: a prompt and the response to give back for it.

        The id of an entry follows from its prompt and attributes, so storing the same prompt with
        the same attributes again replaces the entry.

        Args:
            prompt: The prompt that the entry answers. 1 to 1024 characters.
            response: The response to give back for the prompt and for others that mean the same.
            attributes: Names and values that a search can filter by. A value must not contain a
                comma. At most 5 entries; names must match `^[a-zA-Z0-9_-]{1,32}$`; each value: 1 to
                500 characters, must match `^[^,]*$`.
            ttl_millis: How long the entry lives, in milliseconds. By default, the cache's own
                default, which may be for ever. 1 to 31556952000.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `SetResponse`. The entry is stored. `entry_id`: The id of the entry.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return await self._call_async(
            _SET,
            (),
            (prompt, response, attributes, ttl_millis),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    def search(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.SearchResponse:
        """Search for entries.

        Searches the cache for entries whose prompt means the same as the given one, best match
        first. A miss is an empty list.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The least similarity of a match, (1 + cosine) / 2. By default, the
                cache's own threshold. 0 to 1.
            search_strategies: The strategies to use, in order of priority. By default, the cache's
                own, which is `semantic` unless it was made otherwise. At least 1 item.
            attributes: Only entries that have all of these attributes match. At most 5 entries;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: How many entries to give back at most. By default 1. 1 to 2147483647.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `SearchResponse`. The matching entries, best first; empty on a miss. `data`: The
            matching entries, best first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return self._call(
            _SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    async def search_async(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.SearchResponse:
        """Search for entries.

        Searches the cache for entries whose prompt means the same as the given one, best match
        first. A miss is an empty list.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The least similarity of a match, (1 + cosine) / 2. By default, the
                cache's own threshold. 0 to 1.
            search_strategies: The strategies to use, in order of priority. By default, the cache's
                own, which is `semantic` unless it was made otherwise. At least 1 item.
            attributes: Only entries that have all of these attributes match. At most 5 entries;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: How many entries to give back at most. By default 1. 1 to 2147483647.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `SearchResponse`. The matching entries, best first; empty on a miss. `data`: The
            matching entries, best first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return await self._call_async(
            _SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    def conversational_search(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        context: Iterable[str] | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.ConversationalSearchResponseContent:
        """Search within a conversation.

        Searches the cache for a prompt that may refer to what was said before ("What color do they
        like?"). The prompt is first reformulated with the help of the context so that it stands on
        its own; the response says what was searched for in `actual_prompt`.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The least similarity of a match, (1 + cosine) / 2. By default, the
                cache's own threshold. 0 to 1.
            search_strategies: The strategies to use, in order of priority. By default, the cache's
                own, which is `semantic` unless it was made otherwise. At least 1 item.
            attributes: Only entries that have all of these attributes match. At most 5 entries;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: How many entries to give back at most. By default 1. 1 to 2147483647.
            context: The earlier prompts of the conversation, oldest first. Each item: at least 1
                character.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `ConversationalSearchResponseContent`. The prompt that was searched for, and the
            matching entries, best first. `actual_prompt`: The reformulated prompt that was searched
            for. `data`: The matching entries, best first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return self._call(
            _CONVERSATIONAL_SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results, context),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    async def conversational_search_async(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        context: Iterable[str] | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.ConversationalSearchResponseContent:
        """Search within a conversation.

        Searches the cache for a prompt that may refer to what was said before ("What color do they
        like?"). The prompt is first reformulated with the help of the context so that it stands on
        its own; the response says what was searched for in `actual_prompt`.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The least similarity of a match, (1 + cosine) / 2. By default, the
                cache's own threshold. 0 to 1.
            search_strategies: The strategies to use, in order of priority. By default, the cache's
                own, which is `semantic` unless it was made otherwise. At least 1 item.
            attributes: Only entries that have all of these attributes match. At most 5 entries;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: How many entries to give back at most. By default 1. 1 to 2147483647.
            context: The earlier prompts of the conversation, oldest first. Each item: at least 1
                character.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `ConversationalSearchResponseContent`. The prompt that was searched for, and the
            matching entries, best first. `actual_prompt`: The reformulated prompt that was searched
            for. `data`: The matching entries, best first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return await self._call_async(
            _CONVERSATIONAL_SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results, context),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    def delete_query(
        self,
        *,
        attributes: Mapping[str, str],
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.DeleteQueryResponse:
        """Delete entries by attributes.

        Deletes every entry that has all the given attributes. Without any attribute (`{}`), all
        entries of the cache are deleted.

        Args:
            attributes: Entries that have all of these attributes are deleted; with none given, all
                entries are. At most 5 entries; names must match `^[a-zA-Z0-9_-]{1,32}$`.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `DeleteQueryResponse`. The entries are deleted. `deleted_entries_count`: The number of
            entries that were deleted. At least 0.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return self._call(
            _DELETE_QUERY, (), (attributes,), retries, server_url, timeout_ms, http_headers
        )

    async def delete_query_async(
        self,
        *,
        attributes: Mapping[str, str],
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.DeleteQueryResponse:
        """Delete entries by attributes.

        Deletes every entry that has all the given attributes. Without any attribute (`{}`), all
        entries of the cache are deleted.

        Args:
            attributes: Entries that have all of these attributes are deleted; with none given, all
                entries are. At most 5 entries; names must match `^[a-zA-Z0-9_-]{1,32}$`.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `DeleteQueryResponse`. The entries are deleted. `deleted_entries_count`: The number of
            entries that were deleted. At least 0.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return await self._call_async(
            _DELETE_QUERY, (), (attributes,), retries, server_url, timeout_ms, http_headers
        )

    def delete_by_id(
        self,
        *,
        entry_id: str,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Delete an entry.

        Deletes one entry of the cache by its id.

        Args:
            entry_id: The id of the entry, as `set` and `search` give it. At least 1 character.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return self._call(
            _DELETE_BY_ID, (entry_id,), (), retries, server_url, timeout_ms, http_headers
        )

    async def delete_by_id_async(
        self,
        *,
        entry_id: str,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Delete an entry.

        Deletes one entry of the cache by its id.

        Args:
            entry_id: The id of the entry, as `set` and `search` give it. At least 1 character.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return await self._call_async(
            _DELETE_BY_ID, (entry_id,), (), retries, server_url, timeout_ms, http_headers
        )

    def flush(
        self,
        *,
        request: models.FlushRequest | models.FlushRequestTypedDict | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Flush the cache.

        Deletes all entries of the cache. This can't be undone.

        Args:
            request: Ignored; it is there for code that passes the empty request.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return self._call(_FLUSH, (), (), retries, server_url, timeout_ms, http_headers)

    async def flush_async(
        self,
        *,
        request: models.FlushRequest | models.FlushRequestTypedDict | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Flush the cache.

        Deletes all entries of the cache. This can't be undone.

        Args:
            request: Ignored; it is there for code that passes the empty request.
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return await self._call_async(_FLUSH, (), (), retries, server_url, timeout_ms, http_headers)

    def health(
        self,
        *,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.HealthResponse:
        """Check the cache.

        Says whether the cache can be used with the given key.

        Args:
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `HealthResponse`. The cache can be used. `ok`: Whether all is well.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return self._call(_HEALTH, (), (), retries, server_url, timeout_ms, http_headers)

    async def health_async(
        self,
        *,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> models.HealthResponse:
        """Check the cache.

        Says whether the cache can be used with the given key.

        Args:
            retries: The retry policy of this call; by default that of the client, None for no
                retries.
            server_url: The base URL of this call; by default that of the client.
            timeout_ms: What this call may take in all, retries included, in milliseconds; by
                default the client's `timeout_ms`.
            http_headers: Headers to send besides; they replace those of the same name.

        Returns:
            A `HealthResponse`. The cache can be used. `ok`: Whether all is well.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache; `fields` says which. Correct the request; sending it again unchanged
                fails again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or have the grant added.
            NotFoundErrorResponseContent: Status 404. There is no such cache, or no such entry in
                it. Check `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. Something the service needs, its
                database or its embedding model, can't be used at the moment. Go on without the
                cache and try again later.
            TooManyRequestsErrorResponseContent: Status 429. The rate limit of the key is reached.
                Wait for the time in `Retry-After` and send again; a client does so by itself within
                its retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed in a way it did not
                foresee. Report it with the request id.
            APIError: Any other status that is not a success.
            ResponseValidationError: A success whose body can't be read.
            NoResponseError: No complete answer: no connection, a timeout or a broken connection.
            TypeError: An argument is of the wrong type.
            ValueError: An argument can't be sent, such as an empty id.
        """
        return await self._call_async(
            _HEALTH, (), (), retries, server_url, timeout_ms, http_headers
        )


class LangCacheWithRawResponse:
    """The methods of :class:`LangCache`, giving back the HTTP response as well.

    Arguments and errors are the same; the result is the `parsed` of what is given back.
    """

    def __init__(self, call: _Call, call_async: _AsyncCall) -> None:
        self._call = call
        self._call_async = call_async

    def set(
        self,
        *,
        prompt: str,
        response: str,
        attributes: Mapping[str, str] | None = None,
        ttl_millis: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.SetResponse]:
        """Save an entry. See :meth:`LangCache.set`."""
        return self._call(
            _SET,
            (),
            (prompt, response, attributes, ttl_millis),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    async def set_async(
        self,
        *,
        prompt: str,
        response: str,
        attributes: Mapping[str, str] | None = None,
        ttl_millis: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.SetResponse]:
        """Save an entry. See :meth:`LangCache.set_async`."""
        return await self._call_async(
            _SET,
            (),
            (prompt, response, attributes, ttl_millis),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    def search(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.SearchResponse]:
        """Search for entries. See :meth:`LangCache.search`."""
        return self._call(
            _SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    async def search_async(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.SearchResponse]:
        """Search for entries. See :meth:`LangCache.search_async`."""
        return await self._call_async(
            _SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    def conversational_search(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        context: Iterable[str] | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.ConversationalSearchResponseContent]:
        """Search within a conversation. See :meth:`LangCache.conversational_search`."""
        return self._call(
            _CONVERSATIONAL_SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results, context),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    async def conversational_search_async(
        self,
        *,
        prompt: str,
        similarity_threshold: float | None = None,
        search_strategies: Iterable[models.SearchStrategy | str] | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        context: Iterable[str] | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.ConversationalSearchResponseContent]:
        """Search within a conversation. See :meth:`LangCache.conversational_search_async`."""
        return await self._call_async(
            _CONVERSATIONAL_SEARCH,
            (),
            (prompt, similarity_threshold, search_strategies, attributes, max_results, context),
            retries,
            server_url,
            timeout_ms,
            http_headers,
        )

    def delete_query(
        self,
        *,
        attributes: Mapping[str, str],
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.DeleteQueryResponse]:
        """Delete entries by attributes. See :meth:`LangCache.delete_query`."""
        return self._call(
            _DELETE_QUERY, (), (attributes,), retries, server_url, timeout_ms, http_headers
        )

    async def delete_query_async(
        self,
        *,
        attributes: Mapping[str, str],
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.DeleteQueryResponse]:
        """Delete entries by attributes. See :meth:`LangCache.delete_query_async`."""
        return await self._call_async(
            _DELETE_QUERY, (), (attributes,), retries, server_url, timeout_ms, http_headers
        )

    def delete_by_id(
        self,
        *,
        entry_id: str,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[None]:
        """Delete an entry. See :meth:`LangCache.delete_by_id`."""
        return self._call(
            _DELETE_BY_ID, (entry_id,), (), retries, server_url, timeout_ms, http_headers
        )

    async def delete_by_id_async(
        self,
        *,
        entry_id: str,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[None]:
        """Delete an entry. See :meth:`LangCache.delete_by_id_async`."""
        return await self._call_async(
            _DELETE_BY_ID, (entry_id,), (), retries, server_url, timeout_ms, http_headers
        )

    def flush(
        self,
        *,
        request: models.FlushRequest | models.FlushRequestTypedDict | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[None]:
        """Flush the cache. See :meth:`LangCache.flush`."""
        return self._call(_FLUSH, (), (), retries, server_url, timeout_ms, http_headers)

    async def flush_async(
        self,
        *,
        request: models.FlushRequest | models.FlushRequestTypedDict | None = None,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[None]:
        """Flush the cache. See :meth:`LangCache.flush_async`."""
        return await self._call_async(_FLUSH, (), (), retries, server_url, timeout_ms, http_headers)

    def health(
        self,
        *,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.HealthResponse]:
        """Check the cache. See :meth:`LangCache.health`."""
        return self._call(_HEALTH, (), (), retries, server_url, timeout_ms, http_headers)

    async def health_async(
        self,
        *,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.HealthResponse]:
        """Check the cache. See :meth:`LangCache.health_async`."""
        return await self._call_async(
            _HEALTH, (), (), retries, server_url, timeout_ms, http_headers
        )
