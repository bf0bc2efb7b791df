"""Routes by path and method, and the responses to paths and methods that have none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from langcache_mockserver.http.problems import ProblemError, not_found, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_REMEMBERED = 256  # paths whose endpoints are remembered, as most requests are for a few of them
_REMEMBERED_CHARACTERS = 256  # of the longest one

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Responds to a request, or raises a `ProblemError` or one of the errors that `Routing` is told."""

Route: TypeAlias = tuple[str, Mapping[str, Endpoint]]
"""A path, such as `/v1/caches/{cacheId}/entries`, and the endpoints of its methods."""

ErrorHandlers: TypeAlias = Mapping[type[Exception], Callable[[Request, Exception], ProblemError]]
"""How errors of endpoints become problems, by their types, subtypes included."""


def routes_of(path: str, **endpoints: Endpoint) -> list[Route]:
    """Return the route of a path, for endpoints by method; that of GET serves HEAD, too."""
    if "GET" in endpoints:
        endpoints["HEAD"] = endpoints["GET"]
    return [(path, endpoints)]


class Routing:
    """The ASGI application that calls the endpoint of a request's path and method.

    It looks up the segments of a path one by one, so the number of routes does not matter. A
    segment that some path spells out is never the value of a parameter, as OpenAPI demands. Values
    of parameters are not empty; they stay percent-encoded as they came.

    Args:
        routes: The routes. Two paths must differ in more than the names of parameters.
        error_handlers: How errors of endpoints, besides `ProblemError`, become problems.
        other: The application for everything but HTTP requests.
    """

    def __init__(
        self, routes: Iterable[Route], error_handlers: ErrorHandlers, other: ASGIApp
    ) -> None:
        self._other = other
        self._error_handlers = error_handlers
        self._handled = tuple(error_handlers)
        self._root = _Node()
        for path, endpoints in routes:
            node = self._root
            for segment in path.split("/"):
                node = node.child(segment)
            node.endpoints = endpoints
        self._recall = lru_cache(_REMEMBERED)(self._find)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await self._endpoint(scope)(request)
        except ProblemError as problem:
            response = problem_response(problem, scope["path"])
        except self._handled as error:
            kind = next(each for each in self._handled if isinstance(error, each))
            response = problem_response(self._error_handlers[kind](request, error), scope["path"])
        await response(scope, receive, send)

    def _endpoint(self, scope: Scope) -> Endpoint:
        """Return the endpoint of a request, whose scope gets the parameters of its path.

        Raises:
            ProblemError: 404, if no route has the path; 405, if it has other methods only.
        """
        path: str = scope["path"]
        find = self._recall if len(path) <= _REMEMBERED_CHARACTERS else self._find
        endpoints, scope["path_params"] = find(path)
        endpoint = endpoints.get(scope["method"])
        if endpoint is None:
            allowed = ", ".join(sorted(endpoints))
            raise ProblemError(405, f"method: must be one of {allowed}", headers={"Allow": allowed})
        return endpoint

    def _find(self, path: str) -> tuple[Mapping[str, Endpoint], dict[str, str]]:
        """Return the endpoints of a path, by method, and the values of its parameters."""
        node = self._root
        parameters: dict[str, str] = {}
        for segment in path.split("/"):
            child = node.children.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not segment:
                    raise not_found()
                parameters[child.name] = segment
            node = child
        if not node.endpoints:
            raise not_found()
        return node.endpoints, parameters


class _Node:
    """The paths that begin with the same segments.

    Attributes:
        name: The name of the parameter whose value the last segment is, or "".
        children: The nodes of the next segments that paths spell out.
        parameter: The node of any other next segment, or None.
        endpoints: The endpoints of the path that ends here, by method.
    """

    __slots__ = ("children", "endpoints", "name", "parameter")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.endpoints: Mapping[str, Endpoint] = {}

    def child(self, segment: str) -> _Node:
        """Return the node of a next segment of a route's path; it is made if necessary."""
        if not segment.startswith("{"):
            return self.children.setdefault(segment, _Node())
        if self.parameter is None:
            self.parameter = _Node(segment[1:-1])
        return self.parameter
