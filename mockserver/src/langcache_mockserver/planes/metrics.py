"""The metrics, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from langcache_mockserver.http.problems import not_found
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.planes.service import service_of
from langcache_mockserver.watch.prometheus import MEDIA_TYPE

if TYPE_CHECKING:
    from starlette.requests import Request


async def _metrics(request: Request) -> Response:
    service = service_of(request)
    if service.metrics is None:
        raise not_found()
    text = await service.workers.run_probe(service.metrics.text)
    return Response(text, headers={"content-type": MEDIA_TYPE})


ROUTES = routes_of("/metrics", GET=_metrics)
"""The route of the metrics, which needs no key."""
