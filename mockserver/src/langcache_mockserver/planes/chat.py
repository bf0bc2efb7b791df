"""The caching proxy: model providers' APIs, answered from the cache or by an upstream."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from jsonschema_rs import Draft202012Validator
from pydantic_core import to_json
from starlette.responses import Response

from langcache.answers.apis import ChatCompletions, Embeddings, Messages, Responses, in_form
from langcache.answers.controls import Controls
from langcache.answers.digests import NotCacheableError, digest
from langcache.answers.request import Request as Question
from langcache.engine.storage import StorageError
from langcache_mockserver.http.event_streams import EVENT_STREAM, EventReader, event_bytes
from langcache_mockserver.http.exchange import Saved, exchange_of
from langcache_mockserver.http.forwarding import (
    credentials_of,
    harmless_headers,
    shaping_headers,
)
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid, unauthorized
from langcache_mockserver.http.request import bearer_token, header_values
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.streaming import StreamedResponse
from langcache_mockserver.planes.proxy_lookups import note_answer, note_lookup
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

    from starlette.requests import Request
    from starlette.types import Scope

    from langcache.answers.answer import Answer
    from langcache.answers.apis import Api
    from langcache.answers.lookups import Lookup
    from langcache_mockserver.domain.upstreams import Api as Provider
    from langcache_mockserver.domain.upstreams import Upstream
    from langcache_mockserver.http.event_streams import ServerSentEvent
    from langcache_mockserver.http.exchange import Exchange
    from langcache_mockserver.http.forwarding import ForwardedResponse, Forwarder
    from langcache_mockserver.http.routing import Endpoint
    from langcache_mockserver.planes.proxy import Proxy
    from langcache_mockserver.planes.service import Service

_MODEL_REQUEST = "ModelRequest"

SCHEMAS = {
    _MODEL_REQUEST: Draft202012Validator(
        {
            "type": "object",
            "required": ["model"],
            "properties": {
                "model": {"type": "string", "minLength": 1, "maxLength": 256},
                "stream": {"type": ["boolean", "null"]},
            },
        }
    )
}
"""What the proxy itself demands of the body of a request; the rest is up to the upstream."""

_BYPASS = b"x-langcache-bypass"
_SCOPE = b"x-langcache-scope"
_LONGEST_SCOPE = 256
_INLINE_BYTES = 16 << 10  # what is longer takes more time than to hand it to a thread
_DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation of a provider's API.

    Attributes:
        name: The name in the metrics and the access log.
        provider: Whose API it is.
        path: The path below an upstream's base URL.
        api: How its requests and answers are read.
    """

    name: str
    provider: Provider
    path: str
    api: Api


class _Call(NamedTuple):
    """One request to a model.

    Attributes:
        operation: The operation.
        arguments: What it says, as JSON; it names a model.
        upstream: The upstream that answers for the model.
        body: The body as it came.
        question: What it asks; None if its answer cannot be cached.
        controls: Its scope, and whether it bypasses the cache.
    """

    operation: _Operation
    arguments: Mapping[str, Any]
    upstream: Upstream
    body: bytes
    question: Question | None
    controls: Controls


async def _respond(
    request: Request, exchange: Exchange, operation: _Operation, service: Service, proxy: Proxy
) -> Response:
    """Answer a request from the cache, or pass it on."""
    call = await _read(request, operation, service, proxy)
    exchange.cache_id = proxy.settings.cache_id
    removals = 0 if service.lookups is None else service.lookups.removals
    started = time.perf_counter()
    read = partial(_replayed, operation.api, bool(call.arguments.get("stream")))
    lookup = await proxy.lookups.alook_up(call.question, read, call.controls)
    seconds = time.perf_counter() - started
    outcome = "bypass" if lookup.outcome == "skipped" else lookup.outcome
    exchange.outcome = "" if outcome == "bypass" else outcome  # that is no lookup
    response = lookup.value
    if response is not None:
        saved = _saved(operation.api, lookup)
        model = call.arguments["model"]
        exchange.saved = Saved(model, saved.get("input", 0), saved.get("output", 0))
        # `headers` would look for a header to replace, once for each.
        response.raw_headers += _hit_headers(lookup, saved)
    note_lookup(service, proxy, lookup, seconds, removals, exchange.saved)
    if response is not None:
        return response
    try:
        response = await _forward(request, call, proxy.forwarder)
        response.headers["x-langcache"] = outcome
        return await _passed_on(response, call, lookup, service, proxy)
    except BaseException:
        proxy.lookups.release(lookup)
        if response is not None:
            await response.aclose()
        raise


