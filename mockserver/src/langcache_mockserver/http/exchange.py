"""One exchange: an HTTP request and its response, from the first header to the last byte."""

from __future__ import annotations

import logging
import random
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from starlette.requests import ClientDisconnect

from langcache_mockserver.http.problems import ProblemError, problem_response
from langcache_mockserver.http.request import header_values, raw_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("langcache_mockserver")

_SCOPE_KEY = "langcache_mockserver.exchange"
_REQUEST_ID = re.compile(r"[a-zA-Z0-9._:/+=-]{1,128}")

_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
_SECURITY_NAMES = frozenset(name for name, _ in _SECURITY_HEADERS)


class Saved(NamedTuple):
    """What a hit of the caching proxy saved, as the provider counted it.

    Attributes:
        model: The model that was not called.
        input_tokens: The tokens of the request.
        output_tokens: The tokens of the answer.
    """

    model: str
    input_tokens: int
    output_tokens: int


@dataclass(slots=True, eq=False)  # frozen, it would take three times as long to make
class Exchange:
    """One request and its response, as far as they are known.

    Attributes:
        request_id: The id that the response carries.
        method: The HTTP method, as it came.
        path: The path, percent-encoded as it came, without the query.
        asked_id: The `x-request-id` of the request, as it came, or "".
        client: The address of the client, or "".
        operation: The contract's `operationId`, or "" if no operation has this path and method.
        cache_id: The cache, or "" if the operation has none or its id is malformed.
        key: The API key, or "" if there is none or it is malformed. A secret: never show it.
        outcome: The outcome of a search: `hit`, `rejected`, `near_miss` or `miss`; "" for
            other operations.
        status: The HTTP status of the response; 0 if the client left before there was one.
        seconds: The time from the headers of the request to the end of the response.
        bytes_in: How many bytes of the request's body were read.
        bytes_out: How many bytes the response's body has.
        saved: What a hit of the caching proxy saved; None for anything else.
    """

    request_id: str
    method: str
    path: str
    asked_id: str = ""
    client: str = ""
    operation: str = ""
    cache_id: str = ""
    key: str = ""
    outcome: str = ""
    status: int = 0
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    saved: Saved | None = None


Observer: TypeAlias = Callable[[Exchange], object]
"""Called in the event loop once for each exchange, when it is over. Quick; raises nothing."""


def exchange_of(request: Request) -> Exchange:
    """Return the exchange that a request begins."""
    exchange: Exchange = request.scope[_SCOPE_KEY]
    return exchange


def exchange_in(scope: Scope) -> Exchange:
    """Return the exchange of an ASGI scope."""
    exchange: Exchange = scope[_SCOPE_KEY]
    return exchange


class ExchangeMiddleware:
    """The outermost ASGI middleware: it begins each exchange and ends it.

    - Every response carries `x-request-id`: that of the request, if it has up to 128 letters,
      digits or `._:/+=-`, else a new one.
    - Every response carries headers that keep browsers from treating it as anything but data. An
      endpoint that needs other values sets them itself.
    - Requests are routed by the path as it came, still percent-encoded, so that `%2F` in an id
      stays part of the id. The prefix of an application that is mounted in another is removed.
    - An unexpected exception becomes the contract's 500. The log gets the request id, the type of
      the exception and where it was raised, but not its message, which may quote a prompt.

    Args:
        app: The application to call.
        observers: Called once for each exchange, when it is over.
    """

    def __init__(self, app: ASGIApp, observers: Sequence[Observer] = ()) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and make sure that it gets a response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        exchange = scope[_SCOPE_KEY] = _begin(scope)
        scope["path"] = exchange.path

        async def counted_receive() -> Message:
            message = await receive()
            exchange.bytes_in += len(message.get("body", b""))
            return message

        def complete_send(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = _completed(message.get("headers", ()), exchange.request_id)
            else:
                exchange.bytes_out += len(message.get("body", b""))
            return send(message)

        try:
            await self._app(scope, counted_receive, complete_send)
        except ClientDisconnect:
            pass  # nobody waits for a response
        except Exception as error:  # noqa: BLE001 - the last resort of every request
            _log.error(
                "request %s failed: %s\n%s",
                exchange.request_id,
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )
            if not exchange.status:
                detail = f"the server failed; its log has details on {exchange.request_id}"
                response = problem_response(ProblemError(500, detail), exchange.path)
                await response(scope, receive, complete_send)
        finally:
            exchange.seconds = time.perf_counter() - started_at
            for observer in self._observers:
                observer(exchange)


def _begin(scope: Scope) -> Exchange:
    given = header_values(scope, b"x-request-id")
    asked_id = given[0].decode("latin-1") if given else ""
    is_fit = asked_id and _REQUEST_ID.fullmatch(asked_id)
    client = scope.get("client")
    return Exchange(
        asked_id if is_fit else f"{random.getrandbits(128):032x}",
        scope["method"],
        raw_path(scope),
        asked_id,
        client[0] if client else "",
    )


def _completed(
    headers: Iterable[tuple[bytes, bytes]], request_id: str
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response with those that every response has."""
    added = _SECURITY_HEADERS
    present = dict(headers)
    if not _SECURITY_NAMES.isdisjoint(present):
        added = [each for each in added if each[0] not in present]
    return [*headers, *added, (b"x-request-id", request_id.encode())]
