"""The OpenTelemetry metrics of the server and of the engine."""

import pytest
from langcache_mockserver.http.exchange import Exchange, Saved
from langcache_mockserver.watch.metrics import MOST_CACHES
from langcache_mockserver.watch.otel_metrics import OtelMetrics
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from langcache.engine import SemanticCache
from langcache.engine.otel import OtelLookups


@pytest.fixture
def points(monkeypatch):
    """Return the points of a metric: their attributes, in order, and their values."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)

    def points(name):
        found = {}
        data = reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            value = point.count if hasattr(point, "count") else point.value
                            found[tuple(sorted(point.attributes.items()))] = value
        return found

    yield points
    provider.shutdown()


def exchange(cache="a", outcome="hit", **more):
    return Exchange(
        "id", "POST", "/", operation="search", cache_id=cache, outcome=outcome, status=200, **more
    )


def test_the_server_records_requests_lookups_and_what_hits_saved(points):
    record = OtelMetrics()
    record(exchange())
    record(exchange())
    record(exchange(outcome="miss"))
    record(exchange("proxy", saved=Saved("m", 7, 3)))
    record(Exchange("id", "BREW", "/", status=404))
    searches = {("http.request.method", "POST"), ("http.response.status_code", 200)}
    assert points("http.server.request.duration") == {
        tuple(sorted({*searches, ("langcache.operation", "search")})): 4,
        (
            ("http.request.method", "other"),
            ("http.response.status_code", 404),
            ("langcache.operation", "other"),
        ): 1,
    }
    assert points("langcache.lookups") == {
        (("langcache.cache_id", "a"), ("langcache.outcome", "hit")): 2,
        (("langcache.cache_id", "a"), ("langcache.outcome", "miss")): 1,
        (("langcache.cache_id", "proxy"), ("langcache.outcome", "hit")): 1,
    }
    where = (("gen_ai.request.model", "m"),)
    assert points("langcache.saved_tokens") == {
        (*where, ("gen_ai.token.type", "input"), ("langcache.cache_id", "proxy")): 7,
        (*where, ("gen_ai.token.type", "output"), ("langcache.cache_id", "proxy")): 3,
    }


def test_callers_cannot_make_more_labels_than_there_may_be(points):
    record = OtelMetrics()
    for number in range(MOST_CACHES + 5):
        record(exchange(f"cache {number}"))
    other = (("langcache.cache_id", "other"), ("langcache.outcome", "hit"))
    assert points("langcache.lookups")[other] == 5


def test_the_engine_records_lookups_by_outcome(points):
    cache = SemanticCache("faq", on_lookup=OtelLookups("faq"), distance_threshold=0.3)
    cache.store("What is a fjord?", "An inlet.")
    cache.check("What is a fjord?")
    cache.check("Who wrote Moby Dick?")
    counted = {
        dict(labels)["langcache.outcome"]: n for labels, n in points("langcache.lookups").items()
    }
    assert counted == {"hit": 1, "miss": 1}
    steps = {dict(labels)["langcache.step"] for labels in points("langcache.lookup.duration")}
    assert {"embed", "search"} <= steps
