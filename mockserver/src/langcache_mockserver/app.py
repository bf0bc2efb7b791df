"""The ASGI application: the parts of a server, put together."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING

from anyio import create_task_group
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from langcache.engine.embedders.vector_memory import VectorMemory
from langcache.engine.storage import StorageError
from langcache.engine.storage.create import create_storage, is_redis_url
from langcache.engine.storage.other_models import count_of_others, warn_of_other_models
from langcache_mockserver.configuration import configuration_of
from langcache_mockserver.controls.availability import LocalOnly
from langcache_mockserver.controls.clock import Clock
from langcache_mockserver.controls.interception import InterceptionMiddleware
from langcache_mockserver.controls.server_controls import Controls
from langcache_mockserver.domain.caches import Caches
from langcache_mockserver.domain.circuit import guarded
from langcache_mockserver.domain.lookups import Lookups
from langcache_mockserver.domain.minilm import shared_minilm
from langcache_mockserver.domain.rate_limits import RateLimits
from langcache_mockserver.domain.registry import Registry, digest_of
from langcache_mockserver.domain.sessions import Sessions
from langcache_mockserver.domain.verifiers import shared_verifier
from langcache_mockserver.domain.worker_threads import SharedCall, WorkerThreads
from langcache_mockserver.http.admission import Admission
from langcache_mockserver.http.application import Application
from langcache_mockserver.http.bodies import Bodies
from langcache_mockserver.http.body_timeout import BodyTimeout
from langcache_mockserver.http.documents import CONSOLE_DOCUMENT, CONTRACT, CONTROL_CONTRACT
from langcache_mockserver.http.exchange import ExchangeMiddleware
from langcache_mockserver.http.hosts import HostCheck
from langcache_mockserver.http.request import is_loopback
from langcache_mockserver.http.validation import request_schemas
from langcache_mockserver.page import pages
from langcache_mockserver.planes import (
    api_keys,
    console,
    control,
    data,
    health,
    metrics,
    mock_controls,
)
from langcache_mockserver.planes.auth import Gate
from langcache_mockserver.planes.error_handlers import ERROR_HANDLERS
from langcache_mockserver.planes.service import Description, Service
from langcache_mockserver.settings import Settings, has_test_controls, kept_lookups
from langcache_mockserver.watch.access_log import AccessLog
from langcache_mockserver.watch.metrics import Metrics
from langcache_mockserver.watch.worker_files import WorkerFiles

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.configuration import Configuration
    from langcache_mockserver.http.exchange import Observer
    from langcache_mockserver.http.routing import Route
    from langcache_mockserver.http.validation import Schemas


_logger = logging.getLogger("langcache_mockserver")

CANNOT_START = (ImportError, OSError, StorageError, ValueError)
"""What `create_app` raises because of the settings, rather than because of a fault of its own."""


def create_app(
    settings: Settings | None = None,
    *,
    embedder: Embedder | None = None,
    storage: StorageBackend | None = None,
    clock: Callable[[], float] | None = None,
    configuration: Configuration | None = None,
    rate_limits: RateLimits | None = None,
    metrics_folder: str = "",
) -> Application:
    """Make the server as an ASGI application.

    Args:
        settings: The settings; by default those of `Settings()`. Host, port, workers and log level
            are for whoever serves the application.
        embedder: Embeds prompts; by default the MiniLM embedder that the servers of a process
            share. The first such call loads it.
        storage: Keeps the entries; by default the storage of the settings. A storage that you pass
            in must use the same clock, and is yours to close.
        clock: Returns the time in seconds since the epoch, for the TTL of entries; by default a
            `Clock`, which the test controls can set, or the system's if a storage is passed in or
            shared with other processes.
        configuration: The declared caches and keys; by default those of the settings.
        rate_limits: Counts the requests of keys, for several worker processes together if they
            share it.
        metrics_folder: Where several worker processes add up their metrics; "" for one process.

    Returns:
        The application. It can be served without running its lifespan.

    Raises:
        ConfigurationError: The configuration file of the settings is invalid.
        ImportError: A verifier of the settings needs a package that is not installed.
        OSError: A recording of the settings can't be read or written.
        SettingsError: The settings ask for a recording, but leave out the test controls.
        StorageError: The storage of the settings can't be opened.
        ValueError: The recording to replay is invalid.
    """
    settings = settings or Settings()
    if clock is None:
        # A storage that is shared with other processes uses their clock.
        own = storage is None and not is_redis_url(settings.storage)
        clock = Clock() if own else time.time
    configuration = configuration or configuration_of(settings)
    used_storage = guarded(
        create_storage(
            settings.storage,
            clock=clock,
            max_entries=settings.max_entries or None,
            max_bytes=settings.max_bytes or None,
        )
        if storage is None
        else storage
    )
    if isinstance(clock, Clock):
        clock.before_going_back(used_storage.remove_expired)
    used_embedder = shared_minilm(settings.workers) if embedder is None else embedder
    for name in {settings.verify, *(cache.verify or "off" for cache in configuration.caches)}:
        shared_verifier(name)  # the first request need not wait, and what is missing shows now
    files = WorkerFiles(metrics_folder) if metrics_folder else None
    meters = Metrics(used_storage, files) if settings.metrics == "on" else None
    if not used_storage.is_shared:
        _count_other_models(used_storage, used_embedder.model_id, meters, settings.storage)
    vectors = VectorMemory(
        used_embedder,
        settings.embedding_cache,
        None if meters is None else meters.observe_embedding,
    )
    admin_digest = digest_of(configuration.admin_token)
    registry = Registry(
        used_storage, configuration.caches, configuration.keys, admin_digest=admin_digest
    )
    most_lookups = kept_lookups(settings, strict=configuration.strict)
    latest = Lookups(most_lookups) if most_lookups else None
    controls = None
    if has_test_controls(settings, strict=configuration.strict):
        controls = Controls(vectors, used_storage, registry, clock, latest, settings.max_body_bytes)
        if settings.record:
            key = settings.upstream_key or None
            controls.recording.record(settings.upstream, key=key, file=settings.record)
        elif settings.replay:
            controls.recording.replay(settings.replay)

    proxy = None
    proxy_routes: list[Route] = []
    proxy_schemas: Schemas = {}
    if configuration.proxy is not None:
        # Here, because few need it and it takes time: httpx is part of it.
        from langcache_mockserver.planes import chat
        from langcache_mockserver.planes.proxy import make_proxy

        proxy_routes, proxy_schemas = chat.ROUTES, chat.SCHEMAS
        declared = {cache.id: cache for cache in configuration.caches}
        cache = declared.get(configuration.proxy.cache_id)
        proxy = make_proxy(configuration.proxy, cache, used_storage, used_embedder, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Application) -> AsyncGenerator[None]:
        await workers.start()
        async with create_task_group() as group:
            if used_storage.is_shared:
                # Here, because looking for all caches takes a while.
                model_id = used_embedder.model_id
                look = partial(_look_for_other_models, used_storage, model_id, meters)
                group.start_soon(partial(workers.run_probe, look))
            yield
            group.cancel_scope.cancel()
        if controls is not None:
            await controls.recording.aclose()
        if proxy is not None:
            await proxy.aclose()
        if storage is None:
            await used_storage.aclose()

    workers = WorkerThreads(settings.max_wait_seconds or math.inf)
    schemas = {
        **request_schemas(CONTRACT, configuration.relaxed),
        **request_schemas(CONTROL_CONTRACT, configuration.relaxed),
        **request_schemas(CONSOLE_DOCUMENT, configuration.relaxed),
        **proxy_schemas,
    }
    app = Application(
        [
            *data.ROUTES,
            *control.ROUTES,
            *api_keys.ROUTES,
            *console.ROUTES,
            *health.ROUTES,
            *metrics.ROUTES,
            *pages.ROUTES,
            *([] if controls is None else mock_controls.ROUTES),
            *proxy_routes,
        ],
        ERROR_HANDLERS,
        _middleware(settings, meters, controls),
        lifespan,
    )
    app.service = Service(
        caches=Caches(
            embedder=vectors,
            storage=used_storage,
            workers=workers,
            default_threshold=settings.default_threshold,
            default_verifier=settings.verify,
            clock=clock,
            on_storage=None if meters is None else meters.observe_storage,
            lookups=latest,
        ),
        gate=Gate(
            strict=configuration.strict,
            registry=registry,
            rate_limits=rate_limits or RateLimits(),
            admin_digest=admin_digest,
            has_console_key=configuration.strict or not configuration.generated,
            sessions=Sessions(configuration.admin_token),
            refresh=SharedCall(registry.refresh, workers),
        ),
        bodies=Bodies(schemas, settings.max_body_bytes, workers),
        workers=workers,
        clock=clock,
        description=Description(
            storage=settings.storage.partition(":")[0],
            default_threshold=settings.default_threshold,
            verify=settings.verify,
            embedder=used_embedder,
            is_local=is_loopback(settings.host),
            workers=settings.workers,
            max_body_bytes=settings.max_body_bytes,
            max_concurrency=settings.max_concurrency,
            relaxed=configuration.relaxed,
        ),
        metrics=meters,
        controls=controls,
        lookups=latest,
        proxy=proxy,
    )
    return app


def _count_other_models(
    storage: StorageBackend, model_id: str, meters: Metrics | None, name: str
) -> None:
    """Say how many entries are of another embedding model, which no search finds."""
    counts = {each: count_of_others(storage, each, model_id) for each in storage.namespaces()}
    waiting = sum(counts.values())
    if waiting:
        _logger.warning(
            "%d entries are of another embedding model and are not found: "
            "`langcache migrate --storage %s` embeds those of earlier releases anew",
            waiting,
            name,
        )
    _show_other_models(storage, model_id, meters, counts)


def _look_for_other_models(storage: StorageBackend, model_id: str, meters: Metrics | None) -> None:
    """Say of each cache how many entries are of another embedding model."""
    with contextlib.suppress(StorageError):  # every request says what is wrong
        counts = {
            each: warn_of_other_models(storage, each, model_id) for each in storage.namespaces()
        }
        _show_other_models(storage, model_id, meters, counts)


def _show_other_models(
    storage: StorageBackend, model_id: str, meters: Metrics | None, counts: dict[str, int]
) -> None:
    if meters is not None:
        count = partial(count_of_others, storage, model_id=model_id)
        meters.watch_other_models(counts, count)


def _middleware(
    settings: Settings, meters: Metrics | None, controls: Controls | None
) -> list[Middleware]:
    """Return the middleware of the application, the outermost first."""
    observers: list[Observer] = []
    if meters is not None:
        observers.append(meters.observe_request)
    if settings.access_log != "off":
        observers.append(AccessLog(settings.access_log))
    if settings.otel == "on":
        from langcache_mockserver.watch.otel_metrics import OtelMetrics

        observers.append(OtelMetrics())
    if controls is not None:
        observers.append(controls.observe)
    middleware = [Middleware(ExchangeMiddleware, observers=observers)]
    hosts = settings.allowed_host_names
    middleware.append(Middleware(HostCheck, is_local=is_loopback(settings.host), allowed=hosts))
    if settings.otel == "on":
        from langcache_mockserver.watch.tracing import Tracing

        middleware.append(Middleware(Tracing))
    if settings.allowed_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["retry-after", "x-request-id"],
        )
        middleware.append(cors)
    middleware.append(Middleware(Admission, most=settings.max_concurrency))
    middleware.append(Middleware(BodyTimeout, seconds=settings.body_timeout_seconds))
    if controls is not None:
        if settings.test_controls != "on":
            middleware.append(Middleware(LocalOnly))
        middleware.append(Middleware(InterceptionMiddleware, controls=controls))
    return middleware
