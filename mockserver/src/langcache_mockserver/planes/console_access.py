"""Who may call the console: those who have the admin token, or a key with the needed grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from langcache_mockserver.domain.registry import Access


def console_operation(
    operation: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    needed: Access | None = None,
    *,
    enters: bool = False,
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that notes its operation and demands the admin token if there is one.

    There is one if somebody chose it, or was told it at the start of a strict server.

    Args:
        operation: The name of the operation.
        endpoint: The endpoint.
        needed: What a key that is not the admin token must be allowed to do with the cache that the
            path names; None if no other key will do.
        enters: Whether the endpoint itself lets callers in, with `Gate.enter_console`.
    """

    async def guarded(request: Request) -> Response:
        exchange_of(request).operation = operation
        gate = service_of(request).gate
        if needed is not None:
            await gate.open_console(request, needed)
        elif not enters:
            gate.check_console_admin(request)
        return await endpoint(request)

    return guarded
