"""What every request gets, whatever it asks for: an id, its raw path, safe headers, an answer."""

from __future__ import annotations

import logging
import random
import re
import time
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import ClientDisconnect

from langcache_mockserver.http.call import begin_call
from langcache_mockserver.http.observing import Exchange
from langcache_mockserver.http.problems import ProblemError, response
from langcache_mockserver.http.validation import header_values

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from langcache_mockserver.http.observing import Observer

_log = logging.getLogger("langcache_mockserver")

_REQUEST_ID = re.compile(r"[a-zA-Z0-9._:/+=-]{1,128}")

_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


class Envelope:
    """ASGI middleware around the routes.

    - Every answer carries `x-request-id`: the caller's, if it is up to 128 letters, digits or
      `._:/+=-`, else a new one.
    - Every answer carries headers that keep a browser from making more of it than data. An endpoint
      that wants others sets them itself.
    - Requests are routed by the path as it came, still percent-encoded, so that `%2F` in an id
      stays part of the id, and without what leads to an application that is mounted in another.
    - An exception that nothing foresaw is answered with the contract's 500 and logged with the
      request id, its type and where it happened. Its message is not logged, as it may quote a
      prompt.
    - When it is over, the observers are told.

    Args:
        app: What to call.
        observers: Called once for each request, when it is over.
    """

    def __init__(self, app: ASGIApp, observers: Sequence[Observer] = ()) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see that it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        asked_id = _asked_id(scope)
        if asked_id and _REQUEST_ID.fullmatch(asked_id):
            request_id = asked_id
        else:
            request_id = random.randbytes(16).hex()  # noqa: S311 - to be unique is enough
        path = _raw_path(scope)
        scope["path"] = path
        client = scope.get("client")
        exchange = Exchange(
            begin_call(scope, request_id),
            scope["method"],
            path,
            asked_id,
            client[0] if client else "",
        )

        async def counted_receive() -> Message:
            message = await receive()
            exchange.bytes_in += len(message.get("body", b""))
            return message

        def complete_send(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = _completed(message.get("headers", ()), request_id)
            else:
                exchange.bytes_out += len(message.get("body", b""))
            return send(message)

        try:
            await self._app(scope, counted_receive, complete_send)
        except ClientDisconnect:
            pass  # there is nobody left to answer
        except Exception as error:  # noqa: BLE001 - the last resort of every request
            _log.error(
                "request %s failed: %s\n%s",
                request_id,
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )
            if not exchange.status:
                problem = ProblemError(500, f"the server failed; its log says more of {request_id}")
                await response(problem, path)(scope, receive, complete_send)
        finally:
            exchange.seconds = time.perf_counter() - started_at
            for observer in self._observers:
                observer(exchange)


def _completed(
    headers: Iterable[tuple[bytes, bytes]], request_id: str
) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with those that every answer has."""
    present = dict(headers)
    return [
        *headers,
        *[each for each in _SECURITY_HEADERS if each[0] not in present],
        (b"x-request-id", request_id.encode()),
    ]


def _asked_id(scope: Scope) -> str:
    """Return the request id that a request came with, or "" where it has none."""
    given = header_values(scope, b"x-request-id")
    return given[0].decode("latin-1") if given else ""


def _raw_path(scope: Scope) -> str:
    """Return the path as it came, without the part that leads to this application."""
    raw_path: bytes | None = scope.get("raw_path")
    if raw_path is None:  # optional in ASGI
        path = quote(scope["path"])
    else:
        # Some servers and clients leave the query in.
        path = raw_path.partition(b"?")[0].decode("latin-1")
    return path.removeprefix(scope.get("root_path", ""))
