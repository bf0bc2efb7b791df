"""The ASGI application: the parts of a server, put together."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response

from langcache.engine.embedders import EmbedderError, MiniLMEmbedder
from langcache.engine.storage import StorageError
from langcache_mockserver import data_plane, health
from langcache_mockserver.caches import Caches
from langcache_mockserver.envelope import Envelope
from langcache_mockserver.problems import (
    ProblemError,
    handle_failed_dependency,
    handle_not_found,
    handle_problem,
)
from langcache_mockserver.routing import routes_of
from langcache_mockserver.service import WORKERS, Service
from langcache_mockserver.settings import Settings
from langcache_mockserver.storages import open_storage
from langcache_mockserver.validation import CONTRACT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.requests import Request

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend


def create_app(
    settings: Settings | None = None,
    *,
    embedder: Embedder | None = None,
    storage: StorageBackend | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Make the server as an ASGI application.

    Args:
        settings: How it runs; by default the defaults of `Settings`. Host, port, workers and log
            level are for whoever serves the application.
        embedder: Turns prompts into vectors; by default MiniLM, which this call loads.
        storage: Keeps the entries; by default what the settings say. One that is passed in must
            live by the same clock, and stays open when the application shuts down.
        clock: Gives the time in seconds since the epoch, for the TTL of entries.

    Returns:
        The application, ready for requests. It may be served without running its lifespan.

    Raises:
        StorageError: The storage that the settings name can't be opened.
    """
    settings = settings or Settings()
    used_storage = open_storage(settings.storage, clock) if storage is None else storage

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        yield
        if storage is None:
            await used_storage.aclose()

    app = Starlette(
        routes=[*data_plane.ROUTES, *health.ROUTES, *routes_of("/openapi.json", GET=_contract)],
        middleware=[Middleware(Envelope)],
        exception_handlers={
            ProblemError: handle_problem,
            StorageError: handle_failed_dependency,
            EmbedderError: handle_failed_dependency,
            404: handle_not_found,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service = Service(
        settings,
        Caches(
            embedder=MiniLMEmbedder() if embedder is None else embedder,
            storage=used_storage,
            default_threshold=settings.default_threshold,
            clock=clock,
        ),
        CapacityLimiter(WORKERS),
    )
    return app


async def _contract(_request: Request) -> Response:
    return Response(CONTRACT, media_type="application/json")
