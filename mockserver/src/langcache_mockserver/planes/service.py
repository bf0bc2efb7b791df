"""What the endpoints of a server work with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from anyio import CapacityLimiter, to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from langcache.engine.embedders import Embedder
    from langcache_mockserver.controls.controls import Controls
    from langcache_mockserver.domain.batching import GatheredSearches
    from langcache_mockserver.domain.caches import Caches
    from langcache_mockserver.http.validation import Schemas
    from langcache_mockserver.planes.auth import Gate
    from langcache_mockserver.settings import Settings
    from langcache_mockserver.watch.metrics import Metrics

WORKERS = max(2, min(8, os.cpu_count() or 1))
"""How many threads embed, search and store: one per processor, from 2 to 8.

The event loop does none of that work itself but what takes no longer than handing it over
(`Caches.is_quick`), so it stays free to take requests.
"""

P = ParamSpec("P")
T = TypeVar("T")


class WorkerThreads:
    """The threads that work for one server, `WORKERS` of them at once."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function in one of the threads."""
        # Not made before: it belongs to the kind of event loop that it is made in, which is where
        # the server is made, and that may be another than where it is served.
        self._limiter = self._limiter or CapacityLimiter(WORKERS)
        return await to_thread.run_sync(function, limiter=self._limiter)


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one server.

    Attributes:
        settings: How it runs.
        caches: What the operations do.
        gathered_searches: What does the searches that take little time.
        workers: The threads that work for it.
        gate: What decides who may do what; knows the declared caches and the keys.
        schemas: What checks the bodies of requests.
        embedder: Makes the vectors.
        clock: Gives the time in seconds since the epoch.
        metrics: What it counts and measures, or None where it doesn't.
        controls: Its test controls, or None where it has none.
    """

    settings: Settings
    caches: Caches
    gathered_searches: GatheredSearches
    workers: WorkerThreads
    gate: Gate
    schemas: Schemas
    embedder: Embedder
    clock: Callable[[], float]
    metrics: Metrics | None
    controls: Controls | None


def service_of(request: Request) -> Service:
    """Return the service that a request has come to."""
    return cast("Service", request.scope["app"].service)


async def in_worker(
    request: Request, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function in one of the worker threads."""
    call = partial(function, *args, **kwargs)
    return await service_of(request).workers.run(call)
