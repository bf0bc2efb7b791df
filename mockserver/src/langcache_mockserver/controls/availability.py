"""Who may use the test controls."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from langcache_mockserver.controls.server_controls import PREFIX
from langcache_mockserver.http.asgi_extensions import IN_PROCESS
from langcache_mockserver.http.problems import not_found, problem_response
from langcache_mockserver.http.request import is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def is_local(scope: Scope) -> bool:
    """Return whether a request comes from this machine, and not through a proxy or another site.

    Others can reach a server on a loopback address through a reverse proxy. A web page can make a
    browser on this machine send requests to it: across origins, or under the page's own host name,
    resolved to this machine ("DNS rebinding").
    """
    if IN_PROCESS in scope.get("extensions", {}):
        return True
    headers = Headers(scope=scope)
    if any(name in headers for name in _FORWARDED):
        return False
    client = scope.get("client")
    if client is not None and not is_loopback(client[0]):
        return False
    host = headers.get("host", "")
    if not _is_own_host(host):
        return False
    origin = headers.get("origin")
    # No origin has a user, so the host of an origin is all that follows the scheme.
    return origin is None or origin.partition("://")[2] == host


class LocalOnly:
    """ASGI middleware that hides the test controls from requests that are not local."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or respond as if the path did not exist."""
        app = self._app
        if scope["type"] == "http" and scope["path"].startswith(PREFIX) and not is_local(scope):
            app = problem_response(not_found(), scope["path"])
        return app(scope, receive, send)


def _is_own_host(host: str) -> bool:
    """Return whether a Host header has an IP address or is localhost."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
