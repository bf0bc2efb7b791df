"""The ASGI application: the parts of a server, put together."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from starlette.responses import Response

from langcache.engine.embedders.vector_memory import VectorMemory
from langcache.engine.storage import StorageError
from langcache.engine.storage.create import create_storage, is_redis_url
from langcache_mockserver.configuration import configuration_of
from langcache_mockserver.controls.availability import are_available
from langcache_mockserver.controls.clock import Clock
from langcache_mockserver.controls.controls import Controls
from langcache_mockserver.domain.batching import GatheredSearches
from langcache_mockserver.domain.caches import Caches
from langcache_mockserver.domain.minilm import shared_minilm
from langcache_mockserver.domain.rate_limits import RateLimits
from langcache_mockserver.domain.registry import Registry, digest_of
from langcache_mockserver.http.application import Application
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.validation import CONTRACT, request_schemas
from langcache_mockserver.middleware import middleware_of
from langcache_mockserver.planes import control, data, health, identity, mock
from langcache_mockserver.planes.auth import Gate
from langcache_mockserver.planes.control import CONTROL_CONTRACT
from langcache_mockserver.planes.service import Service, WorkerThreads
from langcache_mockserver.settings import Settings
from langcache_mockserver.watch import metrics
from langcache_mockserver.watch.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.requests import Request

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.configuration import Configuration


CANNOT_START = (ImportError, OSError, StorageError, ValueError)
"""What `create_app` raises for what the settings say, rather than for a fault of its own."""


def create_app(
    settings: Settings | None = None,
    *,
    embedder: Embedder | None = None,
    storage: StorageBackend | None = None,
    clock: Callable[[], float] | None = None,
    configuration: Configuration | None = None,
) -> Application:
    """Make the server as an ASGI application.

    Args:
        settings: How it runs; by default the defaults of `Settings`. Host, port, workers and log
            level are for whoever serves the application.
        embedder: Turns prompts into vectors; by default the MiniLM that the servers of a process
            share, which the first such call loads.
        storage: Keeps the entries; by default what the settings say. One that is passed in must
            live by the same clock, and stays open when the application shuts down.
        clock: Gives the time in seconds since the epoch, for the TTL of entries; by default a
            `Clock`, which the test controls can set, or the system's where a storage is passed in
            or shared with other processes.
        configuration: Who may do what; by default what the settings say.

    Returns:
        The application, ready for requests. It may be served without running its lifespan.

    Raises:
        ConfigurationError: The configuration file that the settings name is not as it must be.
        OSError: A recording that the settings name can't be read or written.
        SettingsError: The settings ask for a recording, but leave out the test controls.
        StorageError: The storage that the settings name can't be opened.
        ValueError: The recording to replay isn't one.
    """
    settings = settings or Settings()
    if clock is None:
        # What is shared with other processes lives by their time, too.
        own = storage is None and not is_redis_url(settings.storage)
        clock = Clock() if own else time.time
    configuration = configuration or configuration_of(settings)
    used_storage = create_storage(settings.storage, clock=clock) if storage is None else storage

    meters = Metrics(used_storage) if settings.metrics == "on" else None
    used_embedder = shared_minilm() if embedder is None else embedder
    remembering = VectorMemory(
        used_embedder,
        settings.embedding_cache,
        None if meters is None else meters.observe_embedding,
    )

    registry = Registry(used_storage, configuration.caches, configuration.keys)
    controls = None
    if are_available(settings):
        controls = Controls(remembering, used_storage, registry, clock)
        controls.recording.begin(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Application) -> AsyncGenerator[None]:
        yield
        if controls is not None:
            await controls.recording.aclose()
        if storage is None:
            await used_storage.aclose()

    caches = Caches(
        embedder=remembering,
        storage=used_storage,
        default_threshold=settings.default_threshold,
        clock=clock,
        on_storage=None if meters is None else meters.observe_storage,
    )
    service = Service(
        settings,
        caches,
        GatheredSearches(caches),
        WorkerThreads(),
        Gate(
            configuration.strict,
            registry,
            RateLimits(),
            digest_of(configuration.admin_token),
        ),
        {
            **request_schemas(CONTRACT, configuration.relaxed),
            **request_schemas(CONTROL_CONTRACT, configuration.relaxed),
        },
        used_embedder,
        clock,
        meters,
        controls,
    )
    routes = [
        *data.ROUTES,
        *control.ROUTES,
        *identity.ROUTES,
        *health.ROUTES,
        *metrics.ROUTES,
        *routes_of("/openapi.json", GET=_contract),
        *([] if controls is None else mock.ROUTES),
    ]
    return Application(service, routes, middleware_of(settings, meters, controls), lifespan)


async def _contract(_request: Request) -> Response:
    return Response(CONTRACT, media_type="application/json")
