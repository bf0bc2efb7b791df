"""Where the test controls step in: between a request of the data plane and its response."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import anyio

from langcache_mockserver.controls.damage import send_damaged
from langcache_mockserver.controls.server_controls import Interception
from langcache_mockserver.http.exchange import exchange_in, exchange_of
from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.request import bearer_token, path_id

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from langcache_mockserver.controls.server_controls import Controls
    from langcache_mockserver.http.exchange import Exchange

_BODIES_OF = "/v1/"  # other planes take and give secrets
_KEPT_BYTES = 64 << 10


def may_intercept(exchange: Exchange, controls: Controls) -> bool:
    """Return whether there is something to `intercept` a request for."""
    return exchange in controls.interceptions or controls.recording.mode != "off"


async def intercept(request: Request, controls: Controls) -> Response | None:
    """Let a fault or a recording respond to an operation of the data plane.

    Called when the operation is known and nothing is checked yet, so that a fault strikes every
    caller. It notes cache and key in the exchange unless they are malformed.

    Returns:
        The response, or None if the operation must be carried out.

    Raises:
        ProblemError: The response of a fault, or of a recording that has none or cannot be made.
    """
    exchange = exchange_of(request)
    with contextlib.suppress(ProblemError):
        exchange.key = bearer_token(request)
    with contextlib.suppress(ProblemError):
        exchange.cache_id = path_id(request, "cacheId")
    struck = None
    interception = controls.interceptions.get(exchange)
    if interception:  # else a fault was added since, which can't damage the response any more
        struck = controls.faults.strike(exchange.operation, exchange.cache_id, exchange.key)
        interception.fault = struck
    if struck is not None:
        fault = struck.fault
        if fault.latency:
            await anyio.sleep(fault.latency)
        if fault.status is not None:
            if fault.damage == "reset":
                # A client that is still sending would see something else than a reset.
                async for _ in request.stream():
                    pass
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            raise ProblemError(fault.status, fault.detail, headers=headers)
    return await controls.recording.answer(request)


class InterceptionMiddleware:
    """ASGI middleware that damages the responses of exchanges that faults strike, and keeps bodies.

    Args:
        app: The application to call.
        controls: The test controls.
    """

    def __init__(self, app: ASGIApp, controls: Controls) -> None:
        self._app = app
        self._controls = controls

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, and change its response if a fault says so."""
        if scope["type"] == "http" and (self._controls.faults or self._controls.journal.bodies):
            return self._intercept(scope, receive, send)
        return self._app(scope, receive, send)

    async def _intercept(self, scope: Scope, receive: Receive, send: Send) -> None:
        interception = self._controls.interceptions[exchange_in(scope)] = Interception()
        if self._controls.journal.bodies and scope["path"].startswith(_BODIES_OF):
            interception.bodies = bytearray(), bytearray()
            receive = _kept(receive, interception.bodies[0])
            send = _kept_send(send, interception.bodies[1])
        start: Message = {}
        body = bytearray()

        async def send_changed(message: Message) -> None:
            nonlocal start
            fault = interception.fault and interception.fault.fault
            if fault is None or (fault.damage is None and fault.drip_bytes is None):
                await send(message)
            elif message["type"] == "http.response.start":
                start = message
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await send_damaged(fault, start, bytes(body), scope, receive, send)

        await self._app(scope, receive, send_changed)


def _kept(receive: Receive, body: bytearray) -> Receive:
    async def receive_kept() -> Message:
        message = await receive()
        _keep(body, message)
        return message

    return receive_kept


def _kept_send(send: Send, body: bytearray) -> Send:
    async def send_kept(message: Message) -> None:
        _keep(body, message)
        await send(message)

    return send_kept


def _keep(body: bytearray, message: Message) -> None:
    part = cast("bytes", message.get("body", b""))
    body += part[: _KEPT_BYTES - len(body)]
