import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from langcache_mockserver import Settings, SettingsError

from langcache.engine import InMemoryStorage

ENTRY = json.dumps({"prompt": "p", "response": "r"}).encode()
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'",
    "referrer-policy": "no-referrer",
}


@contextmanager
def running(*arguments):
    """Run the command until it is ready; gives the process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "langcache_mockserver", "--port=0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = urlsplit(process.stdout.readline().split()[-1])
        yield process, (url.hostname, url.port)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def half_sent(address):
    """A connection on which a `set` lacks the second half of its body; gives it and the half."""
    half = len(ENTRY) // 2
    with socket.create_connection(address, timeout=15) as connection:
        connection.sendall(
            b"POST /v1/caches/a/entries HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
            % len(ENTRY)
            + ENTRY[:half]
        )
        yield connection, ENTRY[half:]


def address_of(client):
    return client.base_url.host, client.base_url.port


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refuses(address):
    try:
        socket.create_connection(address, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_every_answer_has_the_security_headers_and_no_server_header(http, cache_path):
    answers = [
        http.get("/health"),
        http.get("/openapi.json"),
        http.get("/metrics"),
        http.post(f"{cache_path}/entries", json={"prompt": "p", "response": "r"}),
        http.post(f"{cache_path}/entries", json={}),
        http.put(f"{cache_path}/entries"),
        http.get("/nowhere"),
        http.get(f"{cache_path}/health", headers={"authorization": "none"}),
        http.post(f"{cache_path}/flush"),
    ]
    assert [each.status_code for each in answers] == [200, 200, 200, 201, 400, 405, 404, 401, 204]
    for answer in answers:
        assert SECURITY_HEADERS.items() <= dict(answer.headers).items()
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_an_answer_to_a_failure_has_them_too(serve):
    class Broken(InMemoryStorage):
        def delete(self, namespace, entry_ids):
            raise LookupError("the-secret-message")

    with serve(Settings(), storage=Broken()) as client:
        answer = client.delete("/v1/caches/a/entries/1")
    assert answer.status_code == 500
    assert SECURITY_HEADERS.items() <= dict(answer.headers).items()
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/health", "/health/liveness", "/health/readiness"])
def test_the_probes_tell_nothing_but_whether_it_is_well(anonymous, path):
    answer = anonymous.get(path)
    assert answer.json() == {"ok": True}
    expected = {"content-length", "content-type", "date", "x-request-id", *SECURITY_HEADERS}
    assert set(answer.headers) == expected


PREFLIGHT = {
    "origin": "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


def test_web_pages_may_not_call_it_by_default(http, cache_path):
    answer = http.options(f"{cache_path}/entries", headers=PREFLIGHT)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_web_pages_of_the_origins_named_may_call_it(serve):
    settings = Settings(cors_origins="https://app.example, http://localhost:3000")
    with serve(settings) as client:
        preflight = client.options("/v1/caches/a/entries", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        assert "x-request-id" in preflight.headers
        other = {**PREFLIGHT, "origin": "https://evil.example"}
        refused = client.options("/v1/caches/a/entries", headers=other)
        assert "access-control-allow-origin" not in refused.headers
        for origin, allowed in (("http://localhost:3000", True), ("http://localhost:3001", False)):
            answer = client.get("/v1/caches/a/health", headers={"origin": origin})
            assert answer.status_code == 200
            assert ("access-control-allow-origin" in answer.headers) is allowed
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cors_origins", "app.example"),
        ("cors_origins", "https://app.example/path"),
        ("cors_origins", "https://a.example,nonsense"),
        ("metrics", "yes"),
        ("access_log", "xml"),
        ("otel", "maybe"),
        ("max_concurrency", 0),
        ("body_timeout_seconds", 0),
        ("shutdown_seconds", -1),
        ("embedding_cache", -1),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(setting, value):
    with pytest.raises(SettingsError, match=setting) as caught:
        Settings(**{setting: value})
    assert caught.value.setting == setting


@pytest.mark.parametrize("origins", ["", "*", "https://a.example", "http://[::1]:3000,http://b:1"])
def test_good_origins_are_taken(origins):
    assert ",".join(Settings(cors_origins=origins).allowed_origins) == origins


def test_a_request_under_way_is_finished_after_sigterm_and_no_new_one_is_taken():
    with (
        running("--shutdown-seconds=30", "--max-concurrency=1") as (process, address),
        half_sent(address) as (connection, rest),
        httpx.Client(base_url=f"http://{address[0]}:{address[1]}", trust_env=False) as client,
    ):
        # The server has begun with the request when it has no room for another.
        wait_until(lambda: client.get("/v1/caches/a/health").status_code == 429)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(address))
        assert process.poll() is None
        connection.sendall(rest)
        answer = connection.recv(65536)
        _, errors = process.communicate(timeout=10)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"connection: close" in answer
    assert (process.returncode, errors) == (0, "")


def test_a_request_that_takes_longer_than_the_setting_says_is_given_up():
    with (
        running("--shutdown-seconds=0") as (process, address),
        half_sent(address),
    ):
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
    assert (process.returncode, output) == (0, "")


def test_requests_beyond_the_most_are_refused_and_probes_answered(serve, check_problem):
    with serve(Settings(max_concurrency=2)) as client:
        address = address_of(client)
        with half_sent(address) as (one, rest), half_sent(address) as (two, _):
            wait_until(lambda: client.get("/v1/caches/a/health").status_code == 429)
            refused = client.post("/v1/caches/a/entries", json={"prompt": "p", "response": "r"})
            check_problem(refused, 429)
            assert refused.headers["retry-after"] == "1"
            for path in ("/health", "/health/liveness", "/health/readiness", "/metrics"):
                assert client.get(path).status_code == 200
            for connection in (one, two):
                connection.sendall(rest)
                assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")
        assert client.get("/v1/caches/a/health").status_code == 200


def test_a_client_that_leaves_makes_room(serve):
    with serve(Settings(max_concurrency=1)) as client:
        with half_sent(address_of(client)):
            wait_until(lambda: client.get("/v1/caches/a/health").status_code == 429)
        wait_until(lambda: client.get("/v1/caches/a/health").status_code == 200)


def test_the_connection_of_a_body_that_stops_arriving_is_closed(serve):
    with serve(Settings(body_timeout_seconds=1, max_concurrency=1)) as client:
        with half_sent(address_of(client)) as (stalled, _):
            wait_until(lambda: client.get("/v1/caches/a/health").status_code == 429)
            assert stalled.recv(65536) == b""
        assert client.get("/v1/caches/a/health").status_code == 200
        with half_sent(address_of(client)) as (slow, rest):  # the clock begins anew for each
            time.sleep(0.5)
            slow.sendall(rest)
            assert slow.recv(65536).startswith(b"HTTP/1.1 201 ")


def test_a_body_that_trickles_is_not_waited_for_either(serve):
    with (
        serve(Settings(body_timeout_seconds=1)) as client,
        half_sent(address_of(client)) as (connection, _),
    ):
        started = time.monotonic()
        connection.settimeout(0.1)
        while True:
            assert time.monotonic() - started < 15
            try:
                connection.sendall(b" ")
                if connection.recv(65536) == b"":
                    break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break


def test_work_may_take_longer_than_a_body(serve):
    class Slow(InMemoryStorage):
        def invalidate_namespace(self, namespace):
            time.sleep(1.5)
            return super().invalidate_namespace(namespace)

    with serve(Settings(body_timeout_seconds=1), storage=Slow()) as client:
        assert client.post("/v1/caches/a/flush").status_code == 204
        assert client.request("DELETE", "/v1/caches/a/entries", json={"attributes": {}}).json() == {
            "deletedEntriesCount": 0
        }


TRACED = """
import json
import httpx
from langcache_mockserver import Settings, create_app
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from langcache_mockserver.background import Background
from langcache_mockserver.http.uvicorn_server import listen

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
background = Background(create_app(Settings(otel="on")), listen("127.0.0.1", 0), "127.0.0.1")
background.start()
headers = {
    "authorization": "Bearer the-secret-key",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
with httpx.Client(base_url=background.url, headers=headers, trust_env=False) as client:
    body = {"prompt": "the-secret-prompt", "response": "the-secret-response"}
    client.post("/v1/caches/a/entries?key=the-secret-query", json=body)
    client.post("/v1/caches/a/entries/search", json={"prompt": "the-secret-prompt"})
    client.get("/nowhere/the-secret-path")
background.stop()
print(json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()]))
"""


def test_a_request_is_a_span_in_the_callers_trace():
    result = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    added, searched, lost = json.loads(result.stdout)
    assert (added["name"], searched["name"], lost["name"]) == ("set", "search", "GET")
    assert added["kind"] == "SpanKind.SERVER"
    assert added["context"]["trace_id"] == "0x0af7651916cd43dd8448eb211c80319c"
    assert added["parent_id"] == "0xb7ad6b7169203331"
    assert added["attributes"] == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "langcache.operation": "set",
        "langcache.cache_id": "a",
    }
    assert searched["attributes"]["langcache.outcome"] == "hit"
    assert lost["attributes"]["http.response.status_code"] == 404
    assert "secret" not in result.stdout


def test_opentelemetry_is_not_imported_unless_asked_for():
    code = (
        "import sys; from langcache_mockserver import create_app; create_app();"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "False\n"
