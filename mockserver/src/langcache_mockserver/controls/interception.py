"""Where the test controls step in: between a request of the data plane and its answer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import anyio

from langcache_mockserver.controls.damage import distort
from langcache_mockserver.http.call import call_in, call_of
from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.validation import decode_id
from langcache_mockserver.planes.auth import authenticate

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from langcache_mockserver.controls.controls import Controls

_BODIES_OF = "/v1/"  # other planes take and give secrets
_KEPT_BYTES = 64 << 10


def may_intercept(request: Request, controls: Controls) -> bool:
    """Return whether there is something to `intercept` a request for."""
    return call_of(request).is_intercepted or controls.recording.mode != "off"


async def intercept(request: Request, controls: Controls) -> Response | None:
    """Let a fault or a recording answer an operation of the data plane.

    Called when the operation is known and nothing has been checked yet, so that a fault strikes
    anybody. It notes cache and key of the request, as far as they aren't malformed.

    Returns:
        The answer, or None where the operation is to be carried out.

    Raises:
        ProblemError: The answer of a fault, or of a recording that has none or can't be made.
    """
    call = call_of(request)
    with contextlib.suppress(ProblemError):
        call.key = authenticate(request)
    with contextlib.suppress(ProblemError):
        call.cache_id = decode_id(request.path_params["cache_id"], "cacheId")
    struck = None
    if call.is_intercepted:  # else a fault has been added since, and can't distort the answer
        struck = controls.faults.strike(call.operation, call.cache_id, call.key)
    if struck is not None:
        call.fault = struck
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


class Interception:
    """ASGI middleware that distorts the answers that faults strike, and keeps bodies.

    Args:
        app: What to call.
        controls: Say whether there are faults, and whether bodies are kept.
    """

    def __init__(self, app: ASGIApp, controls: Controls) -> None:
        self._app = app
        self._controls = controls

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, and its answer as it is to be."""
        if scope["type"] == "http" and (self._controls.faults or self._controls.journal.bodies):
            return self._intercept(scope, receive, send)
        return self._app(scope, receive, send)

    async def _intercept(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = call_in(scope)
        call.is_intercepted = True
        if self._controls.journal.bodies and scope["path"].startswith(_BODIES_OF):
            call.bodies = bytearray(), bytearray()
            receive = _kept(receive, call.bodies[0])
            send = _kept_send(send, call.bodies[1])
        start: Message = {}
        body = bytearray()

        async def send_distorted(message: Message) -> None:
            nonlocal start
            fault = call.fault and call.fault.fault
            if fault is None or (fault.damage is None and fault.drip_bytes is None):
                await send(message)
            elif message["type"] == "http.response.start":
                start = message
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await distort(fault, start, bytes(body), scope, receive, send)

        await self._app(scope, receive, send_distorted)


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
