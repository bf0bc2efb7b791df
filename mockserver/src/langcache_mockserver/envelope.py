"""What every request gets, whatever it asks for: an id, its raw path, and an answer."""

from __future__ import annotations

import logging
import re
import traceback
import uuid
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from langcache_mockserver.call import begin_call
from langcache_mockserver.problems import ProblemError, response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("langcache_mockserver")

_REQUEST_ID = re.compile(r"[a-zA-Z0-9._:/+=-]{1,128}")


class Envelope:
    """ASGI middleware around the routes.

    - Every answer carries `x-request-id`: the caller's, if it is up to 128 letters, digits or
      `._:/+=-`, else a new one.
    - Requests are routed by the path as it came, still percent-encoded, so that `%2F` in an id
      stays part of the id.
    - An exception that nothing foresaw is answered with the contract's 500 and logged with the
      request id, its type and where it happened. Its message is not logged, as it may quote a
      prompt.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see that it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = Headers(scope=scope).get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        path = _raw_path(scope)
        inner: Scope = {**scope, "path": path}
        begin_call(inner, request_id)
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(inner, receive, send_with_id)
        except ClientDisconnect:
            return  # there is nobody left to answer
        except Exception as error:  # noqa: BLE001 - the last resort of every request
            _log.error(
                "request %s failed: %s\n%s",
                request_id,
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )
            if not started:
                problem = ProblemError(500, f"the server failed; its log says more of {request_id}")
                await response(problem, path)(scope, receive, send_with_id)


def _raw_path(scope: Scope) -> str:
    raw_path: bytes | None = scope.get("raw_path")
    if raw_path is None:  # optional in ASGI
        return quote(scope["path"])
    # Some servers and clients leave the query in.
    return raw_path.partition(b"?")[0].decode("latin-1")
