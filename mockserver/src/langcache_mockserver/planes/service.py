"""The parts of a server that its endpoints use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.requests import Request

    from langcache.engine.embedders import Embedder
    from langcache_mockserver.controls.server_controls import Controls
    from langcache_mockserver.domain.caches import Caches
    from langcache_mockserver.domain.lookups import Lookups
    from langcache_mockserver.domain.worker_threads import WorkerThreads
    from langcache_mockserver.http.application import Application
    from langcache_mockserver.http.bodies import Bodies
    from langcache_mockserver.planes.auth import Gate
    from langcache_mockserver.planes.proxy import Proxy
    from langcache_mockserver.watch.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the server tells about itself.

    Attributes:
        storage: The kind of its storage, such as `memory`.
        default_threshold: The least similarity of a semantic hit if neither request nor cache has
            one.
        verify: The name of the verifier if the cache has none, or `off`.
        embedder: The embedder.
        is_local: Whether it listens on a loopback address.
        workers: The number of its processes.
        max_body_bytes: The largest request body, in bytes.
        max_concurrency: The largest number of requests at once.
        relaxed: The names of the limits of the API that are not enforced.
    """

    storage: str
    default_threshold: float
    verify: str
    embedder: Embedder
    is_local: bool
    workers: int
    max_body_bytes: int
    max_concurrency: int
    relaxed: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts of one server.

    Attributes:
        caches: The operations on caches.
        gate: Decides who may do what; has the declared caches and the keys.
        bodies: Reads the bodies of requests.
        workers: The threads for blocking work.
        clock: Returns the time in seconds since the epoch.
        description: What the server tells about itself.
        metrics: Its metrics, or None.
        controls: Its test controls, or None.
        lookups: The latest lookups, or None if none are kept.
        proxy: The caching proxy, or None.
    """

    caches: Caches
    gate: Gate
    bodies: Bodies
    workers: WorkerThreads
    clock: Callable[[], float]
    description: Description
    metrics: Metrics | None
    controls: Controls | None
    lookups: Lookups | None
    proxy: Proxy | None


def service_in(app: Application) -> Service:
    """Return the service of an application."""
    return cast("Service", app.service)


def service_of(request: Request) -> Service:
    """Return the service of the application that a request is for."""
    service: Service = request.scope["app"].service
    return service
