"""What comes over the wire from somebody who means harm: bytes, headers and JSON of any kind."""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SETTINGS = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
OPERATIONS = st.sampled_from(
    [
        ("POST", "/entries"),
        ("DELETE", "/entries"),
        ("POST", "/entries/search"),
        ("POST", "/conversations/search"),
    ]
)


@pytest.fixture(scope="module")
def exchange(mock_server):
    """Send bytes, end the sending side, and return all that comes back."""
    address = urlsplit(mock_server.url)

    def send(content):
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            answer = b""
            try:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
                while received := connection.recv(65536):
                    answer += received
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has seen enough
        return answer

    return send


def statuses(answer):
    return [int(line[9:12]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@SETTINGS
@given(st.binary(max_size=300))
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # TLS
@example(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
@example(b"GET /health HTTP/1.1\r\n\r\n" * 20)
@example(b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n")
def test_any_bytes_are_answered_or_refused(exchange, content):
    assert all(status < 500 for status in statuses(exchange(content)))


header_names = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz-"), min_size=1, max_size=20)
known_names = st.sampled_from(
    [
        *("host", "accept", "content-length", "transfer-encoding", "expect", "connection"),
        *("upgrade", "range", "cookie", "origin", "if-none-match", "traceparent", "te", "trailer"),
        *("x-forwarded-for", "x-http-method-override"),
    ]
)


@SETTINGS
@given(
    st.lists(
        st.tuples(
            known_names | header_names,
            st.binary(max_size=30)
            | st.sampled_from([b"chunked", b"close", b"100-continue", b"-1"]),
        ),
        max_size=6,
    )
)
@example([("content-length", b"5"), ("content-length", b"6")])
@example([("content-length", b"5"), ("transfer-encoding", b"chunked")])
@example([("content-length", b"9" * 5000)])
def test_any_headers_are_answered_or_refused(exchange, headers):
    lines = b"".join(
        name.encode() + b": " + bytes(byte for byte in value if byte not in b"\r\n") + b"\r\n"
        for name, value in headers
    )
    answer = exchange(
        b"POST /v1/caches/a/entries HTTP/1.1\r\nauthorization: Bearer k\r\n"
        b"content-type: application/json\r\n" + lines + b'\r\n{"prompt":"p","response":"r"}'
    )
    assert all(status < 500 for status in statuses(answer))


def nested(depth, inner, kinds):
    for kind in kinds * (depth // len(kinds) + 1):
        inner = f"[{inner}]" if kind else f'{{"prompt":{inner}}}'
        if (depth := depth - 1) <= 0:
            break
    return inner


@SETTINGS
@given(
    OPERATIONS,
    st.integers(2, 20_000),
    st.sampled_from(["1", '"p"', "NaN", "-Infinity", '"\\ud800"', "1e999", "[", "{}"]),
    st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_json_of_any_depth_is_a_400(http, cache_path, operation, depth, inner, kinds):
    method, path = operation
    content = nested(depth, inner, kinds)
    headers = {"content-type": "application/json"}
    answer = http.request(method, cache_path + path, content=content, headers=headers)
    assert answer.status_code == 400
    assert len(answer.content) < 1000 + 3 * len(content)


texts = st.text(st.characters(), max_size=6)


@SETTINGS
@given(
    OPERATIONS,
    st.lists(
        st.tuples(
            st.sampled_from(["prompt", "response", "attributes", "maxResults"]) | texts,
            st.sampled_from(
                ["NaN", "Infinity", "1e400", "-0", "9" * 400, '"\\udfff"', "{}", '"p"']
            ),
        ),
        max_size=6,
    ),
)
@example(("POST", "/entries"), [("prompt", '"p"'), ("prompt", '"q"'), ("response", '"r"')])
def test_ambiguous_json_is_never_guessed_at(http, cache_path, operation, members):
    method, path = operation
    content = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"
    headers = {"content-type": "application/json"}
    answer = http.request(method, cache_path + path, content=content, headers=headers)
    names = [name for name, _ in members]
    if len(set(names)) < len(names) or any(
        value in {"NaN", "Infinity", "1e400", '"\\udfff"', "9" * 400} for _, value in members
    ):
        assert answer.status_code == 400
    assert answer.status_code < 500


@pytest.mark.parametrize(
    "content",
    [
        b'{"prompt":"' + b"p" * 1_000_000 + b'","response":"r"}',
        b'{"prompt":"p","response":"r","attributes":{'
        + b",".join(b'"a%d":"v"' % number for number in range(70_000))
        + b"}}",
        b"[" + b"1," * 500_000 + b"1]",
        b'{"prompt":' + b"9" * 1_000_000 + b"}",
        b'"' + b"\\ud800" * 170_000 + b'"',
        b" " * 1_048_576,
    ],
)
def test_a_body_as_large_as_may_be_is_refused_without_holding_up_others(
    http, anonymous, cache_path, content
):
    started = time.monotonic()
    headers = {"content-type": "application/json"}
    answer = http.post(f"{cache_path}/entries", content=content, headers=headers)
    assert answer.status_code == 400
    assert anonymous.get("/health").status_code == 200
    assert time.monotonic() - started < 20  # a guard against a hang, no measurement
