import asyncio
import subprocess
import sys

import httpx
import pytest
import respx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langcache import DefaultAioHttpClient, LangCache, errors

URL = "http://langcache.test:8080/v1/caches/c/entries/e%2F1"


@pytest.fixture(scope="module")
def exporter():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter):
    exporter.clear()
    return exporter.get_finished_spans


@pytest.fixture
def cache():
    with LangCache(
        server_url="http://langcache.test:8080", cache_id="c", api_key="secret-key"
    ) as client:
        yield client


@respx.mock
def test_a_call_is_one_client_span_whatever_the_attempts(cache, spans):
    route = respx.delete(URL)
    route.side_effect = [httpx.Response(503), httpx.Response(204)]
    cache.delete_by_id(entry_id="e/1")
    (span,) = spans()
    assert span.name == "DELETE /v1/caches/{cache_id}/entries/{entry_id}"
    assert span.kind is trace.SpanKind.CLIENT
    assert dict(span.attributes) == {
        "http.request.method": "DELETE",
        "http.request.resend_count": 1,
        "http.response.status_code": 204,
        "server.address": "langcache.test",
        "server.port": 8080,
        "url.full": URL,
        "url.template": "/v1/caches/{cache_id}/entries/{entry_id}",
    }
    trace_id = f"{span.context.trace_id:032x}"
    for call in route.calls:
        assert call.request.headers["traceparent"].split("-")[1] == trace_id


@respx.mock
def test_a_failed_call_marks_its_span(cache, spans):
    respx.delete(URL).respond(404)
    with pytest.raises(errors.NotFoundErrorResponseContent):
        cache.delete_by_id(entry_id="e/1")
    respx.delete(URL).mock(side_effect=httpx.ConnectError("down"))
    with pytest.raises(errors.NoResponseError):
        cache.delete_by_id(entry_id="e/1", retries=None)
    assert [span.attributes["error.type"] for span in spans()] == ["404", "ConnectError"]
    assert all(not span.status.is_ok for span in spans())


def test_a_call_without_httpx_has_its_span_too(spans, scripted_server, answer):
    server = scripted_server(answer(b"", "204 No Content"))

    async def main():
        async with DefaultAioHttpClient() as http:
            await LangCache(server.url, "k", "c", async_client=http).flush_async()

    asyncio.run(main())
    (span,) = spans()
    assert span.attributes["http.response.status_code"] == 204
    assert f"{span.context.trace_id:032x}".encode() in server.requests[0]


def test_without_opentelemetry_nothing_of_it_is_imported():
    program = """
import sys, httpx
from langcache import LangCache
transport = httpx.MockTransport(lambda request: httpx.Response(204))
LangCache(server_url="http://x", cache_id="c", client=httpx.Client(transport=transport)).flush()
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
