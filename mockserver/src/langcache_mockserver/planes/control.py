"""The control plane: declare, change and remove caches, with the admin token."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langcache.engine.embedders import MiniLMEmbedder
from langcache_mockserver.domain.registry import CacheSettings, moment
from langcache_mockserver.http.documents import CONTROL_CONTRACT
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.request import path_id
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from langcache_mockserver.planes.service import Service


async def _create_cache(request: Request) -> Response:
    service = service_of(request)
    body = await service.bodies.read(request, "CreateCacheRequest")
    cache = CacheSettings(
        id=uuid.uuid4().hex,
        name=body["name"],
        database_id=body["databaseId"],
        attributes=tuple(body["attributes"]),
        default_threshold=body["defaultSearchThreshold"],
        default_ttl_millis=int(body["defaultTtlMillis"]),
        search_strategies=tuple(body.get("searchStrategies", ["semantic"])),
        created_at=moment(service.clock()),
    )
    await service.workers.run(service.gate.registry.add_cache, cache)
    return JSONResponse({"cacheId": cache.id}, 201)


async def _list_caches(request: Request) -> Response:
    service = service_of(request)
    await service.gate.read_records()
    caches = service.gate.registry.caches()
    return JSONResponse({"caches": [_as_json(service, cache) for cache in caches]})


async def _get_cache(request: Request) -> Response:
    return JSONResponse(_as_json(service_of(request), await _cache_of(request)))


async def _update_cache(request: Request) -> Response:
    body = await service_of(request).bodies.read(request, "UpdateCacheRequest")

    def change(cache: CacheSettings) -> CacheSettings:
        return replace(
            cache,
            default_threshold=body.get("defaultSearchThreshold", cache.default_threshold),
            default_ttl_millis=int(body.get("defaultTtlMillis", cache.default_ttl_millis)),
            search_strategies=tuple(body.get("searchStrategies", cache.search_strategies)),
        )

    cache = await _change_cache(request, change)
    return JSONResponse({"cacheId": cache.id}, 201)


async def _delete_cache(request: Request) -> Response:
    with_entries = _flag(request, "flush")
    # The cache first, so that nobody stores an entry after the flush.
    cache = await _change_cache(request, lambda _cache: None)
    service_of(request).caches.forget_lookups(cache.id)
    if with_entries:
        await service_of(request).caches.flush(cache.id)
    return JSONResponse({"cacheId": cache.id})


async def _flush_cache(request: Request) -> Response:
    cache = await _cache_of(request)
    await service_of(request).caches.flush(cache.id)
    return Response(status_code=204)


async def _list_embedding_providers(request: Request) -> Response:
    return JSONResponse({"embeddingProviders": [_embedding(service_of(request))]})


async def _contract(_request: Request) -> Response:
    return Response(CONTROL_CONTRACT, media_type="application/json")


async def _cache_of(request: Request) -> CacheSettings:
    """Return the cache in the path.

    Raises:
        ProblemError: 404, if there is none.
    """
    gate = service_of(request).gate
    await gate.read_records()
    cache = gate.registry.cache(_cache_id(request))
    if cache is None:
        raise _no_cache()
    return cache


async def _change_cache(
    request: Request, change: Callable[[CacheSettings], CacheSettings | None]
) -> CacheSettings:
    """Change or remove the cache in the path, and return it as it was before.

    Raises:
        ProblemError: 403, if the configuration declares it; 404, if there is none.
    """
    service, cache_id = service_of(request), _cache_id(request)
    registry = service.gate.registry
    cache = registry.cache(cache_id)
    if cache and cache.configured:
        raise ProblemError(403, "the configuration declares this cache; it cannot be changed here")
    cache = await service.workers.run(registry.change_cache, cache_id, change)
    if cache is None:
        raise _no_cache()
    return cache


def _cache_id(request: Request) -> str:
    cache_id = exchange_of(request).cache_id = path_id(request, "cacheId")
    return cache_id


def _no_cache() -> ProblemError:
    return ProblemError(404, "there is no cache of this id")


def _flag(request: Request, name: str) -> bool:
    """Return a query parameter: `true`, or `false` or missing."""
    values = request.query_params.getlist(name)
    if values in ([], ["false"], ["true"]):
        return values == ["true"]
    message = f"must be given once, as true or false, got {len(values)}"
    if len(values) == 1:
        message = f"must be one of true, false, got {len(values[0])} characters"
    raise invalid(FieldError(name, "enum", message))


def _as_json(service: Service, cache: CacheSettings) -> dict[str, Any]:
    threshold, about = cache.default_threshold, service.description
    return {
        "cacheId": cache.id,
        "name": cache.name,
        "databaseId": cache.database_id,
        "databaseName": about.storage,
        "defaultSearchThreshold": about.default_threshold if threshold is None else threshold,
        "defaultTtlMillis": cache.default_ttl_millis,
        "attributes": list(cache.attributes),
        "searchStrategies": list(cache.search_strategies),
        "status": "READY",
        **_embedding(service),
        "createdAt": cache.created_at,
    }


def _embedding(service: Service) -> dict[str, Any]:
    embedder = service.description.embedder
    return {
        "embeddingProvider": "local" if isinstance(embedder, MiniLMEmbedder) else "custom",
        "embeddingModel": embedder.model_id,
        "embeddingDimensions": embedder.dimensions,
    }


def admin_operation(
    operation: str, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that notes its operation and demands the admin token."""

    async def guarded(request: Request) -> Response:
        exchange_of(request).operation = operation
        service_of(request).gate.check_admin(request)
        return await endpoint(request)

    return guarded


_CACHES = "/control/v1/caches"

ROUTES = [
    *routes_of(
        _CACHES,
        GET=admin_operation("listCaches", _list_caches),
        POST=admin_operation("createCache", _create_cache),
    ),
    *routes_of(
        f"{_CACHES}/{{cacheId}}",
        GET=admin_operation("getCache", _get_cache),
        PATCH=admin_operation("updateCache", _update_cache),
        DELETE=admin_operation("deleteCache", _delete_cache),
    ),
    *routes_of(
        f"{_CACHES}/{{cacheId}}/entries", DELETE=admin_operation("flushCache", _flush_cache)
    ),
    *routes_of(
        "/control/v1/embedding-providers",
        GET=admin_operation("listEmbeddingProviders", _list_embedding_providers),
    ),
    *routes_of("/control/openapi.json", GET=_contract),
]
"""The routes of the control plane, and of its contract."""
