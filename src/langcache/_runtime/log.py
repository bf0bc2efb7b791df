"""What a client logs of its calls, and what it keeps to itself."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from langcache.utils.logger import Logger

_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "cookie", "set-cookie"}
)

_logger = logging.getLogger("langcache")


class CallLog:
    """The log of one client.

    Every attempt is a line at level DEBUG: method, path, status or error, attempt, milliseconds.
    Headers (secrets masked) and bodies follow only when the user asked for bodies.

    Args:
        logger: Where to log; by default the logger ``langcache``.
        bodies: Whether to log headers and bodies; by default what LANGCACHE_DEBUG says.

    LANGCACHE_DEBUG makes the logger ``langcache`` write to standard error at level DEBUG unless
    the application has configured logging itself. ``0``, ``false``, ``no``, ``off`` and the empty
    string are off; ``bodies`` is on with bodies; anything else is on.
    """

    __slots__ = ("_bodies", "_logger")

    def __init__(self, logger: Logger | None, bodies: bool | None) -> None:
        asked = os.environ.get("LANGCACHE_DEBUG", "").strip().lower()
        if logger is None and asked not in ("", "0", "false", "no", "off"):
            _logger.setLevel(logging.DEBUG)
            if not _logger.hasHandlers():
                _logger.addHandler(logging.StreamHandler())
        self._logger = _logger if logger is None else logger
        self._bodies = asked == "bodies" if bodies is None else bodies

    @property
    def enabled(self) -> bool:
        """Whether anything is written."""
        logger = self._logger
        return not isinstance(logger, logging.Logger) or logger.isEnabledFor(logging.DEBUG)

    def attempt(
        self,
        request: httpx.Request,
        outcome: httpx.Response | httpx.RequestError,
        attempt: int,
        seconds: float,
    ) -> None:
        """Log one attempt."""
        response = None if isinstance(outcome, Exception) else outcome
        self._logger.debug(
            "%s %s -> %s, attempt %d, %.1f ms",
            request.method,
            request.url.raw_path.decode("ascii"),
            type(outcome).__name__ if response is None else response.status_code,
            attempt,
            seconds * 1000,
        )
        if not self._bodies:
            return
        self._logger.debug("request headers %s, body %s", _masked(request.headers), request.content)
        if response is not None:
            self._logger.debug(
                "response headers %s, body %s", _masked(response.headers), response.content
            )


def _masked(headers: httpx.Headers) -> dict[str, str]:
    return {
        name: "***" if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()
    }
