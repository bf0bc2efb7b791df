"""The control plane: caches declared, changed and removed by whoever has the admin token."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langcache.engine.embedders import MiniLMEmbedder
from langcache_mockserver.domain.registry import CacheSettings, moment
from langcache_mockserver.http.bodies import body_of
from langcache_mockserver.http.call import call_of
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.response import JSONAnswer
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.validation import decode_id
from langcache_mockserver.planes.auth import authenticate_admin, read_records
from langcache_mockserver.planes.service import in_worker, service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from langcache_mockserver.planes.service import Service

CONTROL_CONTRACT = Path(__file__).parent.with_name("control-openapi.json").read_bytes()
"""The contract (OpenAPI 3.1, JSON) of control plane and identity, which the server serves."""


async def _create_cache(request: Request) -> Response:
    service = service_of(request)
    body = await body_of(request, "CreateCacheRequest")
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
    await in_worker(request, service.gate.registry.add_cache, cache)
    return JSONAnswer({"cacheId": cache.id}, 201)


async def _list_caches(request: Request) -> Response:
    service = service_of(request)
    await read_records(request)
    caches = service.gate.registry.caches()
    return JSONAnswer({"caches": [_as_json(service, cache) for cache in caches]})


async def _get_cache(request: Request) -> Response:
    return JSONAnswer(_as_json(service_of(request), await _cache_of(request)))


async def _update_cache(request: Request) -> Response:
    body = await body_of(request, "UpdateCacheRequest")

    def change(cache: CacheSettings) -> CacheSettings:
        return replace(
            cache,
            default_threshold=body.get("defaultSearchThreshold", cache.default_threshold),
            default_ttl_millis=int(body.get("defaultTtlMillis", cache.default_ttl_millis)),
            search_strategies=tuple(body.get("searchStrategies", cache.search_strategies)),
        )

    cache = await _change_cache(request, change)
    return JSONAnswer({"cacheId": cache.id}, 201)


async def _delete_cache(request: Request) -> Response:
    with_entries = _flag(request, "flush")
    # First the cache, so that nobody stores an entry after the flush.
    cache = await _change_cache(request, lambda _cache: None)
    if with_entries:
        await in_worker(request, service_of(request).caches.flush, cache.id)
    return JSONAnswer({"cacheId": cache.id})


async def _flush_cache(request: Request) -> Response:
    cache = await _cache_of(request)
    await in_worker(request, service_of(request).caches.flush, cache.id)
    return Response(status_code=204)


async def _list_embedding_providers(request: Request) -> Response:
    return JSONAnswer({"embeddingProviders": [_embedding(service_of(request))]})


async def _contract(_request: Request) -> Response:
    return Response(CONTROL_CONTRACT, media_type="application/json")


async def _cache_of(request: Request) -> CacheSettings:
    """Return the cache that the path names.

    Raises:
        ProblemError: 404, where there is none.
    """
    await read_records(request)
    cache = service_of(request).gate.registry.cache(_cache_id(request))
    if cache is None:
        raise _no_cache()
    return cache


async def _change_cache(
    request: Request, change: Callable[[CacheSettings], CacheSettings | None]
) -> CacheSettings:
    """Change the cache that the path names, or remove it, and return it as it was.

    Raises:
        ProblemError: 403, where the configuration declares it; 404, where there is none.
    """
    registry = service_of(request).gate.registry
    cache_id = _cache_id(request)
    cache = registry.cache(cache_id)
    if cache and cache.configured:
        raise ProblemError(403, "the configuration declares this cache; it can't be changed here")
    cache = await in_worker(request, registry.change_cache, cache_id, change)
    if cache is None:
        raise _no_cache()
    return cache


def _cache_id(request: Request) -> str:
    cache_id = call_of(request).cache_id = decode_id(request.path_params["cache_id"], "cacheId")
    return cache_id


def _no_cache() -> ProblemError:
    return ProblemError(404, "there is no cache of this id")


def _flag(request: Request, name: str) -> bool:
    """Return a query parameter that is `true` or `false`, or else not there."""
    values = request.query_params.getlist(name)
    if values in ([], ["false"], ["true"]):
        return values == ["true"]
    message = f"must be given once, as true or false, is given {len(values)} times"
    if len(values) == 1:
        message = f"must be one of true, false, has {len(values[0])} characters"
    raise invalid([FieldError(name, "enum", message)])


def _as_json(service: Service, cache: CacheSettings) -> dict[str, Any]:
    threshold = cache.default_threshold
    return {
        "cacheId": cache.id,
        "name": cache.name,
        "databaseId": cache.database_id,
        "databaseName": service.settings.storage.partition(":")[0],
        "defaultSearchThreshold": (
            service.settings.default_threshold if threshold is None else threshold
        ),
        "defaultTtlMillis": cache.default_ttl_millis,
        "attributes": list(cache.attributes),
        "searchStrategies": list(cache.search_strategies),
        "status": "READY",
        **_embedding(service),
        "createdAt": cache.created_at,
    }


def _embedding(service: Service) -> dict[str, Any]:
    embedder = service.embedder
    return {
        "embeddingProvider": "local" if isinstance(embedder, MiniLMEmbedder) else "custom",
        "embeddingModel": embedder.model_id,
        "embeddingDimensions": embedder.dimensions,
    }


def admin_operation(
    operation: str, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that notes which operation it is and lets nobody in but the admin."""

    async def guarded(request: Request) -> Response:
        call_of(request).operation = operation
        authenticate_admin(request)
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
        f"{_CACHES}/{{cache_id}}",
        GET=admin_operation("getCache", _get_cache),
        PATCH=admin_operation("updateCache", _update_cache),
        DELETE=admin_operation("deleteCache", _delete_cache),
    ),
    *routes_of(
        f"{_CACHES}/{{cache_id}}/entries", DELETE=admin_operation("flushCache", _flush_cache)
    ),
    *routes_of(
        "/control/v1/embedding-providers",
        GET=admin_operation("listEmbeddingProviders", _list_embedding_providers),
    ),
    *routes_of("/control/openapi.json", GET=_contract),
]
"""The routes of the control plane, and of its contract."""
