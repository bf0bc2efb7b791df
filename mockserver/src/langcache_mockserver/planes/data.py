"""The operations of the contract, as HTTP endpoints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langcache_mockserver.controls.interception import intercept, may_intercept
from langcache_mockserver.domain.cache_rules import apply_rules
from langcache_mockserver.domain.caches import Query
from langcache_mockserver.domain.registry import Access
from langcache_mockserver.http.bodies import body_of
from langcache_mockserver.http.call import call_of
from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.response import JSONAnswer
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.validation import decode_id
from langcache_mockserver.planes.auth import open_cache
from langcache_mockserver.planes.service import in_worker, service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request

    from langcache_mockserver.controls.controls import Controls
    from langcache_mockserver.domain.caches import Answer, Found
    from langcache_mockserver.http.routing import Endpoint


async def _set(request: Request) -> Response:
    service, call = service_of(request), call_of(request)
    body = await _body(request, Access.WRITE, "SetRequest")
    prompt = body["prompt"]
    work = partial(
        service.caches.set,
        call.cache_id,
        prompt,
        body["response"],
        body.get("attributes", {}),
        body.get("ttlMillis"),
    )
    is_quick = service.caches.is_quick(call.cache_id, prompt)
    entry_id = work() if is_quick else await in_worker(request, work)
    return JSONAnswer({"entryId": entry_id}, 201)


async def _search(request: Request) -> Response:
    call = call_of(request)
    body = await _body(request, Access.READ, "SearchRequest")
    prompt, query = body["prompt"], _query(body)
    answer = await _answer(request, call.cache_id, prompt, query)
    call.outcome = answer.outcome
    return JSONAnswer({"data": [_as_json(each) for each in answer.found]})


async def _answer(request: Request, cache_id: str, prompt: str, query: Query) -> Answer:
    """Find entries in the way that takes the least time."""
    service = service_of(request)
    caches, gathered = service.caches, service.gathered_searches
    is_semantic = query.strategies == ["semantic"]
    if caches.is_quick(cache_id, prompt if "semantic" in query.strategies else None):
        if is_semantic:
            return await gathered.search(request, cache_id, prompt, query)
        return caches.search(cache_id, prompt, query)
    if is_semantic and caches.gains_by_company(cache_id, prompt):
        return await gathered.search_in_worker(request, cache_id, prompt, query)
    return await in_worker(request, caches.search, cache_id, prompt, query)


async def _conversational_search(request: Request) -> Response:
    service, call = service_of(request), call_of(request)
    body = await _body(request, Access.READ, "ConversationalSearchBody")
    context = body.get("context", [])
    actual_prompt, answer = await in_worker(
        request, service.caches.converse, call.cache_id, body["prompt"], context, _query(body)
    )
    call.outcome = answer.outcome
    data = [_as_json(each) for each in answer.found]
    return JSONAnswer({"actualPrompt": actual_prompt, "data": data})


async def _delete_query(request: Request) -> Response:
    service, call = service_of(request), call_of(request)
    body = await _body(request, Access.WRITE, "DeleteQueryRequest")
    count = await in_worker(
        request, service.caches.delete_by_attributes, call.cache_id, body["attributes"]
    )
    return JSONAnswer({"deletedEntriesCount": count})


async def _delete_by_id(request: Request) -> Response:
    service, call = service_of(request), call_of(request)
    await open_cache(request, Access.WRITE)
    entry_id = decode_id(request.path_params["entry_id"], "entryId")
    if not await in_worker(request, service.caches.delete, call.cache_id, entry_id):
        raise ProblemError(404, "there is no entry of this id in the cache")
    return Response(status_code=204)


async def _flush(request: Request) -> Response:
    service, call = service_of(request), call_of(request)
    await open_cache(request, Access.FULL)
    await in_worker(request, service.caches.flush, call.cache_id)
    return Response(status_code=204)


async def _cache_health(request: Request) -> Response:
    await open_cache(request, Access.READ)
    await in_worker(request, service_of(request).caches.check)
    return JSONAnswer({"ok": True})


async def _body(request: Request, needed: Access, schema: str) -> dict[str, Any]:
    """Return the body of a request, which holds to its schema and to the rules of its cache.

    The caller of an operation that takes a body is let in first, as by `open_cache`.
    """
    cache = await open_cache(request, needed)
    body = await body_of(request, schema)
    return body if cache is None else apply_rules(cache, body)


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


def _operation(operation: str, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that notes which operation of the contract it is."""

    def noted(request: Request) -> Awaitable[Response]:
        call_of(request).operation = operation
        controls = service_of(request).controls
        if controls is not None and may_intercept(request, controls):
            return staged(request, controls)
        return endpoint(request)

    async def staged(request: Request, controls: Controls) -> Response:
        answer = await intercept(request, controls)
        return await endpoint(request) if answer is None else answer

    return noted


_CACHE = "/v1/caches/{cache_id}"

ROUTES = [
    *routes_of(f"{_CACHE}/entries/search", POST=_operation("search", _search)),
    *routes_of(
        f"{_CACHE}/entries",
        POST=_operation("set", _set),
        DELETE=_operation("deleteQuery", _delete_query),
    ),
    *routes_of(f"{_CACHE}/entries/{{entry_id}}", DELETE=_operation("deleteById", _delete_by_id)),
    *routes_of(
        f"{_CACHE}/conversations/search",
        POST=_operation("conversationalSearch", _conversational_search),
    ),
    *routes_of(f"{_CACHE}/flush", POST=_operation("flush", _flush)),
    *routes_of(f"{_CACHE}/health", GET=_operation("health", _cache_health)),
]
"""The routes of all operations on caches."""
