"""How a fault changes a response on its way to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
from starlette.datastructures import MutableHeaders

from langcache_mockserver.http.asgi_extensions import HANG_UP

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from langcache_mockserver.controls.faults import Fault
    from langcache_mockserver.http.asgi_extensions import HangUp

_WITHOUT_BODY = (204, 304)


async def send_damaged(
    fault: Fault, start: Message, body: bytes, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send a response as a fault demands.

    A response without a body becomes a 200 if the fault breaks bodies.

    Args:
        fault: The fault.
        start: The ASGI message that begins the response.
        body: The body.
        scope: The ASGI scope of the request.
        receive: The ASGI callable of the request.
        send: The ASGI callable of the request.
    """
    if fault.damage == "reset":
        await _hang_up(scope, receive, reset=True)
        return
    if fault.damage is not None and (not body or start["status"] in _WITHOUT_BODY):
        start["status"], body = 200, b"{}"
    if fault.damage == "malformed":
        body = body[: (len(body) + 1) // 2]
    if start["status"] not in _WITHOUT_BODY:
        # The length of the whole body, even if it is cut off afterwards.
        MutableHeaders(scope=start)["content-length"] = str(len(body))
    await send(start)
    if fault.damage == "truncated":
        part = {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
        await send(part)
        await _hang_up(scope, receive, reset=False)
        return
    if fault.drip_bytes:
        # Otherwise the head would wait for the first piece.
        await send({"type": "http.response.body", "body": b"", "more_body": True})
    step = fault.drip_bytes or len(body) or 1
    for at in range(0, len(body), step):
        if fault.drip_bytes:
            await anyio.sleep(fault.drip_interval)
        piece = body[at : at + step]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _hang_up(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """End the connection if the server can; else leave the response incomplete."""
    hang_up = scope.get("extensions", {}).get(HANG_UP)
    if hang_up is None:
        return
    cast("HangUp", hang_up)(reset=reset)
    # The server notices it in a later turn of the event loop.
    while (await receive())["type"] != "http.disconnect":
        pass
