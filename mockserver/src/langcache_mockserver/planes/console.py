"""The console: what this server has beyond the official API."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langcache.engine.explanation import as_json
from langcache_mockserver.domain.cache_rules import CacheRulesError, apply_rules
from langcache_mockserver.domain.lookup import Lookup
from langcache_mockserver.domain.registry import MOST_VERIFIERS, Access, TooManyError, moment
from langcache_mockserver.http.documents import CONSOLE_DOCUMENT
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.request import path_id
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.validation import spell
from langcache_mockserver.planes import entries, lookups
from langcache_mockserver.planes.console_access import console_operation
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from langcache.engine.feedback import Report

_CONSOLE = "/console/v1"
_CACHE = f"{_CONSOLE}/caches/{{cacheId}}"

_MOST_CACHES = 1000


async def _describe(_request: Request) -> Response:
    paths = list(dict.fromkeys(path for path, _ in ROUTES))
    return JSONResponse({"version": version("langcache-mockserver"), "paths": paths})


async def _list_caches(request: Request) -> Response:
    service = service_of(request)
    may_see = await service.gate.enter_console(request)
    await service.gate.read_records()
    registry = service.gate.registry
    names = {cache.id: cache.name for cache in registry.caches() if may_see(cache.id)}
    if not service.gate.strict:
        # Under strict rules only declared caches exist.
        names |= {each: each for each in await service.caches.known() if each not in names}
    caches = [{"cacheId": cache_id, "name": name} for cache_id, name in names.items()]
    return JSONResponse({"caches": caches[:_MOST_CACHES]})


async def _describe_server(request: Request) -> Response:
    service = service_of(request)
    await service.gate.enter_console(request)
    about = service.description
    return JSONResponse(
        {
            "version": version("langcache-mockserver"),
            "strict": service.gate.strict,
            "storage": about.storage,
            "workers": about.workers,
            "embeddingModel": about.embedder.model_id,
            "embeddingDimensions": about.embedder.dimensions,
            "defaultSearchThreshold": about.default_threshold,
            "verify": about.verify,
            "recordedLookups": 0 if service.lookups is None else service.lookups.most,
            "maxBodyBytes": about.max_body_bytes,
            "maxConcurrency": about.max_concurrency,
            "relaxedLimits": sorted(about.relaxed),
            "testControls": service.controls is not None,
        }
    )


async def _document(_request: Request) -> Response:
    return Response(CONSOLE_DOCUMENT, media_type="application/json")


async def _get_cache(request: Request) -> Response:
    await service_of(request).gate.open_console(request, Access.FULL)
    return JSONResponse(_settings(request))


async def _update_cache(request: Request) -> Response:
    service = service_of(request)
    cache = await service.gate.open_console(request, Access.FULL)
    body = await service.bodies.read(request, "UpdateConsoleCacheRequest")
    if cache is not None and cache.configured:
        raise ProblemError(403, "the configuration declares this cache; it can't be changed here")
    registry, cache_id = service.gate.registry, exchange_of(request).cache_id
    name = None if body["verify"] == "default" else body["verify"]
    try:
        await service.workers.run(registry.set_verifier, cache_id, name)
    except TooManyError:
        detail = f"{MOST_VERIFIERS} caches have a verifier of their own, and no more may"
        raise ProblemError(403, detail) from None
    return JSONResponse(_settings(request))


async def _explain(request: Request) -> Response:
    service, cache_id = service_of(request), exchange_of(request).cache_id
    body = await service.bodies.read(request, "ExplainRequest")
    cache = service.gate.registry.cache(cache_id)
    if cache is not None:
        try:
            body = apply_rules(cache, body)
        except CacheRulesError as error:
            raise invalid(
                *[FieldError(spell(path), "configured", message) for path, message in error.broken]
            ) from None
    lookup = Lookup(
        prompt=body["prompt"],
        threshold=body.get("similarityThreshold"),
        strategies=body.get("searchStrategies", ["semantic"]),
        attributes=body.get("attributes"),
        verify=body.get("verify") or service.gate.registry.verifier(cache_id),
    )
    explanation = await service.caches.explain(cache_id, lookup, int(body.get("maxCandidates", 10)))
    return JSONResponse(as_json(explanation))


async def _delete_entry(request: Request) -> Response:
    entry_id = path_id(request, "entryId")
    if not await service_of(request).caches.delete(exchange_of(request).cache_id, entry_id):
        raise _no_entry()
    return Response(status_code=204)


async def _report(request: Request) -> Response:
    body = await service_of(request).bodies.read(request, "FeedbackRequest")
    done = await service_of(request).caches.report(
        exchange_of(request).cache_id, body["prompt"], body["entryId"], right=body["right"]
    )
    if done is None:
        raise _no_entry()
    return JSONResponse({"recorded": done.recorded, "entryDeleted": done.entry_deleted})


async def _list_reports(request: Request) -> Response:
    reports = await service_of(request).caches.reports(exchange_of(request).cache_id)
    return JSONResponse({"reports": [_reported(report) for report in reports]})


async def _withdraw(request: Request) -> Response:
    body = await service_of(request).bodies.read(request, "WithdrawRequest")
    if not await service_of(request).caches.withdraw(
        exchange_of(request).cache_id, body["prompt"], body["entryId"]
    ):
        raise ProblemError(404, "there is no report on this prompt and entry")
    return Response(status_code=204)


def _no_entry() -> ProblemError:
    return ProblemError(404, "there is no entry of this id in the cache")


def _settings(request: Request) -> dict[str, Any]:
    service, cache_id = service_of(request), exchange_of(request).cache_id
    cache = service.gate.registry.cache(cache_id)
    verify = service.gate.registry.verifier(cache_id)
    return {
        "cacheId": cache_id,
        "verify": service.description.verify if verify is None else verify,
        "isDefault": verify is None,
        "configured": cache is not None and cache.configured,
    }


def _reported(report: Report) -> dict[str, Any]:
    return {
        "prompt": report.prompt,
        "cachedPrompt": report.cached_prompt,
        "entryId": report.entry_id,
        "right": report.right,
        "reportedAt": moment(report.reported_at),
    }


ROUTES = [
    *routes_of(_CONSOLE, GET=console_operation("describeConsole", _describe)),
    *routes_of(
        f"{_CONSOLE}/server", GET=console_operation("describeServer", _describe_server, enters=True)
    ),
    *routes_of(
        f"{_CONSOLE}/caches", GET=console_operation("listConsoleCaches", _list_caches, enters=True)
    ),
    *routes_of(
        _CACHE,
        GET=console_operation("getConsoleCache", _get_cache),
        PATCH=console_operation("updateConsoleCache", _update_cache),
    ),
    *routes_of(f"{_CACHE}/explain", POST=console_operation("explain", _explain, Access.FULL)),
    *routes_of(
        f"{_CACHE}/feedback",
        GET=console_operation("listFeedback", _list_reports, Access.FULL),
        POST=console_operation("reportFeedback", _report, Access.WRITE),
        DELETE=console_operation("withdrawFeedback", _withdraw, Access.WRITE),
    ),
    *entries.ROUTES,
    *routes_of(
        f"{_CACHE}/entries/{{entryId}}",
        DELETE=console_operation("deleteConsoleEntry", _delete_entry, Access.WRITE),
    ),
    *lookups.ROUTES,
    *routes_of("/console/openapi.json", GET=_document),
]
"""The routes of the console, and of its document."""
