"""A limit of the requests under way at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.http.problems import ProblemError, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_RETRY_AFTER_SECONDS = 1
_ALWAYS_ADMITTED = ("/health", "/metrics")  # monitoring must work under load


class Admission:
    """ASGI middleware that refuses a request with 429 if too many are under way.

    So those under way finish in good time, and neither they nor their bodies fill the memory.

    Args:
        app: The application to call.
        most: How many requests may be under way at once.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"].startswith(_ALWAYS_ADMITTED):
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            problem = ProblemError(
                429,
                f"the server handles {self._most} requests at once; try again",
                headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
            )
            await problem_response(problem, scope["path"])(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