async def _read(request: Request, operation: _Operation, service: Service, proxy: Proxy) -> _Call:
    """Read a request, and check that its sender may use the proxy.

    Raises:
        ProblemError: 400, 413, if the body is not what it should be; 401, 403, 429, if the key
            is not; 404, if no upstream answers for the model.
    """
    credentials = credentials_of(request.scope)
    if not credentials:
        raise unauthorized("an API key is required")
    body = await service.bodies.read_bytes(request)
    arguments = await service.bodies.parse(body, _MODEL_REQUEST)
    upstream = proxy.settings.upstream_for(operation.provider, arguments["model"])
    if upstream is None:
        raise ProblemError(404, "model: must be one that an upstream answers for")
    if upstream.key:
        token = _token(request)
        await service.gate.open_proxy(request, token, proxy.settings.cache_id)
        credentials = [(b"key", token.encode())]
    shaping = _shaping(request.scope, arguments, upstream)
    try:
        if not proxy.settings.shared:
            shaping["key"] = await _digest(credentials, service, proxy)
        if len(body) <= _INLINE_BYTES:
            question = _question(operation.api, arguments, shaping)
        else:
            question = await service.workers.run(_question, operation.api, arguments, shaping)
    except (NotCacheableError, RecursionError, StorageError):
        question = None  # also if a key has no digest, because keys could not be told apart
    return _Call(
        operation=operation,
        arguments=arguments,
        upstream=upstream,
        body=body,
        question=question,
        controls=_controls(request),
    )


def _shaping(scope: Scope, arguments: Mapping[str, Any], upstream: Upstream) -> dict[str, Any]:
    """Return what an answer depends on besides the arguments."""
    options = arguments.get("stream_options") if arguments.get("stream") else None
    return {
        "upstream": upstream.url,
        "query": scope["query_string"].decode("latin-1"),
        "headers": [
            [name.decode(), value.decode("latin-1")] for name, value in shaping_headers(scope)
        ],
        # What a stream has besides the answer. Without it, streams share their answers with
        # requests for a whole answer.
        "stream": None if options is None else [options],
        "key": "",  # if all keys share their answers
    }


def _question(api: Api, arguments: Mapping[str, Any], shaping: Mapping[str, Any]) -> Question:
    """Return what a request asks, with all that its answer depends on."""
    question = api.request_of(arguments)
    # Digests here, so that the event loop need not make them of long conversations.
    return Question(
        door=question.door,
        parameters={**shaping, "arguments": digest(question.parameters)},
        turns=[digest(question.turns)],
        last=digest(question.last),
        text=question.text,
        labels=question.labels,
    )


async def _digest(credentials: list[tuple[bytes, bytes]], service: Service, proxy: Proxy) -> str:
    """Return the HMAC of the API key of a request."""
    pairs = [b'["%b", "%b"]' % (name, value.hex().encode()) for name, value in sorted(credentials)]
    key = b"[%b]" % b", ".join(pairs)  # as `json.dumps` writes it, which takes longer
    if proxy.key_digests.is_ready:
        return proxy.key_digests.digest(key)
    return await service.workers.run(proxy.key_digests.digest, key)


def _token(request: Request) -> str:
    """Return the key that a request has for this server: a bearer token, or as Anthropic's."""
    values = header_values(request.scope, b"x-api-key")
    if not values or header_values(request.scope, b"authorization"):
        return bearer_token(request)
    return values[0].decode("latin-1")


def _controls(request: Request) -> Controls:
    """Return what the headers of a request ask of the cache."""
    bypass = header_values(request.scope, _BYPASS)
    if bypass not in ([], [b"true"], [b"false"]):
        raise invalid(FieldError(_BYPASS.decode(), "enum", "must be true or false"))
    scope = [_decoded(each) for each in header_values(request.scope, _SCOPE)]
    if len(scope) > 1 or (scope and not 0 < len(scope[0]) <= _LONGEST_SCOPE):
        message = f"must be given once, with 1 to {_LONGEST_SCOPE} characters"
        raise invalid(FieldError(_SCOPE.decode(), "maxLength", message))
    return Controls(
        bypass=bypass == [b"true"],
        scope={"scope": scope[0]} if scope else {},
    )


