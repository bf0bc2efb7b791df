"""The operations of the contract, as HTTP endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from langcache_mockserver.auth import authenticate
from langcache_mockserver.caches import Query
from langcache_mockserver.call import call_of
from langcache_mockserver.problems import ProblemError
from langcache_mockserver.routing import routes_of
from langcache_mockserver.service import Service, in_worker, service_of
from langcache_mockserver.validation import decode_id, parse_body, read_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from langcache_mockserver.caches import Found

_INLINE_BODY_BYTES = 16 << 10  # parsing as much takes less time than handing it to a thread


async def _set(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    body = await _body(request, "SetRequest")
    entry_id = await in_worker(
        request,
        service.caches.set,
        cache_id,
        body["prompt"],
        body["response"],
        body.get("attributes", {}),
        body.get("ttlMillis"),
    )
    return JSONResponse({"entryId": entry_id}, 201)


async def _search(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    body = await _body(request, "SearchRequest")
    found = await in_worker(request, service.caches.search, cache_id, body["prompt"], _query(body))
    return JSONResponse({"data": [_as_json(each) for each in found]})


async def _conversational_search(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    body = await _body(request, "ConversationalSearchBody")
    context = body.get("context", [])
    actual_prompt, found = await in_worker(
        request, service.caches.converse, cache_id, body["prompt"], context, _query(body)
    )
    data = [_as_json(each) for each in found]
    return JSONResponse({"actualPrompt": actual_prompt, "data": data})


async def _delete_query(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    body = await _body(request, "DeleteQueryRequest")
    count = await in_worker(
        request, service.caches.delete_by_attributes, cache_id, body["attributes"]
    )
    return JSONResponse({"deletedEntriesCount": count})


async def _delete_by_id(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    entry_id = decode_id(request.path_params["entry_id"], "entryId")
    if not await in_worker(request, service.caches.delete, cache_id, entry_id):
        raise ProblemError(404, "there is no entry of this id in the cache")
    return Response(status_code=204)


async def _flush(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    await in_worker(request, service.caches.flush, cache_id)
    return Response(status_code=204)


async def _cache_health(request: Request) -> Response:
    service, _ = _open_cache(request)
    await in_worker(request, service.caches.check)
    return JSONResponse({"ok": True})


def _open_cache(request: Request) -> tuple[Service, str]:
    """Return the service and the id of the cache, for a caller who may use it."""
    call = call_of(request)
    call.key = authenticate(request)
    call.cache_id = decode_id(request.path_params["cache_id"], "cacheId")
    return service_of(request), call.cache_id


async def _body(request: Request, schema: str) -> dict[str, Any]:
    """Return the body of a request, which holds to a schema of the contract."""
    body = await read_body(request, service_of(request).settings.max_body_bytes)
    if len(body) <= _INLINE_BODY_BYTES:
        return parse_body(body, schema)
    return await in_worker(request, parse_body, body, schema)


def _query(body: dict[str, Any]) -> Query:
    return Query(
        threshold=body.get("similarityThreshold"),
        strategies=body.get("searchStrategies", ["semantic"]),
        attributes=body.get("attributes"),
        max_results=int(body.get("maxResults", 1)),
    )


def _as_json(found: Found) -> dict[str, object]:
    entry = found.entry
    return {
        "id": entry.id,
        "prompt": entry.prompt,
        "response": entry.response,
        "attributes": dict(entry.attributes),
        "similarity": found.similarity,
        "searchStrategy": found.strategy,
    }


def _operation(
    operation: str, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that notes which operation of the contract it is."""

    async def noted(request: Request) -> Response:
        call_of(request).operation = operation
        return await endpoint(request)

    return noted


_CACHE = "/v1/caches/{cache_id}"

ROUTES = [
    *routes_of(
        f"{_CACHE}/entries",
        POST=_operation("set", _set),
        DELETE=_operation("deleteQuery", _delete_query),
    ),
    *routes_of(f"{_CACHE}/entries/search", POST=_operation("search", _search)),
    *routes_of(f"{_CACHE}/entries/{{entry_id}}", DELETE=_operation("deleteById", _delete_by_id)),
    *routes_of(
        f"{_CACHE}/conversations/search",
        POST=_operation("conversationalSearch", _conversational_search),
    ),
    *routes_of(f"{_CACHE}/flush", POST=_operation("flush", _flush)),
    *routes_of(f"{_CACHE}/health", GET=_operation("health", _cache_health)),
]
"""The routes of all operations on caches."""
