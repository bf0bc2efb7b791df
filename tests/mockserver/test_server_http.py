import json
import logging
import re
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest
from langcache_mockserver import MockServer, create_app

from langcache.engine import InMemoryStorage

JSON = {"content-type": "application/json"}


def exchange(server, *parts):
    """Send bytes over a connection of their own and return the status and all that came back."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while b"\r\n\r\n" not in answer or not _complete(answer):
            received = connection.recv(65536)
            if not received:
                break
            answer += received
    return int(answer.split()[1]), answer


def _complete(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return True


def send_raw(server, method, target, body=b""):
    head = (
        f"{method} {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return exchange(server, head.encode("latin-1") + body)


def test_requests_that_come_at_once_are_answered_one_after_the_other(mock_server):
    head = b" HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
    requests = [
        b"POST /v1/caches/at-once/flush" + head + b"content-length: 0\r\n\r\n",
        b"HEAD /health" + head + b"\r\n",
        b"GET /nowhere" + head + b"\r\n",
        b"GET /health" + head + b"connection: close\r\n\r\n",
    ]
    address = urlsplit(mock_server.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"".join(requests))
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (...)", answers) == [b"204", b"200", b"404", b"200"]
    assert answers.endswith(b'\r\n\r\n{"ok":true}')


def test_a_body_is_asked_for_before_its_answer_is_made(mock_server):
    body = b'{"prompt": "Shall I go on?", "response": "Yes."}'
    head = (
        b"POST /v1/caches/asked/entries HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
        b"content-type: application/json\r\nexpect: 100-continue\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    )
    address = urlsplit(mock_server.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    ("start", "header"),
    [
        (b"POST /health?no=no", b"transfer-encoding: ~"),
        (b"POST /health", b"content-length: -1"),
        (b"GET /health", b": no name"),
        (b"GET /health", b"no colon"),
    ],
)
def test_what_is_not_http_is_refused_with_a_problem(mock_server, check_problem, start, header):
    address = urlsplit(mock_server.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(start + b" HTTP/1.1\r\nhost: localhost\r\n" + header + b"\r\n\r\n")
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    assert status == "HTTP/1.1 400 Bad Request"
    request = httpx.Request("GET", "http://x/health")
    answer = httpx.Response(400, headers=headers, content=body, request=request)
    problem = check_problem(answer, 400)
    assert "HTTP" in problem["detail"]


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        ["Bearer"],
        ["Bearer\tkey"],
        ["Bearer two words"],
        ["Bearer k\u00e9y"],
        ["Basic a2V5"],
        ["key"],
        ["Bearer a", "Bearer b"],
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/entries"),
        ("DELETE", "/entries"),
        ("POST", "/entries/search"),
        ("POST", "/conversations/search"),
        ("DELETE", "/entries/some-id"),
        ("POST", "/flush"),
        ("GET", "/health"),
    ],
)
def test_without_one_bearer_token_every_operation_is_401(
    anonymous, cache_path, check_problem, method, path, authorization
):
    headers = [("authorization", value.encode("latin-1")) for value in authorization]
    response = anonymous.request(method, f"{cache_path}{path}", headers=headers)
    problem = check_problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    assert "Authorization header" in problem["detail"]


@pytest.mark.parametrize(
    "value", ["Bearer k", "bearer k", "BEARER   a.b-c_d~e+f/g==", "Bearer ,;{}"]
)
def test_any_token_will_do(anonymous, cache_path, value):
    response = anonymous.get(f"{cache_path}/health", headers={"authorization": value})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/caches",
        "/v1/caches/a",
        "/v1/caches/a/entries/",
        "/v1/caches/a/entries/b/",
        "/v1/caches//entries",
        "/v1/caches/a/entries/b/c",
        "//v1/caches/a/entries",
        "/V1/caches/a/entries",
        "/v1/caches/a/entries%2Fsearch",
        "/v1/caches/a/entries;x",
        "/health/",
        "/health/other",
        "/page",
        "/page/",
        "/page/nothing",
        "/docs/",
    ],
)
def test_other_paths_are_404(http, check_problem, path):
    for method in ("GET", "POST", "DELETE"):
        check_problem(http.request(method, path, json={"prompt": "p", "response": "r"}), 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/caches/a/entries", {"POST", "DELETE"}),
        ("/v1/caches/a/entries/search", {"POST"}),  # not an entry of the id "search"
        ("/v1/caches/a/conversations/search", {"POST"}),
        ("/v1/caches/a/entries/some-id", {"DELETE"}),
        ("/v1/caches/a/flush", {"POST"}),
        ("/v1/caches/a/health", {"GET", "HEAD"}),
        ("/health", {"GET", "HEAD"}),
        ("/health/liveness", {"GET", "HEAD"}),
        ("/health/readiness", {"GET", "HEAD"}),
        ("/openapi.json", {"GET", "HEAD"}),
    ],
)
def test_other_methods_are_405_and_allow_names_the_right_ones(
    http, anonymous, check_problem, path, allowed
):
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - allowed:
        for client in (http, anonymous):
            response = client.request(method, path)
            check_problem(response, 405)
            assert set(response.headers["allow"].split(", ")) == allowed
    assert (http.head(path).status_code == 405) == ("GET" not in allowed)


def test_head_is_get_without_the_body(anonymous):
    response = anonymous.head("/health")
    assert (response.status_code, response.content) == (200, b"")


def put(server, cache, prompt):
    body = json.dumps({"prompt": prompt, "response": cache}).encode()
    status, _ = send_raw(server, "POST", f"/v1/caches/{cache}/entries", body)
    return status


def found_in(server, cache, prompt):
    body = json.dumps({"prompt": prompt, "searchStrategies": ["exact"]}).encode()
    status, answer = send_raw(server, "POST", f"/v1/caches/{cache}/entries/search", body)
    assert status == 200
    return json.loads(answer.partition(b"\r\n\r\n")[2])["data"] != []


@pytest.mark.parametrize(
    "odd",
    [
        "..",
        ".",
        "%2e%2e",
        "odd%2F..%2Fplain",
        "odd%252F",
        "plain%20",
        "plain%00",
        "PLAIN",
        "%70lain2",
    ],
)
def test_an_odd_spelling_is_a_cache_of_its_own(mock_server, odd):
    assert put(mock_server, odd, f"in {odd}?") == 201
    assert found_in(mock_server, odd, f"in {odd}?")
    assert not found_in(mock_server, "plain", f"in {odd}?")
    assert send_raw(mock_server, "POST", f"/v1/caches/{odd}/flush")[0] == 204
    assert not found_in(mock_server, odd, f"in {odd}?")


def test_two_spellings_of_one_id_are_one_cache(mock_server):
    assert put(mock_server, "spell%2Fed", "Where?") == 201
    assert found_in(mock_server, "%73pell%2fed", "Where?")
    assert not found_in(mock_server, "spell%252Fed", "Where?")


@pytest.mark.parametrize(
    "path",
    [
        "/entries/..",
        "/entries/.",
        "/entries/%2e",
        "/entries/..%2Fother%2Fentries",
        "/entries/%2E%2E%2Fflush",
        "/entries/%73earch",
        "/entries/x?attributes=",
    ],
)
def test_no_spelling_of_an_entry_id_deletes_more_than_an_entry(mock_server, cache_path, path):
    cache = cache_path.rpartition("/")[2]
    assert put(mock_server, cache, "Still there?") == 201
    assert send_raw(mock_server, "DELETE", cache_path + path, b'{"attributes": {}}')[0] == 404
    assert found_in(mock_server, cache, "Still there?")


@pytest.mark.parametrize("segment", ["%ff", "%ED%A0%80", "%zz", "%", "a%2", "%C3%28"])
def test_an_id_that_is_not_percent_encoded_utf_8_is_400(http, check_problem, mock_server, segment):
    status, answer = send_raw(mock_server, "POST", f"/v1/caches/{segment}/flush")
    assert status == 400
    (field,) = json.loads(answer.partition(b"\r\n\r\n")[2])["fields"]
    assert (field["field"], field["rule"]) == ("cacheId", "encoding")
    status, answer = send_raw(mock_server, "DELETE", f"/v1/caches/a/entries/{segment}")
    assert status == 400
    (field,) = json.loads(answer.partition(b"\r\n\r\n")[2])["fields"]
    assert (field["field"], field["rule"]) == ("entryId", "encoding")


def test_a_declared_body_that_is_too_large_is_413_before_it_is_sent(mock_server):
    head = (
        b"POST /v1/caches/a/entries HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
        b"content-type: application/json\r\nexpect: 100-continue\r\n"
        b"content-length: 1048577\r\n\r\n"
    )
    status, answer = exchange(mock_server, head)
    assert status == 413
    assert b'"the body may have at most 1048576 bytes"' in answer


def test_a_streamed_body_is_413_as_soon_as_it_is_too_large(mock_server):
    head = (
        b"POST /v1/caches/a/entries HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
        b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"80000\r\n" + b" " * 0x80000 + b"\r\n"
    status, _ = exchange(mock_server, head, chunk, chunk, chunk)  # and no end
    assert status == 413


def test_the_largest_body_is_accepted(http, cache_path, check_problem):
    frame = '{"prompt": "How large is it?", "response": ""}'
    response = "x" * ((1 << 20) - len(frame))
    url = f"{cache_path}/entries"
    body = frame[:-2] + response + frame[-2:]
    assert http.post(url, content=body, headers=JSON).status_code == 201
    found = http.post(f"{url}/search", json={"prompt": "How large is it?"}).json()["data"]
    assert found[0]["response"] == response
    check_problem(http.post(url, content=body + " ", headers=JSON), 413)
    check_problem(http.post(url, content=iter([body.encode(), b" "]), headers=JSON), 413)


@pytest.mark.parametrize(
    "path", ["/health", "/v1/caches/a/health", "/nowhere", "/v1/caches/a/flush"]
)
def test_every_answer_carries_a_request_id(http, path):
    echoed = http.get(path, headers={"x-request-id": "req-1.2:3/4+5=_6"})
    assert echoed.headers["x-request-id"] == "req-1.2:3/4+5=_6"
    for odd in ("", "two words", "x" * 129, '"><script>'):
        made = http.get(path, headers={"x-request-id": odd})
        assert made.headers["x-request-id"] not in {"", odd}
    ids = {http.get(path).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


class BrokenStorage(InMemoryStorage):
    """A user's storage that has come to harm."""

    def store(self, entry):
        raise LookupError(f"no room for {entry.prompt}: {entry.response}")

    def namespace_size(self, namespace):
        raise ConnectionError("gone")


