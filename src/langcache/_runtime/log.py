"""The log of a client, without secrets."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from langcache.utils.logger import Logger

SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "cookie", "set-cookie"}
)
"""The headers whose values are secrets, by their names in lower case."""

_logger = logging.getLogger("langcache")


class CallLog:
    """The log of one client.

    Each attempt is logged as one line at level DEBUG: method, path, status or error, attempt and
    milliseconds. Headers (with secrets masked) and bodies are logged only on request.

    The environment variable `LANGCACHE_DEBUG` makes the logger `langcache` write to standard error
    at level DEBUG, unless the application has configured logging. `0`, `false`, `no`, `off` and the
    empty string mean off, `bodies` means on with bodies, and any other value means on.

    Args:
        logger: The logger. Default: the logger `langcache`.
        bodies: Whether to log headers and bodies. Default: whether `LANGCACHE_DEBUG` is `bodies`.
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
        """Whether anything is logged."""
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
        name: "***" if name.lower() in SECRET_HEADERS else value for name, value in headers.items()
    }
