"""What is known of the request under way: who asks for what, for those who observe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from langcache_mockserver.controls.faults import ActiveFault

_SCOPE_KEY = "langcache_mockserver.http.call"


@dataclass(slots=True)
class Call:
    """One request, as far as it has been understood.

    Attributes:
        request_id: The id that its answer carries.
        operation: The contract's `operationId`, or "" where no operation has the path and method.
        cache_id: The cache, or "" where the operation has none or its id is malformed.
        key: The API key it carries, or "" where there is none or it is malformed. A secret: it
            must not be shown.
        outcome: What a search came to: `hit`, `near_miss` or `miss`; "" for other operations.
        is_intercepted: Whether faults of the test controls may strike it.
        fault: The fault of the test controls that it was struck by, or None.
        bodies: The beginnings of its body and of its answer's, or None where they aren't kept.
    """

    request_id: str
    operation: str = ""
    cache_id: str = ""
    key: str = ""
    outcome: str = ""
    is_intercepted: bool = False
    fault: ActiveFault | None = None
    bodies: tuple[bytearray, bytearray] | None = None


def begin_call(scope: Scope, request_id: str) -> Call:
    """Begin to note what is known of a request; `call_of` finds it again."""
    call = scope[_SCOPE_KEY] = Call(request_id)
    return call


def call_of(request: Request) -> Call:
    """Return what is known of a request."""
    return call_in(request.scope)


def call_in(scope: Scope) -> Call:
    """Return what is known of the request of an ASGI scope."""
    return cast("Call", scope[_SCOPE_KEY])
