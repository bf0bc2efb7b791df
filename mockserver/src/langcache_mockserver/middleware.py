"""What lies around the routes, from the outside in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from langcache_mockserver.controls.availability import LocalOnly
from langcache_mockserver.controls.interception import Interception
from langcache_mockserver.http.admission import Admission
from langcache_mockserver.http.body_timeout import StalledBodies
from langcache_mockserver.http.envelope import Envelope
from langcache_mockserver.watch.access_log import AccessLog

if TYPE_CHECKING:
    from langcache_mockserver.controls.controls import Controls
    from langcache_mockserver.http.observing import Observer
    from langcache_mockserver.settings import Settings
    from langcache_mockserver.watch.metrics import Metrics


def middleware_of(
    settings: Settings, metrics: Metrics | None, controls: Controls | None
) -> list[Middleware]:
    """Return the middleware that the settings ask for.

    Args:
        settings: How the server runs.
        metrics: What counts the requests, or None.
        controls: The test controls, or None.
    """
    observers: list[Observer] = []
    if metrics is not None:
        observers.append(metrics.observe_request)
    if settings.access_log != "off":
        observers.append(AccessLog(settings.access_log))
    if controls is not None:
        observers.append(controls.observe)
    middleware = [Middleware(Envelope, observers=observers)]
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
    middleware.append(Middleware(StalledBodies, seconds=settings.body_timeout_seconds))
    if controls is not None:
        if settings.test_controls == "auto":
            middleware.append(Middleware(LocalOnly))
        middleware.append(Middleware(Interception, controls=controls))
    return middleware
