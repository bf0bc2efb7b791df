import json
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import examples

OPERATIONS = [
    ("POST", "/entries"),
    ("DELETE", "/entries"),
    ("POST", "/entries/search"),
    ("POST", "/conversations/search"),
]
MEMBERS = (
    "prompt response attributes ttlMillis similarityThreshold searchStrategies maxResults context"
)
SETTINGS = settings(
    max_examples=examples(50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2)
    | st.sampled_from(
        [2**63, 2**64, -(2**63) - 1, 10**308, 1e308, -0.0, 5e-324, "exact", "semantic"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(MEMBERS.split()) | st.text(), values, max_size=8)


def send(client, cache_path, operation, content):
    method, path = operation
    headers = {"content-type": "application/json"}
    return client.request(method, f"{cache_path}{path}", content=content, headers=headers)


@SETTINGS
@given(st.sampled_from(OPERATIONS), st.binary(max_size=200))
@example(("POST", "/entries"), b"\x00")
def test_any_bytes_as_a_body_are_a_400(http, cache_path, operation, content):
    response = send(http, cache_path, operation, content)
    assert response.status_code == 400
    assert response.json()["fields"]


@SETTINGS
@given(st.sampled_from(OPERATIONS), bodies)
def test_any_json_as_a_body_is_understood_or_a_400(http, cache_path, operation, body):
    response = send(http, cache_path, operation, json.dumps(body))
    assert response.status_code in {200, 201, 400}, response.text
    if response.status_code == 400:
        fields = response.json()["fields"]
        assert 1 <= len(fields) <= 20
        assert all(field["field"] and field["rule"] and field["message"] for field in fields)
    else:
        json.dumps(body, allow_nan=False)  # what was understood has no NaN in it


valid_bodies = st.fixed_dictionaries(
    {"prompt": st.text(st.characters(codec="utf-8"), min_size=1, max_size=1024)},
    optional={
        "similarityThreshold": st.floats(0, 1),
        "searchStrategies": st.lists(st.sampled_from(["exact", "semantic"]), min_size=1),
        "maxResults": st.integers(1, 2**31 - 1),
        "context": st.lists(st.text(st.characters(codec="utf-8"), min_size=1)),
        "attributes": st.dictionaries(
            st.from_regex(r"\A[a-zA-Z0-9_-]{1,32}\Z"), st.text(st.characters(codec="utf-8"))
        ).filter(lambda attributes: len(attributes) <= 5),
    },
)


@SETTINGS
@given(valid_bodies)
def test_every_valid_prompt_is_found_again_as_it_is(http, cache_path, body):
    prompt = body["prompt"]
    entry = json.dumps({"prompt": prompt, "response": prompt})
    assert send(http, cache_path, ("POST", "/entries"), entry).status_code == 201
    query = {"prompt": prompt, "searchStrategies": ["exact"], "maxResults": 2**31 - 1}
    found = send(http, cache_path, ("POST", "/entries/search"), json.dumps(query)).json()["data"]
    assert prompt in {each["response"] for each in found}
    answer = send(http, cache_path, ("POST", "/conversations/search"), json.dumps(body))
    assert answer.status_code == 200


@pytest.fixture(scope="module")
def exchange(mock_server):
    """Send a request line and headers as they are, and return the status that came back."""
    address = urlsplit(mock_server.url)

    def send_bytes(request):
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(request)
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 "), answer
        return int(answer.split()[1])

    return send_bytes


PIECES = [
    "/",
    "v1",
    "caches",
    "entries",
    "search",
    "flush",
    "health",
    "conversations",
    "a",
    "..",
    ".",
]
ODD = [
    "%2F",
    "%2f",
    "%2e",
    "%00",
    "%",
    "%ff",
    "%zz",
    "%C3%A9",
    "?",
    "#",
    ";",
    "//",
    "\\",
    "\xe9",
    "*",
    ":",
]
targets = st.lists(st.sampled_from(PIECES + ODD) | st.text(max_size=2), max_size=10).map("".join)


@SETTINGS
@given(st.sampled_from(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "FOO"]), targets, st.booleans())
def test_no_request_line_is_a_server_error(exchange, method, target, rooted):
    path = f"/v1/caches/{target}" if rooted else target
    request = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n\r\n"
    assert 200 <= exchange(request.encode("utf-8", "surrogatepass")) < 500


@SETTINGS
@given(st.binary(max_size=60))
def test_no_header_is_a_server_error(exchange, value):
    value = bytes(byte for byte in value if byte not in b"\r\n")
    for name in (b"authorization", b"content-type", b"content-encoding", b"x-request-id"):
        request = (
            b"POST /v1/caches/a/entries HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n"
            + name + b": " + value + b"\r\n\r\n"
        )  # fmt: skip
        assert 200 <= exchange(request) < 500


@SETTINGS
@given(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text not in {".", ".."})
)
def test_any_text_may_be_the_id_of_a_cache(anonymous, cache_id):
    quoted = "".join(f"%{byte:02X}" for byte in cache_id.encode())
    headers = {"authorization": "Bearer k"}
    response = anonymous.get(f"/v1/caches/{quoted}/health", headers=headers)
    assert response.status_code == 200