def test_what_nobody_foresaw_is_a_500_that_tells_nothing(minilm, caplog, check_problem):
    with (
        MockServer(embedder=minilm, storage=BrokenStorage()) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        response = client.post(
            "/v1/caches/a/entries",
            json={"prompt": "my secret prompt", "response": "my secret response"},
            headers={"authorization": "Bearer my-secret-key", "x-request-id": "req-77"},
        )
        check_problem(response, 500)
        assert "secret" not in response.text
        assert client.get("/health/liveness").status_code == 200
        for path in ("/health", "/health/readiness"):
            unready = client.get(path)
            assert (unready.status_code, unready.json()) == (503, {"ok": False})
    assert "req-77" in caplog.text
    assert "LookupError" in caplog.text
    assert "in store" in caplog.text
    assert "secret" not in caplog.text


def test_logs_at_debug_have_no_prompts_responses_or_keys(minilm, caplog):
    with caplog.at_level(logging.DEBUG), MockServer(embedder=minilm) as server:
        # not httpx, which logs for itself
        body = b'{"prompt": "my secret prompt", "response": "my secret response"}'
        assert send_raw(server, "POST", "/v1/caches/a/entries", body)[0] == 201
        assert send_raw(server, "POST", "/v1/caches/a/entries", body + b"x")[0] == 400
    assert "secret" not in caplog.text
    assert "Bearer" not in caplog.text


class SlowEmbedder:
    """An embedder that waits until it may go on."""

    model_id = "slow"
    dimensions = 384

    def __init__(self, embedder):
        self.embedder = embedder
        self.started = threading.Event()
        self.go_on = threading.Event()

    def embed(self, texts):
        self.started.set()
        assert self.go_on.wait(10)
        return self.embedder.embed(texts)


def test_a_slow_embedding_does_not_keep_others_waiting(minilm):
    embedder = SlowEmbedder(minilm)
    with (
        MockServer(embedder=embedder) as server,
        httpx.Client(base_url=server.url, headers={"authorization": "Bearer k"}) as client,
    ):
        statuses = []

        def put():
            response = client.post("/v1/caches/a/entries", json={"prompt": "p", "response": "r"})
            statuses.append(response.status_code)

        waiting = threading.Thread(target=put)
        waiting.start()
        assert embedder.started.wait(10)
        assert client.get("/health/liveness", timeout=2).status_code == 200
        assert client.get("/v1/caches/a/health", timeout=2).status_code == 200
        assert statuses == []
        embedder.go_on.set()
        waiting.join(10)
        assert statuses == [201]


def test_a_caller_who_hangs_up_leaves_no_trace(mock_server, http, cache_path, caplog):
    address = urlsplit(mock_server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            f"POST {cache_path}/entries HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
            'content-type: application/json\r\ncontent-length: 50\r\n\r\n{"prompt": "p",'.encode()
        )
    response = http.post(f"{cache_path}/entries/search", json={"prompt": "p"})
    assert response.json() == {"data": []}
    assert caplog.text == ""


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_app_works_in_process_without_a_lifespan(minilm, anyio_backend):
    transport = httpx.ASGITransport(create_app(embedder=minilm))
    headers = {"authorization": "Bearer k"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://app", headers=headers
    ) as client:
        body = {"prompt": "p", "response": "r"}
        assert (await client.post("/v1/caches/a%2Fb/entries", json=body)).status_code == 201
        found = await client.post("/v1/caches/a%2Fb/entries/search", json={"prompt": "p"})
        assert found.json()["data"][0]["response"] == "r"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_without_raw_paths_is_served_by_the_decoded_path(minilm, anyio_backend):
    app = create_app(embedder=minilm)

    async def without_raw_path(scope, receive, send):
        await app({key: scope[key] for key in scope if key != "raw_path"}, receive, send)

    transport = httpx.ASGITransport(without_raw_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        headers = {"authorization": "Bearer k"}
        assert (
            await client.get("/v1/caches/a%25b%C3%A9/health", headers=headers)
        ).status_code == 200
        assert (await client.get("/nowhere")).status_code == 404
