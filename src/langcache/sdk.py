# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""The client, with one method per operation of the LangCache API."""

from __future__ import annotations

# Imports for annotations are not deferred, so that typing.get_type_hints works.
from collections.abc import Iterable, Mapping  # noqa: TC003
from typing import Any, Protocol, TypeVar

from langcache import models
from langcache._runtime import arguments
from langcache._runtime.base_client import BaseClient
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
    result=lambda: models.SetResponse,
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
    result=lambda: models.SearchResponse,
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
    result=lambda: models.ConversationalSearchResponseContent,
    errors=ERRORS_BY_STATUS,
)
_DELETE_QUERY: Operation[models.DeleteQueryResponse] = Operation(
    id="deleteQuery",
    method="DELETE",
    path=("/v1/caches/", "/entries"),
    path_parameters=("cache_id",),
    body=(Argument("attributes", "attributes", arguments.text_map, required=True),),
    result=lambda: models.DeleteQueryResponse,
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
    result=lambda: models.HealthResponse,
    errors=ERRORS_BY_STATUS,
)


class LangCache(BaseClient):
    """A semantic cache for the responses of language models.

    Each method has an async version whose name ends in `_async`. A client can be shared between
    threads and event loops, and can be used again after `close`.

    Args:
        server_url: The base URL of the service, such as `http://127.0.0.1:8080`. Default: the
            environment variable `LANGCACHE_SERVER_URL`, read when the client is created.
        api_key: The API key of the service, sent as `Authorization: Bearer <key>`. Can be a sync or
            async callable that returns it; it is called on each attempt. Default: the environment
            variable `LANGCACHE_API_KEY`, read on each call.
        cache_id: The id of the cache. At least 1 character. Default: the environment variable
            `LANGCACHE_CACHE_ID`, read on each call.
        client: Your own HTTP client for blocking calls, such as an `httpx.Client`. Its settings are
            kept, and it is never closed for you. Default: a client is created on the first call.
        async_client: Your own HTTP client for async calls, such as an `httpx.AsyncClient`.
        retry_config: The retry policy. None disables retries. Default: requests are retried after a
            broken connection or a timeout and after the statuses 429, 502, 503, 504, for at most
            2000 milliseconds. A refused connection is not retried unless you pass a policy.
        timeout_ms: Time budget for each whole call, retries included, in milliseconds. Default: no
            limit other than the timeouts of the HTTP client.
        debug_logger: The logger for requests and responses. Default: the logger `langcache`.
        debug_bodies: Whether to also log headers (with secrets masked) and bodies. Default: whether
            the environment variable `LANGCACHE_DEBUG` is `bodies`.
        max_response_bytes: The largest response body to accept, in bytes, after decompression. A
            larger one raises `RequestError`. Default: 64 MiB.

    Attributes:
        hooks: Your own functions that run before requests and after responses.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has an invalid value.
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
    _server_url_variable = "LANGCACHE_SERVER_URL"
    _api_key_variable = "LANGCACHE_API_KEY"
    _cache_id_variable = "LANGCACHE_CACHE_ID"

    @property
    def with_raw_response(self) -> LangCacheWithRawResponse:
        """The same methods, which also return the HTTP response."""
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

        Adds an entry to the cache: a prompt and its response.

        The prompt and the attributes determine the id of an entry, so storing the same prompt with
        the same attributes again replaces the entry.

        Args:
            prompt: The prompt that the entry answers. 1 to 1024 characters.
            response: The response to return for this prompt and for prompts with the same meaning.
            attributes: Names and values that searches can filter by. A value must not contain a
                comma. At most 5 name-value pairs; names must match `^[a-zA-Z0-9_-]{1,32}$`; each
                value: 1 to 500 characters, must match `^[^,]*$`.
            ttl_millis: The time to live of the entry, in milliseconds. The default is that of the
                cache, which may be unlimited. 1 to 31556952000.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `SetResponse`. The entry was stored. `entry_id`: The id of the entry.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Adds an entry to the cache: a prompt and its response.

        The prompt and the attributes determine the id of an entry, so storing the same prompt with
        the same attributes again replaces the entry.

        Args:
            prompt: The prompt that the entry answers. 1 to 1024 characters.
            response: The response to return for this prompt and for prompts with the same meaning.
            attributes: Names and values that searches can filter by. A value must not contain a
                comma. At most 5 name-value pairs; names must match `^[a-zA-Z0-9_-]{1,32}$`; each
                value: 1 to 500 characters, must match `^[^,]*$`.
            ttl_millis: The time to live of the entry, in milliseconds. The default is that of the
                cache, which may be unlimited. 1 to 31556952000.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `SetResponse`. The entry was stored. `entry_id`: The id of the entry.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Searches the cache for entries whose prompt has the same meaning as the given prompt, best
        match first. A miss is an empty list.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The minimum similarity of a match, (1 + cosine) / 2. The default
                is the threshold of the cache. 0 to 1.
            search_strategies: The strategies to use, in order of priority. The default is that of
                the cache, which is `semantic` unless the cache was created with other strategies.
                At least 1 item.
            attributes: The attributes that a matching entry must have. At most 5 name-value pairs;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: The maximum number of entries to return. The default is 1. 1 to 2147483647.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `SearchResponse`. The matching entries, best match first. Empty on a miss. `data`: The
            matching entries, best match first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Searches the cache for entries whose prompt has the same meaning as the given prompt, best
        match first. A miss is an empty list.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The minimum similarity of a match, (1 + cosine) / 2. The default
                is the threshold of the cache. 0 to 1.
            search_strategies: The strategies to use, in order of priority. The default is that of
                the cache, which is `semantic` unless the cache was created with other strategies.
                At least 1 item.
            attributes: The attributes that a matching entry must have. At most 5 name-value pairs;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: The maximum number of entries to return. The default is 1. 1 to 2147483647.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `SearchResponse`. The matching entries, best match first. Empty on a miss. `data`: The
            matching entries, best match first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Searches the cache for a prompt that may refer to an earlier part of the conversation ("What
        color do they like?"). The service first uses the context to reformulate the prompt as a
        self-contained one. `actual_prompt` in the response is the prompt that was searched for.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The minimum similarity of a match, (1 + cosine) / 2. The default
                is the threshold of the cache. 0 to 1.
            search_strategies: The strategies to use, in order of priority. The default is that of
                the cache, which is `semantic` unless the cache was created with other strategies.
                At least 1 item.
            attributes: The attributes that a matching entry must have. At most 5 name-value pairs;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: The maximum number of entries to return. The default is 1. 1 to 2147483647.
            context: The earlier prompts of the conversation, oldest first. Each item: at least 1
                character.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `ConversationalSearchResponseContent`. The prompt that was searched for and the
            matching entries, best match first. `actual_prompt`: The reformulated prompt that was
            searched for. `data`: The matching entries, best match first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Searches the cache for a prompt that may refer to an earlier part of the conversation ("What
        color do they like?"). The service first uses the context to reformulate the prompt as a
        self-contained one. `actual_prompt` in the response is the prompt that was searched for.

        Args:
            prompt: The prompt to find a response for. 1 to 1024 characters.
            similarity_threshold: The minimum similarity of a match, (1 + cosine) / 2. The default
                is the threshold of the cache. 0 to 1.
            search_strategies: The strategies to use, in order of priority. The default is that of
                the cache, which is `semantic` unless the cache was created with other strategies.
                At least 1 item.
            attributes: The attributes that a matching entry must have. At most 5 name-value pairs;
                names must match `^[a-zA-Z0-9_-]{1,32}$`.
            max_results: The maximum number of entries to return. The default is 1. 1 to 2147483647.
            context: The earlier prompts of the conversation, oldest first. Each item: at least 1
                character.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `ConversationalSearchResponseContent`. The prompt that was searched for and the
            matching entries, best match first. `actual_prompt`: The reformulated prompt that was
            searched for. `data`: The matching entries, best match first. Empty on a miss.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Deletes the entries that have all the given attributes. Without attributes (`{}`), deletes
        all entries of the cache.

        Args:
            attributes: Entries that have all of these attributes are deleted. Without attributes,
                all entries are deleted. At most 5 name-value pairs; names must match
                `^[a-zA-Z0-9_-]{1,32}$`.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `DeleteQueryResponse`. The entries were deleted. `deleted_entries_count`: The number
            of entries that were deleted. At least 0.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Deletes the entries that have all the given attributes. Without attributes (`{}`), deletes
        all entries of the cache.

        Args:
            attributes: Entries that have all of these attributes are deleted. Without attributes,
                all entries are deleted. At most 5 name-value pairs; names must match
                `^[a-zA-Z0-9_-]{1,32}$`.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `DeleteQueryResponse`. The entries were deleted. `deleted_entries_count`: The number
            of entries that were deleted. At least 0.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            PayloadTooLargeErrorResponseContent: Status 413. The request body is larger than the
                service accepts. Send a shorter prompt or response.
            UnsupportedMediaTypeErrorResponseContent: Status 415. The request body is not declared
                as JSON. Send `Content-Type: application/json`.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Deletes the entry with the given id from the cache.

        Args:
            entry_id: The id of the entry, as returned by `set` and `search`. At least 1 character.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Deletes the entry with the given id from the cache.

        Args:
            entry_id: The id of the entry, as returned by `set` and `search`. At least 1 character.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Deletes all entries of the cache. This cannot be undone.

        Args:
            request: Ignored. Accepted for compatibility.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Deletes all entries of the cache. This cannot be undone.

        Args:
            request: Ignored. Accepted for compatibility.
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Checks whether the cache can be used with the API key.

        Args:
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `HealthResponse`. The cache can be used. `ok`: Whether the check succeeded.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
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

        Checks whether the cache can be used with the API key.

        Args:
            retries: Retry policy for this call. Default: the client's policy. None disables
                retries.
            server_url: Base URL for this call. Default: the client's.
            timeout_ms: Time budget for the whole call, retries included, in milliseconds. Default:
                the client's.
            http_headers: Extra headers. They replace headers of the same name.

        Returns:
            A `HealthResponse`. The cache can be used. `ok`: Whether the check succeeded.

        Raises:
            BadRequestErrorResponseContent: Status 400. The request breaks a rule of the API or of
                the cache. `fields` lists the broken rules. Correct the request before sending it
                again.
            AuthenticationErrorResponseContent: Status 401. The API key is missing, malformed or
                unknown. Pass a valid `api_key`.
            ForbiddenErrorResponseContent: Status 403. The API key is valid but has no grant for
                this operation on this cache. Use another key or add the grant.
            NotFoundErrorResponseContent: Status 404. The cache or the entry does not exist. Check
                `cache_id` and the id of the entry.
            FailedDependencyErrorResponseContent: Status 424. A dependency of the service, its
                database or its embedding model, is unavailable. Continue without the cache and try
                again later.
            TooManyRequestsErrorResponseContent: Status 429. The key has exceeded its rate limit.
                Wait for the time in `Retry-After` and send the request again. Clients do this
                automatically, within their retry policy.
            UnexpectedErrorResponseContent: Status 500. The service failed unexpectedly. Report the
                error with its request id.
            APIError: Any other status that is not 2xx.
            ResponseValidationError: The body of a 2xx response is invalid.
            NoResponseError: No complete response: a timeout, or a failed or broken connection.
            TypeError: An argument has the wrong type.
            ValueError: An argument has an invalid value, such as an empty id.
        """
        return await self._call_async(
            _HEALTH, (), (), retries, server_url, timeout_ms, http_headers
        )


