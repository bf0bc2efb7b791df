"""Bodies that stop arriving: their connections are closed, so that they don't pile up."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from langcache_mockserver.controls.damage import HANG_UP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_IS_HERE = "langcache_mockserver.body_is_here"
"""The ASGI extension of whoever serves the application that says so: most bodies come at once."""


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
        # What to do about a body that is not there by a moment, in the order of these moments.
        self._awaited: dict[Callable[..., object], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on."""
        extensions: dict[str, Any] = scope.get("extensions", {})
        hang_up = extensions.get(HANG_UP)
        # Without a way to hang up, there is no connection.
        if hang_up is None or BODY_IS_HERE in extensions:
            return self._app(scope, receive, send)
        return self._watch(scope, receive, send, hang_up)

    async def _watch(
        self, scope: Scope, receive: Receive, send: Send, hang_up: Callable[..., object]
    ) -> None:
        begun = False

        async def timed_receive() -> Message:
            nonlocal begun
            if not begun:
                begun = True
                self._wait_for(hang_up)
            message = await receive()
            if not message.get("more_body", False):
                self._awaited.pop(hang_up, None)
            return message

        try:
            await self._app(scope, timed_receive, send)
        finally:
            self._awaited.pop(hang_up, None)

    def _wait_for(self, hang_up: Callable[..., object]) -> None:
        self._awaited[hang_up] = time.monotonic() + self._seconds
        if self._timer is None:
            self._start_timer(self._seconds)

    def _start_timer(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._close_the_late)

    def _close_the_late(self) -> None:
        self._timer = None
        for hang_up, deadline in list(self._awaited.items()):
            left = deadline - time.monotonic()
            if left > 0:
                self._start_timer(left)
                break
            del self._awaited[hang_up]
            hang_up(reset=False)
