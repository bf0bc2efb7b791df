"""OpenAIEmbedder against a real endpoint on the loopback interface."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from langcache.engine import EmbedderError, EmbeddingsCache, OpenAIEmbedder
from langcache.engine.verify import LLMVerifier

KEY = "sk-SECRET-KEY"


def vector_of(text):
    return [len(text) + 1.0, 2.0, 3.0]


def embeddings(texts):
    """The endpoint's response in reverse order: only the index identifies the text of a vector."""
    items = [
        {"object": "embedding", "index": index, "embedding": vector_of(text)}
        for index, text in enumerate(texts)
    ]
    return 200, {"object": "list", "data": items[::-1], "model": "m", "usage": {}}


class Endpoint:
    """Returns each of `answers` once, then vectors; records the requests.

    An answer is (status, JSON or bytes) or (status, JSON or bytes, headers); None closes the
    connection.
    """

    def __init__(self):
        self.answers = []
        self.requests = []
        self.headers = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append(body)
                endpoint.headers.append((self.path, dict(self.headers)))
                answer = endpoint.answers.pop(0) if endpoint.answers else embeddings(body["input"])
                if answer is None:
                    return
                status, content, headers = (*answer, {})[:3]
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": len(data), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def endpoint():
    running = Endpoint()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts, which are not made."""
    made = []
    # Of this module only: other threads sleep, too.
    monkeypatch.setattr(
        "langcache.engine.embedders.openai.time", SimpleNamespace(sleep=made.append)
    )
    return made


@pytest.fixture
def make(endpoint):
    return lambda **options: OpenAIEmbedder(
        "m", **{"api_key": KEY, "base_url": endpoint.url} | options
    )


def unit(*rows):
    array = np.array(rows)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


# Requests and responses


def test_texts_become_vectors_of_unit_length_in_their_order(make):
    vectors = make().embed(["a", "bbbb", ""])
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert vectors == pytest.approx(unit([2, 2, 3], [5, 2, 3], [1, 2, 3]))


def test_the_asynchronous_twin_answers_alike(make):
    embedder = make()
    assert np.array_equal(asyncio.run(embedder.aembed(["a", "bb"])), embedder.embed(["a", "bb"]))


def test_the_request_is_that_of_the_api(make, endpoint):
    make(base_url=endpoint.url + "/").embed(["a", "Ω"])
    assert endpoint.requests == [{"model": "m", "input": ["a", "Ω"]}]
    ((path, headers),) = endpoint.headers
    assert path == "/v1/embeddings"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"


def test_texts_are_sent_in_batches(make, endpoint):
    texts = ["a" * length for length in range(7)]
    vectors = make(batch_size=3).embed(texts)
    assert [request["input"] for request in endpoint.requests] == [texts[:3], texts[3:6], texts[6:]]
    assert vectors == pytest.approx(unit(*map(vector_of, texts)))


def test_lone_surrogates_are_sent_as_replacement_characters(make, endpoint):
    make().embed(["a\ud800b", "\U0001f600"])
    assert endpoint.requests[0]["input"] == ["a\ufffdb", "\U0001f600"]


def test_dimensions_are_asked_for_and_part_of_the_models_id(make, endpoint):
    embedder = make(dimensions=3)
    assert (embedder.dimensions, embedder.model_id) == (3, "m@3")
    embedder.embed(["a"])
    assert endpoint.requests == [{"model": "m", "input": ["a"], "dimensions": 3}]


def test_dimensions_not_asked_for_are_found_out_once(make, endpoint):
    embedder = make()
    assert embedder.model_id == "m"
    assert embedder.dimensions == embedder.dimensions == 3
    assert len(endpoint.requests) == 1


def test_with_a_cache_each_text_is_sent_once(make, endpoint):
    embedder = make(cache=EmbeddingsCache())
    first = embedder.embed(["a", "bb"])
    assert np.array_equal(embedder.embed(["bb", "a"]), first[::-1])
    assert [request["input"] for request in endpoint.requests] == [["a", "bb"]]
    assert embedder.dimensions == 3


def test_no_texts_make_no_vectors(make):
    assert make().embed([]).shape == (0, 3)


@pytest.mark.parametrize("texts", ["a text", [b"bytes"], ["a", None]])
def test_what_are_no_texts_is_refused(make, endpoint, texts):
    with pytest.raises(TypeError, match="texts"):
        make().embed(texts)
    assert endpoint.requests == []


# Settings


def test_key_and_address_come_from_the_environment(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    OpenAIEmbedder("m").embed(["a"])
    assert endpoint.headers[0][1]["Authorization"] == "Bearer from-environment"


def test_an_endpoint_of_ones_own_needs_no_key(make, endpoint):
    make(api_key=None).embed(["a"])
    assert "Authorization" not in endpoint.headers[0][1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": None, "api_key": None}, "api_key: is required, because OPENAI_API_KEY"),
        ({"api_key": "a\nb"}, "api_key: must be printable ASCII"),
        ({"base_url": "localhost:80"}, "base_url: must be an http or https URL"),
        ({"base_url": "file:///etc/passwd"}, "base_url: must be an http or https URL"),
        ({"base_url": "http://user:SECRET@host/v1"}, "base_url: must not have a user"),
        ({"base_url": "http://host/v1?key=SECRET"}, "base_url: must not have a user, query"),
        ({"dimensions": 0}, "dimensions: must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: must be at least 1, got 0"),
        ({"max_retries": -1}, "max_retries: must be at least 0, got -1"),
        ({"timeout": 0}, "timeout: must be above 0, got 0"),
    ],
)
def test_a_bad_setting_is_refused(make, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(**options)
    assert "SECRET" not in str(caught.value)


def test_the_repr_shows_no_key(make):
    assert repr(make()) == "OpenAIEmbedder('m')"


# Failures


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(make, endpoint, pauses, status):
    endpoint.answers = [(status, {}), None]
    assert make().embed(["a"]).shape == (1, 3)
    assert len(endpoint.requests) == 3
    assert 0 <= pauses[0] <= 0.5
    assert 0 <= pauses[1] <= 1


def test_the_pause_is_as_long_as_the_endpoint_asks_for_up_to_a_minute(make, endpoint, pauses):
    endpoint.answers = [
        (429, {}, {"Retry-After": "7"}),
        (503, {}, {"Retry-After": "99999"}),
        (503, {}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    ]
    make(max_retries=3).embed(["a"])
    assert pauses[:2] == [7, 60]
    assert pauses[2] <= 2


def test_a_failure_that_lasts_is_an_error_with_its_status(make, endpoint, pauses):
    endpoint.answers = [(503, {})] * 3
    with pytest.raises(EmbedderError, match=r"^the endpoint returned 503$") as caught:
        make().embed(["a"])
    assert caught.value.status == 503
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 301, 302, 307])
def test_what_will_not_pass_is_not_tried_again(make, endpoint, status):
    other = {"Location": f"{endpoint.url}/elsewhere"}
    endpoint.answers = [(status, {}, other)]
    with pytest.raises(EmbedderError, match=f"^the endpoint returned {status}$") as caught:
        make().embed(["a"])
    assert caught.value.status == status
    assert len(endpoint.requests) == 1


def test_an_error_shows_the_code_but_neither_key_nor_text(make, endpoint):
    endpoint.answers = [
        (401, {"error": {"message": f"Wrong key {KEY} for TEXT", "code": "invalid_api_key"}}),
        (400, {"error": {"message": "TEXT", "code": "TEXT"}}),
        (400, b"TEXT"),
        (200, b"TEXT"),
    ]
    shown = []
    for _ in range(4):
        with pytest.raises(EmbedderError) as caught:
            make().embed(["TEXT"])
        shown.append(str(caught.value))
        everything = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value)
        assert KEY not in everything
        assert "TEXT" not in everything
    assert shown[0] == "the endpoint returned 401 (invalid_api_key)"


def test_an_endpoint_that_is_not_there_is_an_error(make, pauses):
    with pytest.raises(EmbedderError, match=r"^the endpoint cannot be reached \(") as caught:
        make(base_url="http://127.0.0.1:9/v1").embed(["a"])
    assert caught.value.status is None
    assert len(pauses) == 2


def test_an_answer_that_breaks_off_is_an_error(make, endpoint):
    endpoint.answers = [(200, b"{", {"Content-Length": 100, "Connection": "close"})]
    with pytest.raises(EmbedderError, match="cannot be reached"):
        make(max_retries=0).embed(["a"])


def test_an_endpoint_that_does_not_answer_in_time_is_an_error(make, endpoint):
    release = threading.Event()

    class Slow(list):
        def pop(self, _):
            release.wait(5)

    endpoint.answers = Slow([None])
    try:
        with pytest.raises(EmbedderError, match=r"cannot be reached \(timed out\)"):
            make(timeout=0.1, max_retries=0).embed(["a"])
    finally:
        release.set()


def item(index, *numbers):
    return {"index": index, "embedding": list(numbers)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not JSON", "something other than vectors"),
        (b"[" * 100_000, "something other than vectors"),
        ([], "something other than vectors"),
        ({"data": None}, "something other than vectors"),
        ({"data": [item(0, 1, 0), {"index": 1}]}, "something other than vectors"),
        ({"data": [item(0, 1, 0)]}, "returned 1 vectors for 2 texts"),
        ({"data": [item(0, 1, 0)] * 3}, "returned 3 vectors for 2 texts"),
        ({"data": [item(0, 1, 0)] * 2}, "something other than vectors"),
        ({"data": [item(0, 1, 0), item(2, 0, 1)]}, "something other than vectors"),
        ({"data": [item(0, 1, 0), item(1, 1)]}, "all of the same length"),
        ({"data": [item(0, 1, 0), item(1, 1, "x")]}, "must be numbers"),
        ({"data": [item(0), item(1)]}, "finite and not zero"),
        ({"data": [item(0, 1, 0), item(1, 0, 0)]}, "finite and not zero"),
        ({"data": [item(0, 1, 0), item(1, 1, float("nan"))]}, "finite and not zero"),
        ({"data": [item(0, 1, 0), item(1, 1, 1e400)]}, "finite and not zero"),
    ],
)
def test_an_answer_without_a_vector_for_each_text_is_an_error(make, endpoint, content, message):
    endpoint.answers = [(200, content)]
    with pytest.raises(EmbedderError, match=message):
        make().embed(["a", "b"])
    assert len(endpoint.requests) == 1


def test_vectors_of_other_dimensions_are_an_error(make, endpoint):
    with pytest.raises(EmbedderError, match=r"must have shape \(1, 4\), got \(1, 3\)"):
        make(dimensions=4).embed(["a"])
    embedder = make()
    embedder.embed(["a"])
    endpoint.answers = [(200, {"data": [item(0, 1, 0)]})]
    with pytest.raises(EmbedderError, match=r"must have shape \(1, 3\), got \(1, 2\)"):
        embedder.embed(["a"])


def test_threads_share_an_embedder(make):
    embedder = make()
    found = {}

    def embed(number):
        text = "a" * number
        found[number] = [embedder.embed([text])[0] for _ in range(5)]

    threads = [threading.Thread(target=embed, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, vectors in found.items():
        for each in vectors:
            assert each == pytest.approx(unit(vector_of("a" * number))[0])


def test_importing_the_engine_does_not_import_http():
    code = """
import sys
import langcache.engine.embedders.openai
print([name for name in ("http.client", "urllib.request") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"base_url": "http://host:99999"}, "base_url"),
        ({"base_url": f"http://{'a' * 64}"}, "base_url"),
        ({"base_url": "http://a..b"}, "base_url"),
        ({"timeout": 1e14}, "timeout"),
        ({"timeout": 10**400}, "timeout"),
    ],
)
@pytest.mark.parametrize("make", [OpenAIEmbedder, LLMVerifier])
def test_values_that_the_system_refuses_are_named(make, options, name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        make("model", api_key="k", **options)


def test_an_endless_response_is_not_read_to_its_end(make, endpoint, monkeypatch):
    monkeypatch.setattr("langcache.engine.embedders._http._MOST_BYTES", 1000)
    monkeypatch.setattr("langcache.engine.embedders._http._PART_BYTES", 100)
    for status in (200, 400):
        endpoint.answers = [(status, b"x" * 5000, {})]
        with pytest.raises(EmbedderError, match="the response has more than 1000 bytes"):
            make(max_retries=0).embed(["a"])
