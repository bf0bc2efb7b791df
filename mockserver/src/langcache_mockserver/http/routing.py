"""Routes by path and method, with an answer for the paths and methods that there are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from starlette.requests import Request

from langcache.engine.embedders import EmbedderError
from langcache.engine.storage import StorageError
from langcache_mockserver.http.problems import (
    ProblemError,
    failed_dependency,
    not_found,
    response,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"
"""Answers a request, or raises a `ProblemError`, `StorageError` or `EmbedderError`."""

Route: TypeAlias = "tuple[str, Mapping[str, Endpoint]]"
"""A path, such as `/v1/caches/{cache_id}/entries`, and what answers its methods."""


def routes_of(path: str, **endpoints: Endpoint) -> list[Route]:
    """Return the route of a path, for endpoints by method; GET answers HEAD, too."""
    if "GET" in endpoints:
        endpoints["HEAD"] = endpoints["GET"]
    return [(path, endpoints)]


class Routing:
    """The ASGI application that has a request answered by the endpoint of its path and method.

    The segments of a path are looked up one after the other, so it costs nothing to have many
    routes. A segment that some path spells out is never taken for the value of a parameter, as
    OpenAPI wants it. Values of parameters are not empty; they stay percent-encoded as they came.

    Args:
        routes: The routes. Two paths that differ in nothing but the names of parameters can't be
            told apart.
        other: What to call for anything but an HTTP request.
    """

    def __init__(self, routes: Iterable[Route], other: ASGIApp) -> None:
        self._other = other
        self._root = _Node()
        for path, endpoints in routes:
            node = self._root
            for segment in path.split("/"):
                node = node.child(segment)
            node.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            answer = await self._endpoint(scope)(request)
        except ProblemError as problem:
            answer = response(problem, scope["path"])
        except (StorageError, EmbedderError) as error:
            answer = failed_dependency(request, error)
        await answer(scope, receive, send)

    def _endpoint(self, scope: Scope) -> Endpoint:
        """Return what answers a request, whose scope gets the parameters of its path.

        Raises:
            ProblemError: 404, where no route has the path; 405, where it has other methods only.
        """
        node = self._root
        parameters: dict[str, str] = {}
        for segment in scope["path"].split("/"):
            child = node.children.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not segment:
                    raise not_found()
                parameters[child.name] = segment
            node = child
        if not node.endpoints:
            raise not_found()
        scope["path_params"] = parameters
        endpoint = node.endpoints.get(scope["method"])
        if endpoint is None:
            allowed = ", ".join(sorted(node.endpoints))
            raise ProblemError(405, f"the path has {allowed}", headers={"Allow": allowed})
        return endpoint


class _Node:
    """What the segments of a path up to here lead to.

    Attributes:
        name: The name of the parameter that the last segment is the value of, or "".
        children: Where the segments lead to that paths spell out.
        parameter: Where any other segment leads to, if it leads anywhere.
        endpoints: What answers the path that ends here, by method.
    """

    __slots__ = ("children", "endpoints", "name", "parameter")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.endpoints: Mapping[str, Endpoint] = {}

    def child(self, segment: str) -> _Node:
        """Return where a segment of a route's path leads to, which is made if need be."""
        if not segment.startswith("{"):
            return self.children.setdefault(segment, _Node())
        if self.parameter is None:
            self.parameter = _Node(segment[1:-1])
        return self.parameter
