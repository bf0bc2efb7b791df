"""Metrics of a cache's lookups for OpenTelemetry. Needs the extra `otel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

if TYPE_CHECKING:
    from langcache.engine.statistics import Lookup

__all__ = ["OtelLookups"]


class OtelLookups:
    """A function for `on_lookup` that records each lookup with the process's OpenTelemetry meter.

    `SemanticCache(on_lookup=OtelLookups("faq"))` counts `langcache.lookups` by cache and outcome,
    and measures `langcache.lookup.duration` by cache and step. No text is recorded.

    Args:
        name: The cache's name in the metrics.
    """

    def __init__(self, name: str) -> None:
        self._cache = {"langcache.cache_id": name}
        meter = metrics.get_meter("langcache.engine")
        self._lookups = meter.create_counter(
            "langcache.lookups", unit="{lookup}", description="Lookups by outcome."
        )
        self._durations = meter.create_histogram(
            "langcache.lookup.duration", unit="s", description="Duration of a lookup, by step."
        )

    def __call__(self, lookup: Lookup) -> None:
        """Record a lookup."""
        self._lookups.add(1, {**self._cache, "langcache.outcome": _outcome(lookup)})
        for step, seconds in (
            ("embed", lookup.embedding_seconds),
            ("search", lookup.search_seconds),
            ("verify", lookup.verify_seconds),
        ):
            if seconds is not None:
                self._durations.record(seconds, {**self._cache, "langcache.step": step})


def _outcome(lookup: Lookup) -> str:
    if lookup.hits:
        return "hit"
    if lookup.rejected:
        return "rejected"
    return "near_miss" if lookup.near_miss else "miss"
