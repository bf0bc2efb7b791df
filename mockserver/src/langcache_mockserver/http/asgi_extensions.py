"""What the server below the application tells it about a request, beyond ASGI.

`uvicorn_server` and the in-process transports provide these. Under another ASGI server they are
missing, and the application works without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.types import Scope

IN_PROCESS = "langcache_mockserver.in_process"
"""ASGI extension: the request comes from this process, without a network."""

BODY_IS_HERE = "langcache_mockserver.body_is_here"
"""ASGI extension: the whole body has arrived already, as most bodies have."""

HANG_UP = "langcache_mockserver.hang_up"
"""ASGI extension: a `HangUp`, which ends the connection of the request."""

UNDER_WAY = "langcache_mockserver.under_way"
"""ASGI state: a collection with one item for each request that has no complete response yet."""


class HangUp(Protocol):
    """Ends the connection of a request."""

    def __call__(self, *, reset: bool) -> None:
        """End it: by a TCP reset, or after what has been sent."""
        ...


def is_alone(scope: Scope) -> bool:
    """Return whether it is certain that no other request is under way."""
    under_way = scope.get("state", {}).get(UNDER_WAY)
    return under_way is not None and len(under_way) == 1