class LangCacheWithRawResponse:
    """The methods of `LangCache`, which also return the HTTP response.

    Arguments and exceptions are the same. `parsed` is the result of the method itself.
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
        """Save an entry. See `LangCache.set`."""
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
        """Save an entry. See `LangCache.set_async`."""
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
        """Search for entries. See `LangCache.search`."""
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
        """Search for entries. See `LangCache.search_async`."""
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
        """Search within a conversation. See `LangCache.conversational_search`."""
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
        """Search within a conversation. See `LangCache.conversational_search_async`."""
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
        """Delete entries by attributes. See `LangCache.delete_query`."""
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
        """Delete entries by attributes. See `LangCache.delete_query_async`."""
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
        """Delete an entry. See `LangCache.delete_by_id`."""
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
        """Delete an entry. See `LangCache.delete_by_id_async`."""
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
        """Flush the cache. See `LangCache.flush`."""
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
        """Flush the cache. See `LangCache.flush_async`."""
        return await self._call_async(_FLUSH, (), (), retries, server_url, timeout_ms, http_headers)

    def health(
        self,
        *,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.HealthResponse]:
        """Check the cache. See `LangCache.health`."""
        return self._call(_HEALTH, (), (), retries, server_url, timeout_ms, http_headers)

    async def health_async(
        self,
        *,
        retries: OptionalNullable[RetryConfig] = UNSET,
        server_url: str | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RawResponse[models.HealthResponse]:
        """Check the cache. See `LangCache.health_async`."""
        return await self._call_async(
            _HEALTH, (), (), retries, server_url, timeout_ms, http_headers
        )
