"""The metrics of a server, for Prometheus."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from langcache_mockserver.watch.labels import OTHER, Labels, method_label
from langcache_mockserver.watch.prometheus import Counter, Gauge, Histogram, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.http.exchange import Exchange, Saved
    from langcache_mockserver.watch.worker_files import WorkerFiles

_log = logging.getLogger("langcache_mockserver")

MOST_CACHES = 1000
"""How many caches have their own label. Caches that are first used later count as `other`."""

MOST_MODELS = 100
"""How many models have their own label."""

_REQUEST_SECONDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_WORK_SECONDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0),
)

_LEAST_AGE_SECONDS = 10.0
_AGE_PER_COST = 20  # sizes that take one second to find are found every 20 seconds


class Metrics:
    """Counters, gauges and histograms of one server.

    They contain no prompts, responses or keys. Cache ids are labels.

    Args:
        storage: The storage whose caches are measured.
        files: The metrics of the other worker processes, which are added; None if there are none.
    """

    def __init__(self, storage: StorageBackend, files: WorkerFiles | None = None) -> None:
        self._storage = storage
        self._files = files
        self._caches = Labels(MOST_CACHES)
        self._models = Labels(MOST_MODELS)
        self._finding = threading.Lock()
        self._sizes_due = 0.0
        self._requests = Counter(
            "langcache_requests_total",
            "Requests by the answer's status, 0 where the client left before it.",
            ["operation", "method", "status"],
        )
        self._durations = Histogram(
            "langcache_request_duration_seconds",
            "Time from the headers of a request to the end of its answer.",
            _REQUEST_SECONDS,
            ["operation"],
        )
        self._lookups = Counter(
            "langcache_lookups_total",
            "Searches by outcome. Rejected: what reached the threshold was turned down. Near miss: "
            "the nearest falls short of the threshold by 0.05 at most.",
            ["cache", "outcome"],
        )
        self._embeddings = Histogram(
            "langcache_embedding_duration_seconds",
            "Time to embed what was not remembered.",
            _WORK_SECONDS,
        )
        self._storage_uses = Histogram(
            "langcache_storage_duration_seconds",
            "Time of each use of the storage.",
            _WORK_SECONDS,
            ["operation"],
        )
        self._saved_tokens = Counter(
            "langcache_saved_tokens_total",
            "Tokens that hits of the caching proxy saved, as the provider counted them.",
            ["cache", "model", "kind"],
        )
        self._entries = Gauge(
            "langcache_cache_entries",
            "Entries of each cache that was used since the start.",
            ["cache"],
        )
        self._bytes = Gauge(
            "langcache_cache_bytes",
            "Bytes of texts and vectors of each cache that was used since the start.",
            ["cache"],
        )
        self._of_other_models = Gauge(
            "langcache_entries_of_other_models",
            "Entries of another embedding model, which no search finds until they are migrated.",
        )
        self._waiting: dict[str, int] = {}
        self._count_waiting: Callable[[str], int] | None = None
        self._summed: tuple[Counter | Histogram, ...] = (
            self._requests,
            self._durations,
            self._lookups,
            self._embeddings,
            self._storage_uses,
            self._saved_tokens,
        )
        if files is not None:
            files.start(self._state)

        self._storage_size = {
            name: Gauge(f"langcache_storage_{name}", text)
            for name, text in {
                "entries": "Entries of the storage, of all caches.",
                "bytes": "Bytes of memory that its entries take: texts, vectors and overhead.",
                "max_entries": "The largest number of its entries.",
                "max_bytes": "The most bytes of memory for its entries.",
            }.items()
        }
        self._evictions = Gauge(
            "langcache_storage_evictions", "Entries removed since the start to make room."
        )

    def observe_request(self, exchange: Exchange) -> None:
        """Count an exchange that is over."""
        operation = exchange.operation or OTHER
        self._requests.add(operation, method_label(exchange.method), str(exchange.status))
        self._durations.observe(exchange.seconds, operation)
        if exchange.cache_id and 200 <= exchange.status < 300:
            cache = self._caches.of(exchange.cache_id)
            if exchange.outcome:
                self._lookups.add(cache, exchange.outcome)
            if exchange.saved is not None:
                self._count_saved(cache, exchange.saved)

    def observe_embedding(self, seconds: float) -> None:
        """Add the duration of an embedding."""
        self._embeddings.observe(seconds)

    def observe_storage(self, operation: str, seconds: float) -> None:
        """Add the duration of a use of the storage."""
        self._storage_uses.observe(seconds, operation)

    def watch_other_models(self, waiting: dict[str, int], count: Callable[[str], int]) -> None:
        """Show how many entries are of another embedding model.

        Those of a cache are counted again, together with its size, until there are none.

        Args:
            waiting: How many there are in each cache, at the start.
            count: Returns how many there are in a cache now.
        """
        self._waiting = {cache_id: number for cache_id, number in waiting.items() if number}
        self._count_waiting = count
        self._of_other_models.set(sum(waiting.values()))

    def text(self) -> str:
        """Return all metrics in Prometheus's text format. Sizes of caches may be seconds old."""
        # While another thread finds the sizes, use the old ones: waiting would block a worker.
        if time.monotonic() >= self._sizes_due and self._finding.acquire(blocking=False):
            try:
                self._find_sizes()
            except Exception as error:  # noqa: BLE001 - a backend may fail in ways of its own
                _log.warning("the storage cannot be measured: %s", type(error).__name__)
            finally:
                self._finding.release()
        others = [] if self._files is None else self._files.others()
        summed = [
            metric.plus(state[metric.name] for state in others if metric.name in state)
            for metric in self._summed
        ]
        if self._files is not None:
            self._files.publish()
        sizes = [self._entries, self._bytes]
        if self._count_waiting is not None:
            sizes.append(self._of_other_models)
        return text_of([*summed, *sizes, *self._usage()])

    def _state(self) -> dict[str, object]:
        """Return what other processes add to their metrics."""
        return {
            "caches": sorted(self._caches.known()),
            **{metric.name: metric.state() for metric in self._summed},
        }

    def _count_saved(self, cache: str, saved: Saved) -> None:
        model = self._models.of(saved.model)
        for kind, tokens in (("input", saved.input_tokens), ("output", saved.output_tokens)):
            if tokens:
                self._saved_tokens.add(cache, model, kind, amount=tokens)

    def _usage(self) -> list[Gauge]:
        """Return the gauges of what the storage takes, where it counts that."""
        usage = self._storage.usage
        if usage is None:
            return []
        shown: list[Gauge] = []
        for name, gauge in self._storage_size.items():
            value = getattr(usage, name)
            if value is not None:
                gauge.set(value)
                shown.append(gauge)
        self._evictions.set(usage.evictions)
        return [*shown, self._evictions]

    def _count_again(self, count: Callable[[str], int]) -> None:
        """Count the entries of other models again where there were any."""
        left = list(self._waiting.items())
        counted = {cache_id: count(cache_id) for cache_id, _ in left[:MOST_CACHES]}
        # Those counted now come last, so that it is the turn of the others the next time.
        self.watch_other_models({**dict(left[MOST_CACHES:]), **counted}, count)

    def _find_sizes(self) -> None:
        """Ask the storage for the sizes of the caches, so rarely that it costs little time."""
        started = time.monotonic()
        caches = self._caches.known()
        for state in [] if self._files is None else self._files.others():
            caches.update(state.get("caches", ()))
        for cache_id in sorted(caches)[:MOST_CACHES]:
            self._entries.set(self._storage.namespace_size(cache_id), cache_id)
            self._bytes.set(self._storage.namespace_bytes(cache_id), cache_id)
        if self._count_waiting is not None:
            self._count_again(self._count_waiting)
        now = time.monotonic()
        self._sizes_due = now + max(_LEAST_AGE_SECONDS, _AGE_PER_COST * (now - started))
