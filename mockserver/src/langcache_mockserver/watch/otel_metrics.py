"""Metrics for OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

from langcache_mockserver.watch.labels import OTHER, Labels, method_label
from langcache_mockserver.watch.metrics import MOST_CACHES, MOST_MODELS

if TYPE_CHECKING:
    from langcache_mockserver.http.exchange import Exchange


class OtelMetrics:
    """An observer that records each exchange with the process's OpenTelemetry meter.

    The metrics hold no prompt, response or key. They go where the process has OpenTelemetry send
    its metrics.
    """

    def __init__(self) -> None:
        self._caches = Labels(MOST_CACHES)
        self._models = Labels(MOST_MODELS)
        meter = metrics.get_meter("langcache_mockserver")
        self._durations = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Time from the headers of a request to the end of its answer.",
        )
        self._lookups = meter.create_counter(
            "langcache.lookups", unit="{lookup}", description="Searches by outcome."
        )
        self._saved_tokens = meter.create_counter(
            "langcache.saved_tokens",
            unit="{token}",
            description="Tokens that hits of the caching proxy saved.",
        )

    def __call__(self, exchange: Exchange) -> None:
        """Record an exchange that is over."""
        self._durations.record(
            exchange.seconds,
            {
                "http.request.method": method_label(exchange.method),
                "http.response.status_code": exchange.status,
                "langcache.operation": exchange.operation or OTHER,
            },
        )
        if not exchange.cache_id or not 200 <= exchange.status < 300:
            return
        cache = {"langcache.cache_id": self._caches.of(exchange.cache_id)}
        if exchange.outcome:
            self._lookups.add(1, {**cache, "langcache.outcome": exchange.outcome})
        saved = exchange.saved
        if saved is not None:
            model = self._models.of(saved.model)
            for kind, tokens in (("input", saved.input_tokens), ("output", saved.output_tokens)):
                self._saved_tokens.add(
                    tokens,
                    {**cache, "gen_ai.request.model": model, "gen_ai.token.type": kind},
                )
