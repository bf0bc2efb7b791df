"""Failures of the storage and the embedder, as the contract's 424, and overload, as its 429."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from langcache.engine.embedders import EmbedderError
from langcache.engine.storage import StorageError, StorageFullError
from langcache_mockserver.domain.overload import OverloadedError
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

    from langcache_mockserver.http.routing import ErrorHandlers

_log = logging.getLogger("langcache_mockserver")


def _failed_dependency(request: Request, error: Exception) -> ProblemError:
    """Return the problem of a request that the storage or the embedder failed.

    The message of the error goes to the log only: it may name hosts and files.
    """
    _log.error("request %s: %s", exchange_of(request).request_id, error)
    if isinstance(error, StorageFullError):
        return ProblemError(424, "the storage has no room", kind="/errors/database-out-of-memory")
    if isinstance(error, StorageError):
        return ProblemError(424, "the storage cannot be used at the moment")
    return ProblemError(424, "the prompt cannot be embedded at the moment")


def _overloaded(_request: Request, error: Exception) -> ProblemError:
    """Return the problem of a request whose work would have had to wait too long."""
    seconds = cast("OverloadedError", error).retry_after
    return ProblemError(
        429, "the server is busy; try again later", headers={"Retry-After": str(seconds)}
    )


ERROR_HANDLERS: ErrorHandlers = {
    OverloadedError: _overloaded,
    StorageError: _failed_dependency,
    EmbedderError: _failed_dependency,
}
"""How these failures become problems."""
