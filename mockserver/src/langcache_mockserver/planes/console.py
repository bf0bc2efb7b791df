"""The console: what this server has beyond the official API."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

_CONSOLE = "/console/v1"


def console_operation(
    operation: str, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that notes its operation and demands the admin token if there is one.

    There is one if somebody chose it, or was told it at the start of a strict server.
    """

    async def guarded(request: Request) -> Response:
        exchange_of(request).operation = operation
        gate = service_of(request).gate
        if gate.has_console_key:
            gate.check_admin(request)
        return await endpoint(request)

    return guarded


async def _describe(_request: Request) -> Response:
    paths = [path for path, _ in ROUTES]
    return JSONResponse({"version": version("langcache-mockserver"), "paths": paths})


ROUTES = [*routes_of(_CONSOLE, GET=console_operation("describeConsole", _describe))]
"""The routes of the console."""