def _decoded(value: bytes) -> str:
    """Return the value of a header, which some clients write in UTF-8 and others in Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def _forward(request: Request, call: _Call, forwarder: Forwarder) -> ForwardedResponse:
    url = call.upstream.url + call.operation.path
    query = request.scope["query_string"].decode("latin-1")
    key = call.upstream.key.encode()
    if not key:
        credentials = credentials_of(request.scope)
    elif call.operation.provider == "anthropic":
        credentials = [(b"x-api-key", key)]
    else:
        credentials = [(b"authorization", b"Bearer " + key)]
    headers = [*harmless_headers(request.scope), *shaping_headers(request.scope), *credentials]
    return await forwarder.send(f"{url}?{query}" if query else url, headers, call.body)


# Hits


def _replayed(api: Api, is_stream: bool, answer: Answer) -> Response | None:
    """Return a stored answer in the form that is asked for, or None if it cannot be had."""
    served = api.unbilled(in_form(api, answer, stream=is_stream))
    if served.chunks is None:
        return None if served.value is None else JSONResponse(served.value)
    events = [_event_of(api, chunk) for chunk in served.chunks]
    if isinstance(api, ChatCompletions):
        events.append(event_bytes("", _DONE.encode()))
    return Response(b"".join(events), headers={"content-type": f"{EVENT_STREAM}; charset=utf-8"})


def _hit_headers(
    lookup: Lookup[Response], saved: Mapping[str, int]
) -> Iterator[tuple[bytes, bytes]]:
    yield b"x-langcache", b"hit"
    if lookup.hit is not None:
        yield b"x-langcache-similarity", b"%.4f" % lookup.hit.similarity
        yield b"x-langcache-entry-id", lookup.hit.entry_id.encode("latin-1")
    for kind, tokens in saved.items():
        yield b"x-langcache-saved-%b-tokens" % kind.encode(), b"%d" % tokens


def _saved(api: Api, lookup: Lookup[Response]) -> dict[str, int]:
    """Return the tokens that a hit saves, by kind, as far as the provider has counted them."""
    usage = {} if lookup.answer is None else api.usage_of(lookup.answer)
    return {
        kind: usage[name]
        for kind, names in _SAVED.items()
        for name in names
        if isinstance(usage.get(name), int)
    }


_SAVED = {
    "input": ("prompt_tokens", "input_tokens"),
    "output": ("completion_tokens", "output_tokens"),
}


def _event_of(api: Api, chunk: Mapping[str, Any]) -> bytes:
    name = "" if isinstance(api, ChatCompletions) else chunk["type"]
    return event_bytes(name, to_json(chunk, inf_nan_mode="constants"))


# Misses


async def _passed_on(
    response: ForwardedResponse,
    call: _Call,
    lookup: Lookup[Response],
    service: Service,
    proxy: Proxy,
) -> Response:
    """Return the response of an upstream, which is stored as it passes."""
    if response.status == 200 and response.media_type == EVENT_STREAM:
        parts = _recorded(response, call, lookup, service, proxy)
        return StreamedResponse(parts, response.status, response.headers)
    most = proxy.settings.max_response_bytes
    body = bytearray()
    parts = response.parts()
    async for part in parts:
        body += part
        if len(body) > most:
            proxy.lookups.release(lookup)
            rest = _chained(bytes(body), parts)
            return StreamedResponse(rest, response.status, response.headers)
    answer = None
    if response.status == 200 and lookup.outcome not in {"bypass", "skipped"}:
        if len(body) <= _INLINE_BYTES:
            answer = _answer_in(call.operation.api, body)
        else:
            answer = await service.workers.run(_answer_in, call.operation.api, body)
    if answer is None:
        proxy.lookups.release(lookup)
    else:
        await _keep(lookup, answer, service, proxy)
    return Response(bytes(body), response.status, response.headers)


def _answer_in(api: Api, body: bytearray) -> Answer | None:
    try:
        return api.answer_of(json.loads(body))
    except (ValueError, RecursionError):
        return None


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for part in rest:
        yield part


async def _keep(lookup: Lookup[Response], answer: Answer, service: Service, proxy: Proxy) -> None:
    await proxy.lookups.akeep(lookup, answer)
    if answer.ending == "complete":  # else it is not stored
        note_answer(service, proxy, lookup)


async def _recorded(
    response: ForwardedResponse,
    call: _Call,
    lookup: Lookup[Response],
    service: Service,
    proxy: Proxy,
) -> AsyncGenerator[bytes]:
    """Yield the parts of a stream, and store it as soon as it is complete.

    Many clients close the connection at the last event, so it is stored before that is passed on.
    """
    recorder = _Recorder(call, proxy.settings.max_response_bytes)

    async def keep() -> None:
        events = recorder.take()
        if events is not None:
            await _keep(lookup, call.operation.api.streamed_answer_of(events), service, proxy)

    try:
        async for part in response.parts():
            recorder.feed(part)
            if recorder.is_complete:
                await keep()
            yield part
        await keep()
    finally:
        proxy.lookups.release(lookup)
        await response.aclose()


class _Recorder:
    """Keeps the events of a stream, as far as they can be replayed.

    Attributes:
        is_complete: Whether the last event has come.
    """

    def __init__(self, call: _Call, max_bytes: int) -> None:
        self.is_complete = False
        self._chunks: list[Any] | None = []
        self._api = call.operation.api
        self._arguments = call.arguments
        self._bytes_left = max_bytes
        self._events = EventReader()

    def feed(self, part: bytes) -> None:
        """Take a part of the stream."""
        self._bytes_left -= len(part)
        if self._chunks is None or self._bytes_left < 0:
            self._chunks = None
            return
        try:
            for event in self._events.feed(part):
                if self.is_complete:  # clients read no further
                    return
                if event.data == _DONE:
                    self.is_complete = True
                else:
                    self._chunks.append(self._chunk(event))
                    self.is_complete = self._api.is_complete(self._chunks, self._arguments)
        except (ValueError, RecursionError):
            self._chunks = None

    def take(self) -> list[Any] | None:
        """Return the data of the events, once; None if they are too long or cannot be replayed."""
        chunks, self._chunks = self._chunks, None
        return chunks

    def _chunk(self, event: ServerSentEvent) -> dict[str, Any]:
        chunk: Any = json.loads(event.data)
        if not isinstance(chunk, dict):
            raise ValueError
        found = cast("dict[str, Any]", chunk)
        if not isinstance(self._api, ChatCompletions) and found.get("type") != event.name:
            raise ValueError
        return found


# Errors, in the form that the provider's clients read


def _error_response(provider: Provider, problem: ProblemError, request_id: str) -> Response:
    if provider == "anthropic":
        kind = _ANTHROPIC_KINDS.get(problem.status, "api_error")
        error = {"type": kind, "message": problem.detail}
        body = {"type": "error", "error": error, "request_id": request_id}
    else:
        kind = "server_error" if problem.status >= 500 else "invalid_request_error"
        body = {
            "error": {"message": problem.detail, "type": kind, "param": None, "code": None},
        }
    headers = {**(problem.headers or {}), "content-type": "application/json"}
    return JSONResponse(body, problem.status, headers)


_ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}


def _endpoint(operation: _Operation) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        exchange = exchange_of(request)
        exchange.operation = operation.name
        service = service_of(request)
        proxy = service.proxy
        assert proxy is not None  # noqa: S101 - its routes exist only with a proxy
        try:
            return await _respond(request, exchange, operation, service, proxy)
        except ProblemError as problem:
            return _error_response(operation.provider, problem, exchange.request_id)

    return endpoint


_OPERATIONS = {
    "/v1/chat/completions": _Operation(
        "chatCompletions", "openai", "/chat/completions", ChatCompletions()
    ),
    "/v1/responses": _Operation("responses", "openai", "/responses", Responses()),
    "/v1/embeddings": _Operation("embeddings", "openai", "/embeddings", Embeddings()),
    "/v1/messages": _Operation("messages", "anthropic", "/v1/messages", Messages()),
}

ROUTES = [
    route
    for path, operation in _OPERATIONS.items()
    for route in routes_of(path, POST=_endpoint(operation))
]
"""The routes of the proxy."""
