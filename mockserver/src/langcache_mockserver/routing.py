"""Routes by path and method, with an answer for the methods a path does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import Route

from langcache_mockserver.problems import ProblemError, response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send


def routes_of(path: str, **endpoints: Callable[[Request], Awaitable[Response]]) -> list[Route]:
    """Return the route of a path, for endpoints by method; it refuses all other methods.

    Because it does, a path without parameters keeps the requests that it can't answer from the
    paths with parameters after it, as OpenAPI wants it.
    """
    return [Route(path, _Methods(endpoints))]


class _Methods:
    """The ASGI application behind a path.

    Args:
        endpoints: What answers each method; GET answers HEAD, too.
    """

    def __init__(self, endpoints: Mapping[str, Callable[[Request], Awaitable[Response]]]) -> None:
        self._endpoints = dict(endpoints)
        if "GET" in endpoints:
            self._endpoints["HEAD"] = endpoints["GET"]
        self._allowed = ", ".join(sorted(self._endpoints))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with a 405 that names the methods if the path doesn't have this one."""
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            headers = {"Allow": self._allowed}
            problem = ProblemError(405, f"the path has {self._allowed}", headers=headers)
            answer: Response = response(problem, scope["path"])
        else:
            answer = await endpoint(Request(scope, receive, send))
        await answer(scope, receive, send)
