"""The data plane: the contract's operations on caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langcache_mockserver.controls.interception import intercept, may_intercept
from langcache_mockserver.domain.cache_rules import CacheRulesError, apply_rules
from langcache_mockserver.domain.lookup import Lookup, characters_of
from langcache_mockserver.domain.registry import Access
from langcache_mockserver.http.asgi_extensions import is_alone
from langcache_mockserver.http.documents import CONTRACT
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.request import path_id
from langcache_mockserver.http.response import JSONResponse, json_of
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.validation import spell
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from starlette.requests import Request

    from langcache_mockserver.controls.server_controls import Controls
    from langcache_mockserver.domain.lookup import LookupResult
    from langcache_mockserver.http.routing import Endpoint
    from langcache_mockserver.planes.service import Service

# What is larger takes longer to write as JSON than to hand to a thread.
_LOOP_HITS = 100
_LOOP_CHARACTERS = 1 << 18
_DEFAULT_STRATEGIES = ("semantic",)
_NO_MEMBERS: Mapping[str, object] = {}


async def _set(request: Request) -> Response:
    service = service_of(request)
    body = await _body(service, request, Access.WRITE, "SetRequest")
    entry_id = await service.caches.set(
        exchange_of(request).cache_id,
        body["prompt"],
        body["response"],
        body.get("attributes", {}),
        body.get("ttlMillis"),
    )
    return JSONResponse({"entryId": entry_id}, 201)


async def _search(request: Request) -> Response:
    service, exchange = service_of(request), exchange_of(request)
    body = await _body(service, request, Access.READ, "SearchRequest")
    lookup = _lookup(service, exchange.cache_id, body)
    alone = is_alone(request.scope)
    result = await service.caches.search(exchange.cache_id, lookup, alone=alone)
    exchange.outcome = result.outcome
    if result.written is None:
        result.written = await _written(service, result)
    return JSONResponse(written=result.written)


async def _conversational_search(request: Request) -> Response:
    service, exchange = service_of(request), exchange_of(request)
    body = await _body(service, request, Access.READ, "ConversationalSearchBody")
    lookup = _lookup(service, exchange.cache_id, body)
    context = body.get("context", [])
    actual_prompt, result = await service.caches.converse(exchange.cache_id, lookup, context)
    exchange.outcome = result.outcome
    written = await _written(service, result, {"actualPrompt": actual_prompt})
    return JSONResponse(written=written)


async def _delete_query(request: Request) -> Response:
    service = service_of(request)
    body = await _body(service, request, Access.WRITE, "DeleteQueryRequest")
    count = await service.caches.delete_by_attributes(
        exchange_of(request).cache_id, body["attributes"]
    )
    return JSONResponse({"deletedEntriesCount": count})


async def _delete_by_id(request: Request) -> Response:
    service = service_of(request)
    await service.gate.open_cache(request, Access.WRITE)
    entry_id = path_id(request, "entryId")
    if not await service.caches.delete(exchange_of(request).cache_id, entry_id):
        raise ProblemError(404, "there is no entry of this id in the cache")
    return Response(status_code=204)


async def _flush(request: Request) -> Response:
    service = service_of(request)
    await service.gate.open_cache(request, Access.FULL)
    await service.caches.flush(exchange_of(request).cache_id)
    return Response(status_code=204)


async def _cache_health(request: Request) -> Response:
    service = service_of(request)
    await service.gate.open_cache(request, Access.READ)
    await service.caches.check()
    return JSONResponse({"ok": True})


async def _contract(_request: Request) -> Response:
    return Response(CONTRACT, media_type="application/json")


async def _body(service: Service, request: Request, needed: Access, schema: str) -> dict[str, Any]:
    """Return the body of a request, checked by its schema and by the rules of its cache.

    The caller of an operation that takes a body is let in first, as by `Gate.open_cache`.
    """
    cache = await service.gate.open_cache(request, needed)
    body = await service.bodies.read(request, schema)
    if cache is None:
        return body
    try:
        return apply_rules(cache, body)
    except CacheRulesError as error:
        raise invalid(
            *[FieldError(spell(path), "configured", message) for path, message in error.broken]
        ) from None


def _lookup(service: Service, cache_id: str, body: dict[str, Any]) -> Lookup:
    return Lookup(
        prompt=body["prompt"],
        threshold=body.get("similarityThreshold"),
        strategies=tuple(body.get("searchStrategies", _DEFAULT_STRATEGIES)),
        attributes=body.get("attributes"),
        max_results=int(body.get("maxResults", 1)),
        verify=service.gate.registry.verifier(cache_id),
    )


async def _written(
    service: Service, result: LookupResult, members: Mapping[str, object] = _NO_MEMBERS
) -> bytes:
    """Return the response to a search as JSON, with more members."""
    if _is_short(result):
        return _json(result, members)
    return await service.workers.run(_json, result, members)


def _is_short(result: LookupResult) -> bool:
    """Return whether the response to a search takes little time to write, as most do."""
    hits = result.hits
    if len(hits) > _LOOP_HITS:
        return False
    characters = 0
    for hit in hits:
        characters += characters_of(hit.entry)
    return characters <= _LOOP_CHARACTERS


def _json(result: LookupResult, members: Mapping[str, object]) -> bytes:
    return json_of({**members, "data": _entries(result)})


def _entries(result: LookupResult) -> list[dict[str, object]]:
    return [
        {
            "id": entry.id,
            "prompt": entry.prompt,
            "response": entry.response,
            "attributes": dict(entry.attributes),
            "similarity": similarity,
            "searchStrategy": strategy,
        }
        for entry, similarity, strategy in result.hits
    ]


def _operation(operation: str, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that notes its operation and lets the test controls step in."""

    def noted(request: Request) -> Awaitable[Response]:
        exchange = exchange_of(request)
        exchange.operation = operation
        controls = service_of(request).controls
        if controls is not None and may_intercept(exchange, controls):
            return intercepted(request, controls)
        return endpoint(request)

    async def intercepted(request: Request, controls: Controls) -> Response:
        response = await intercept(request, controls)
        return await endpoint(request) if response is None else response

    return noted


_CACHE = "/v1/caches/{cacheId}"

ROUTES = [
    *routes_of(f"{_CACHE}/entries/search", POST=_operation("search", _search)),
    *routes_of(
        f"{_CACHE}/entries",
        POST=_operation("set", _set),
        DELETE=_operation("deleteQuery", _delete_query),
    ),
    *routes_of(f"{_CACHE}/entries/{{entryId}}", DELETE=_operation("deleteById", _delete_by_id)),
    *routes_of(
        f"{_CACHE}/conversations/search",
        POST=_operation("conversationalSearch", _conversational_search),
    ),
    *routes_of(f"{_CACHE}/flush", POST=_operation("flush", _flush)),
    *routes_of(f"{_CACHE}/health", GET=_operation("health", _cache_health)),
    *routes_of("/openapi.json", GET=_contract),
]
"""The routes of all operations on caches, and of the contract."""
