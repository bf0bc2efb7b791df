"""Keeping the load within bounds: so many requests under way at once, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.http.problems import ProblemError, response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_RETRY_AFTER_SECONDS = 1
_ALWAYS_ADMITTED = ("/health", "/metrics")  # who looks after the server must see it under load


class Admission:
    """ASGI middleware that refuses the requests that would be too many, with a 429.

    So the ones under way are finished in good time, and neither they nor the bodies they wait for
    fill the memory.

    Args:
        app: What to call.
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
                f"the server has {self._most} requests under way, as many as it takes",
                headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
            )
            await response(problem, scope["path"])(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
