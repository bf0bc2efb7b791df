"""The ASGI application: every operation of the contract, as a list of routes."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from langcache.engine.embedders import MiniLMEmbedder
from langcache.engine.storage import InMemoryStorage
from langcache_mockserver.auth import authenticate
from langcache_mockserver.caches import Caches, Query
from langcache_mockserver.envelope import Envelope
from langcache_mockserver.problems import (
    MethodNotAllowed,
    ProblemError,
    handle_not_found,
    handle_problem,
)
from langcache_mockserver.settings import Settings
from langcache_mockserver.validation import CONTRACT, decode_id, parse_body, read_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.caches import Found

_log = logging.getLogger("langcache_mockserver")

WORKERS = max(2, min(8, os.cpu_count() or 1))
"""How many threads embed, search and store: one per processor, from 2 to 8.

The event loop does none of that work itself, so it stays free to take requests.
"""

_INLINE_BODY_BYTES = 16 << 10  # parsing as much takes less time than handing it to a thread

P = ParamSpec("P")
T = TypeVar("T")


class _Service(NamedTuple):
    """What the endpoints work with."""

    settings: Settings
    caches: Caches
    workers: CapacityLimiter


def create_app(
    settings: Settings | None = None,
    *,
    embedder: Embedder | None = None,
    storage: StorageBackend | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Make the server as an ASGI application.

    Args:
        settings: How it runs; by default the defaults of `Settings`. Host, port and log level
            are for whoever serves the application.
        embedder: Turns prompts into vectors; by default MiniLM, which this call loads.
        storage: Keeps the entries; by default what the settings say. One that is passed in must
            live by the same clock, and stays open when the application shuts down.
        clock: Gives the time in seconds since the epoch, for the TTL of entries.

    Returns:
        The application, ready for requests. It may be served without running its lifespan.
    """
    settings = settings or Settings()
    used_storage = InMemoryStorage(clock=clock) if storage is None else storage

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        yield
        if storage is None:
            await used_storage.aclose()

    app = Starlette(
        routes=_ROUTES,
        middleware=[Middleware(Envelope)],
        exception_handlers={ProblemError: handle_problem, 404: handle_not_found},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service = _Service(
        settings,
        Caches(
            embedder=MiniLMEmbedder() if embedder is None else embedder,
            storage=used_storage,
            default_threshold=settings.default_threshold,
            clock=clock,
        ),
        CapacityLimiter(WORKERS),
    )
    return app


async def _set(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    body = await _body(request, "SetRequest")
    entry_id = await _run(
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
    found = await _run(request, service.caches.search, cache_id, body["prompt"], _query(body))
    return JSONResponse({"data": [_as_json(each) for each in found]})


async def _conversational_search(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    body = await _body(request, "ConversationalSearchBody")
    context = body.get("context", [])
    actual_prompt, found = await _run(
        request, service.caches.converse, cache_id, body["prompt"], context, _query(body)
    )
    data = [_as_json(each) for each in found]
    return JSONResponse({"actualPrompt": actual_prompt, "data": data})


async def _delete_query(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    body = await _body(request, "DeleteQueryRequest")
    count = await _run(request, service.caches.delete_by_attributes, cache_id, body["attributes"])
    return JSONResponse({"deletedEntriesCount": count})


async def _delete_by_id(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    entry_id = decode_id(request.path_params["entry_id"], "entryId")
    if not await _run(request, service.caches.delete, cache_id, entry_id):
        raise ProblemError(404, "there is no entry of this id in the cache")
    return Response(status_code=204)


async def _flush(request: Request) -> Response:
    service, cache_id = _open_cache(request)
    await _run(request, service.caches.flush, cache_id)
    return Response(status_code=204)


async def _cache_health(request: Request) -> Response:
    service, _ = _open_cache(request)
    await _run(request, service.caches.check)
    return JSONResponse({"ok": True})


async def _readiness(request: Request) -> Response:
    try:
        await _run(request, _service(request).caches.check)
    except Exception as error:  # noqa: BLE001 - a backend may fail in ways of its own
        _log.warning("the storage can't be used: %s", type(error).__name__)
        return JSONResponse({"ok": False}, 503)
    return JSONResponse({"ok": True})


async def _liveness(_request: Request) -> Response:
    return JSONResponse({"ok": True})


async def _contract(_request: Request) -> Response:
    return Response(CONTRACT, media_type="application/json")


def _path(path: str, **endpoints: Callable[[Request], Awaitable[Response]]) -> list[Route]:
    """Return the routes of a path, by method; the last one refuses all other methods.

    Because of that one, a path without parameters keeps the requests that it can't answer from the
    paths with parameters after it, as OpenAPI wants it.
    """
    routes = [Route(path, endpoint, methods=[method]) for method, endpoint in endpoints.items()]
    methods = {method for route in routes for method in route.methods or ()}  # HEAD comes with GET
    return [*routes, Route(path, MethodNotAllowed(methods))]


_ROUTES = [
    *_path("/v1/caches/{cache_id}/entries", POST=_set, DELETE=_delete_query),
    *_path("/v1/caches/{cache_id}/entries/search", POST=_search),
    *_path("/v1/caches/{cache_id}/entries/{entry_id}", DELETE=_delete_by_id),
    *_path("/v1/caches/{cache_id}/conversations/search", POST=_conversational_search),
    *_path("/v1/caches/{cache_id}/flush", POST=_flush),
    *_path("/v1/caches/{cache_id}/health", GET=_cache_health),
    *_path("/health", GET=_readiness),
    *_path("/health/liveness", GET=_liveness),
    *_path("/health/readiness", GET=_readiness),
    *_path("/openapi.json", GET=_contract),
]


def _service(request: Request) -> _Service:
    return cast("_Service", request.app.state.service)


def _open_cache(request: Request) -> tuple[_Service, str]:
    """Return the service and the id of the cache, for a caller who may use it."""
    authenticate(request)
    return _service(request), decode_id(request.path_params["cache_id"], "cacheId")


async def _body(request: Request, schema: str) -> dict[str, Any]:
    """Return the body of a request, which holds to a schema of the contract."""
    body = await read_body(request, _service(request).settings.max_body_bytes)
    if len(body) <= _INLINE_BODY_BYTES:
        return parse_body(body, schema)
    return await _run(request, parse_body, body, schema)


async def _run(request: Request, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in one of the worker threads."""
    call = partial(function, *args, **kwargs)
    return await to_thread.run_sync(call, limiter=_service(request).workers)


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
