"""The probes: is the server alive, and can it use its storage?"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PATIENCE = 2.0  # seconds to wait for the storage

_log = logging.getLogger("langcache_mockserver")


async def readiness(request: Request) -> Response:
    """Tell whether the storage can be used; an endpoint that needs no key."""
    try:
        with anyio.fail_after(_PATIENCE):
            await service_of(request).caches.check()
    except Exception as error:  # noqa: BLE001 - a backend may fail in ways of its own
        _log.warning("the storage cannot be used: %s", type(error).__name__)
        return JSONResponse({"ok": False}, 503)
    return JSONResponse({"ok": True})


async def _liveness(_request: Request) -> Response:
    return JSONResponse({"ok": True})


ROUTES = [
    *routes_of("/health", GET=readiness),
    *routes_of("/health/liveness", GET=_liveness),
    *routes_of("/health/readiness", GET=readiness),
]
"""The routes of the probes, which need no key."""
