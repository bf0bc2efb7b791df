"""A time limit for the arrival of request bodies."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from langcache_mockserver.http.asgi_extensions import BODY_IS_HERE, HANG_UP

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from langcache_mockserver.http.asgi_extensions import HangUp


class BodyTimeout:
    """ASGI middleware that closes the connection of a request whose body takes too long to arrive.

    One timer serves all requests: a timer for each would take a tenth of their time.

    Args:
        app: The application to call.
        seconds: How long a body may take to arrive, from the first attempt to read it.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        # How to close the connections of the awaited bodies, and when, the earliest first.
        self._awaited: dict[HangUp, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on."""
        extensions: dict[str, Any] = scope.get("extensions", {})
        hang_up: HangUp | None = extensions.get(HANG_UP)
        # Without a way to hang up, there is no connection.
        if hang_up is None or BODY_IS_HERE in extensions:
            return self._app(scope, receive, send)
        return self._limit(scope, receive, send, hang_up)

    async def _limit(self, scope: Scope, receive: Receive, send: Send, hang_up: HangUp) -> None:
        begun = False

        async def timed_receive() -> Message:
            nonlocal begun
            if not begun:
                begun = True
                self._await(hang_up)
            message = await receive()
            if not message.get("more_body", False):
                self._awaited.pop(hang_up, None)
            return message

        try:
            await self._app(scope, timed_receive, send)
        finally:
            self._awaited.pop(hang_up, None)

    def _await(self, hang_up: HangUp) -> None:
        self._awaited[hang_up] = time.monotonic() + self._seconds
        if self._timer is None:
            self._start_timer(self._seconds)

    def _start_timer(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._close_overdue)

    def _close_overdue(self) -> None:
        self._timer = None
        for hang_up, deadline in list(self._awaited.items()):
            left = deadline - time.monotonic()
            if left > 0:
                self._start_timer(left)
                break
            del self._awaited[hang_up]
            hang_up(reset=False)
