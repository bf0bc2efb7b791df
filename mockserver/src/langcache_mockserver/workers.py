"""Serving with several processes, which share one listening socket and one storage."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from langcache_mockserver.app import CANNOT_START, create_app
from langcache_mockserver.http.uvicorn_server import uvicorn_config, without_cancellation
from langcache_mockserver.watch.access_log import start_access_log

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from langcache_mockserver.settings import Settings

_log = logging.getLogger("langcache_mockserver")

_START_SECONDS = 60.0


class Workers(Multiprocess):
    """Runs `settings.workers` server processes until SIGTERM or Ctrl-C.

    A process that dies or hangs is replaced.

    Args:
        settings: How each of them runs. The storage is one that processes can share.
        listener: The socket that all of them accept connections from.
        on_ready: Called once, in this process, when all of them do.
    """

    def __init__(
        self, settings: Settings, listener: socket.socket, on_ready: Callable[[], object]
    ) -> None:
        app = partial(_worker_app, settings)
        config = uvicorn_config(
            app, settings.shutdown_seconds, factory=True, workers=settings.workers
        )
        super().__init__(config, [listener])
        self._on_ready = on_ready
        self.failed = False

    @override
    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(_START_SECONDS) for process in self.processes):
            self._on_ready()
        else:
            # The process that could not start has said why in the log.
            self.failed = True
            self.should_exit.set()


def start_logging(settings: Settings) -> None:
    """Log to standard error, from the level that the settings say."""
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr)
    if settings.access_log != "off":
        start_access_log()


def _worker_app(settings: Settings) -> ASGIApp:
    start_logging(settings)
    try:
        return without_cancellation(create_app(settings))
    except CANNOT_START as error:
        _log.critical("the server can't start: %s", error)
        raise SystemExit(STARTUP_FAILURE) from error
