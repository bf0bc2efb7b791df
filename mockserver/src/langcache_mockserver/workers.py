"""The worker processes, which share one listening socket and one storage."""

from __future__ import annotations

import gc
import logging
import sys
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from langcache_mockserver.app import CANNOT_START, create_app
from langcache_mockserver.domain.rate_limits import SharedRateLimits
from langcache_mockserver.http.uvicorn_server import START_FAILED, ServerProcesses
from langcache_mockserver.watch.access_log import start_access_log

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp

    from langcache_mockserver.domain.rate_limits import RateLimits
    from langcache_mockserver.settings import Settings

_GARBAGE_THRESHOLD = 10_000  # objects with references, made and not freed

_log = logging.getLogger("langcache_mockserver")


def run_workers(
    settings: Settings,
    listener: socket.socket,
    on_ready: Callable[[], object],
    limited_keys: Iterable[str] = (),
) -> bool:
    """Run `settings.workers` server processes until SIGTERM or Ctrl-C.

    Args:
        settings: The settings of each process. The storage is one that processes can share.
        listener: The socket that all of them accept connections from.
        on_ready: Called once, in this process, when all of them accept connections.
        limited_keys: The ids of the keys that have a rate limit, which holds for all of them.

    Returns:
        Whether all of them could start; the log has the reason if not.
    """
    with TemporaryDirectory(prefix="langcache-metrics-", ignore_cleanup_errors=True) as folder:
        processes = ServerProcesses(
            partial(_make_app, settings, SharedRateLimits(limited_keys), folder),
            listener,
            settings.workers,
            on_ready,
            shutdown_seconds=settings.shutdown_seconds,
            head_seconds=settings.body_timeout_seconds,
        )
        processes.run()
        return not processes.failed


def start_logging(settings: Settings) -> None:
    """Log to standard error, from the level of the settings."""
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr)
    # It logs the URLs of requests to upstreams, and their queries may contain a key.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if settings.access_log != "off":
        start_access_log()


def collect_garbage_rarely() -> None:
    """Let garbage collection look at less, and less often.

    What exists by now stays. Requests leave no cycles of references; but sixteen of them at once
    have more objects than Python's default threshold, so that each round of them would set off a
    collection.
    """
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)


def _make_app(settings: Settings, rate_limits: RateLimits, metrics_folder: str) -> ASGIApp:
    start_logging(settings)
    try:
        app = create_app(settings, rate_limits=rate_limits, metrics_folder=metrics_folder)
    except CANNOT_START as error:
        _log.critical("the server cannot start: %s", error)
        raise SystemExit(START_FAILED) from error
    collect_garbage_rarely()
    return app
