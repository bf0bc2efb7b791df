"""Bodies that stop arriving: their connections are closed, so that they don't pile up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langcache_mockserver.controls.effects import HANG_UP

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class StalledBodies:
    """ASGI middleware that closes the connection of a request whose body takes too long.

    One timer serves all requests: to set one for each would take a tenth of their time.

    Args:
        app: What to call.
        seconds: How long a body may take to arrive, from when it is first waited for.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        # Until when each body must be there, in the order of these moments, and what to do if not.
        self._awaited: dict[object, tuple[float, Callable[..., object]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        hang_up = scope.get("extensions", {}).get(HANG_UP)
        if hang_up is None:  # there is no connection
            await self._app(scope, receive, send)
            return
        token = object()
        begun = False

        async def timed_receive() -> Message:
            nonlocal begun
            if not begun:
                begun = True
                self._wait_for(token, hang_up)
            message = await receive()
            if not message.get("more_body", False):
                self._awaited.pop(token, None)
            return message

        try:
            await self._app(scope, timed_receive, send)
        finally:
            self._awaited.pop(token, None)

    def _wait_for(self, token: object, hang_up: Callable[..., object]) -> None:
        loop = asyncio.get_running_loop()
        self._awaited[token] = (loop.time() + self._seconds, hang_up)
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._close_the_late, loop)

    def _close_the_late(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for token, (deadline, hang_up) in list(self._awaited.items()):
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._close_the_late, loop)
                break
            del self._awaited[token]
            hang_up(reset=False)
