"""The Host header: given once, and a name of this machine where only this machine should call."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING

from langcache_mockserver.http.asgi_extensions import IN_PROCESS
from langcache_mockserver.http.problems import ProblemError, problem_response
from langcache_mockserver.http.request import header_values, is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

ANY_HOST = "*"
"""The name that allows all names."""

_HOST = re.compile(rb"([!$%&'()*+;=._~0-9a-zA-Z-]*|\[[0-9a-fA-F:.]+\])(?::[0-9]*)?")
_KNOWN = 256  # Host headers that are remembered
_KNOWN_BYTES = 256  # the longest of them


class HostCheck:
    """ASGI middleware that refuses requests whose Host header is none of the server's names.

    A web page can make a browser on this machine call a server on a loopback address, under the
    page's own host name, resolved to that address ("DNS rebinding"). Only the Host header shows it.
    So on a loopback address, it must be `localhost`, an IP address, or a name that is allowed. On
    any address, there must be one Host header, as HTTP demands.

    Args:
        app: The application to call.
        is_local: Whether the server listens on a loopback address.
        allowed: Further names, or `ANY_HOST`. If there are any, they are demanded on every address.
    """

    def __init__(self, app: ASGIApp, *, is_local: bool, allowed: Collection[str] = ()) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in allowed)
        self._is_checked = (is_local or bool(allowed)) and ANY_HOST not in self._names
        self._is_local_only = not allowed
        self._is_fine = functools.lru_cache(_KNOWN)(self._check_host)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or refuse it."""
        app = self._app
        if scope["type"] == "http":
            problem = self._problem(scope)
            if problem is not None:
                app = problem_response(problem, scope["path"])
        return app(scope, receive, send)

    def _problem(self, scope: Scope) -> ProblemError | None:
        hosts = header_values(scope, b"host")
        if len(hosts) != 1:
            if not hosts and scope.get("http_version") == "1.0":
                return None
            return ProblemError(400, f"Host: must be given once, got {len(hosts)}")
        host = hosts[0]
        is_fine = self._is_fine if len(host) <= _KNOWN_BYTES else self._check_host
        if is_fine(host):
            return None
        if _HOST.fullmatch(host) is None:
            return ProblemError(400, "Host: must be a host name or an IP address")
        if not self._concerns(scope):
            return None
        return ProblemError(
            421,
            "Host: must be localhost or an IP address, got another name; "
            "the option --allowed-hosts allows more names",
        )

    def _concerns(self, scope: Scope) -> bool:
        """Return whether a request came over an address for which names are checked."""
        if IN_PROCESS in scope.get("extensions", {}):
            return False
        server = scope.get("server")  # another ASGI server may listen elsewhere than we were told
        return not self._is_local_only or (server is not None and is_loopback(server[0]))

    def _check_host(self, host: bytes) -> bool:
        """Return whether a Host header is well-formed and fine on every address."""
        match = _HOST.fullmatch(host)
        if match is None or not self._is_checked:
            return match is not None
        text = match[1].decode().lower().removesuffix(".")
        if text in self._names or text == "localhost" or text.endswith(".localhost"):
            return True
        try:
            return bool(ipaddress.ip_address(text.strip("[]")))
        except ValueError:
            return False
