"""Responses whose bodies come in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
from starlette.responses import Response
from typing_extensions import override

from langcache_mockserver.http.asgi_extensions import HANG_UP
from langcache_mockserver.http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import Receive, Scope, Send

    from langcache_mockserver.http.asgi_extensions import HangUp


class StreamedResponse(Response):
    """A response that sends the parts of its body as they come.

    When the client leaves, no more parts are asked for. When they end with a `ProblemError`, the
    connection is closed, so that the client does not take the body for a complete one.

    Args:
        parts: The parts. The generator is closed at the end, if it has begun.
        status_code: The HTTP status.
        headers: The headers.
    """

    def __init__(
        self, parts: AsyncGenerator[bytes], status_code: int, headers: Mapping[str, str]
    ) -> None:
        self.status_code = status_code
        self.background = None
        self._parts = parts
        self.init_headers(headers)

    @override
    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ]

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_wait_for_the_end, receive, tasks.cancel_scope)
            try:
                await self._send(send)
            except ProblemError:
                hang_up = scope.get("extensions", {}).get(HANG_UP)
                if hang_up is not None:
                    cast("HangUp", hang_up)(reset=False)
                    return  # when the server notices it
            finally:
                with anyio.CancelScope(shield=True):
                    await self._parts.aclose()
            tasks.cancel_scope.cancel()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        async for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_for_the_end(receive: Receive, cancel_scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    cancel_scope.cancel()
