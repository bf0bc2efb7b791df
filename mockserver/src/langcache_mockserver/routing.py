"""Routes by path and method, with an answer for the methods a path does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from langcache_mockserver.problems import MethodNotAllowed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response


def routes_of(path: str, **endpoints: Callable[[Request], Awaitable[Response]]) -> list[Route]:
    """Return the routes of a path, by method; the last one refuses all other methods.

    Because of that one, a path without parameters keeps the requests that it can't answer from the
    paths with parameters after it, as OpenAPI wants it.
    """
    routes = [Route(path, endpoint, methods=[method]) for method, endpoint in endpoints.items()]
    methods = {method for route in routes for method in route.methods or ()}  # HEAD comes with GET
    return [*routes, Route(path, MethodNotAllowed(methods))]
