"""The caching proxy in front of upstreams that answer in unusual ways."""

import contextlib
import gzip
import json
import socketserver
import threading
import time
from dataclasses import replace

import httpx
import pytest

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Paris."},
        }
    ],
}


@contextlib.contextmanager
def answering(*parts, wait=0.0):
    """Run an upstream that answers each request with these bytes; gives its URL."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            length = 0
            while line := self.rfile.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split()[1])
            self.rfile.read(length)
            with contextlib.suppress(OSError):  # the proxy may have left
                for part in parts:
                    self.wfile.write(part)
                    time.sleep(wait)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


def whole(body, *headers):
    """Return the bytes of a response with a body that ends with the connection."""
    lines = [b"HTTP/1.1 200 OK", b"content-type: application/json", *headers]
    return b"\r\n".join([*lines, b"connection: close", b"", body])


def stream(*events):
    """Return the bytes of a response with a stream of events."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return head + b"".join(b"data: %b\n\n" % _text(event) for event in events)


def _text(event):
    return event.encode() if isinstance(event, str) else json.dumps(event).encode()


def chunk(content=None, finish_reason=None):
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {**ANSWER, "object": "chat.completion.chunk", "choices": [choice]}


@pytest.fixture
def proxy_of(serve, configured):
    """Serve a proxy of the upstream at a URL; gives a function that asks it something."""

    @contextlib.contextmanager
    def proxying(url, timeout_seconds=600.0):
        arguments = configured({"upstreams": [{"api": "openai", "url": url}]})
        proxy = replace(arguments["configuration"].proxy, timeout_seconds=timeout_seconds)
        arguments["configuration"] = replace(arguments["configuration"], proxy=proxy)
        turns = [{"role": "user", "content": "What is the capital of France?"}]
        with serve(**arguments) as client:
            yield lambda **changes: client.post(
                "/v1/chat/completions", json={"model": "m", "messages": turns, **changes}
            )

    return proxying


@pytest.mark.parametrize("name", ["模型".encode(), b"M\xfcller"])
def test_headers_pass_as_they_are(proxy_of, name):
    headers = [b"x-name: " + name, b"x-two: 1", b"x-two: 2"]
    with answering(whole(json.dumps(ANSWER).encode(), *headers)) as url, proxy_of(url) as ask:
        response = ask()
    assert response.status_code == 200
    assert response.json() == ANSWER
    raw = dict(response.headers.raw)
    assert (raw[b"x-name"], raw[b"x-two"]) == (name, b"1, 2")


def test_a_compressed_answer_is_decoded(proxy_of):
    body = gzip.compress(json.dumps(ANSWER).encode())
    with answering(whole(body, b"content-encoding: gzip")) as url, proxy_of(url) as ask:
        first, second = ask(), ask()
    assert "content-encoding" not in first.headers
    assert first.json() == second.json() == ANSWER
    assert second.headers["x-langcache"] == "hit"


def test_an_answer_in_an_unknown_coding_passes_as_it_is(proxy_of):
    with answering(whole(b"\x8b\x02", b"content-encoding: odd")) as url, proxy_of(url) as ask:
        first, second = ask(), ask()
    assert (first.headers["content-encoding"], first.content) == ("odd", b"\x8b\x02")
    assert second.headers["x-langcache"] == "miss"


def test_what_follows_the_end_of_a_stream_is_not_stored(proxy_of):
    sent = stream(chunk("Paris."), chunk(finish_reason="stop"), "[DONE]", chunk("More."))
    with answering(sent) as url, proxy_of(url) as ask:
        assert "More." in ask(stream=True).text
        again = ask(stream=True)
        served = ask()
    assert again.headers["x-langcache"] == "hit"
    assert again.text.endswith("data: [DONE]\n\n")
    assert "More." not in again.text
    assert served.json()["choices"][0]["message"]["content"] == "Paris."


def test_a_deeply_nested_request_is_passed_on(proxy_of):
    nested = []
    for _ in range(700):
        nested = [nested]
    turns = [{"role": "user", "content": [{"type": "text", "text": "Hello", "nested": nested}]}]
    with answering(whole(json.dumps(ANSWER).encode())) as url, proxy_of(url) as ask:
        assert ask(messages=turns).json() == ANSWER


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://127.0.0.1:99999/v1"])
def test_an_upstream_with_an_impossible_address_is_a_502(proxy_of, url):
    with proxy_of(url) as ask:
        response = ask()
    assert response.status_code == 502
    assert "the upstream cannot be reached" in response.json()["error"]["message"]


def test_a_head_that_trickles_in_is_a_504(proxy_of):
    head = b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300
    trickle = answering(*(bytes([each]) for each in head), wait=0.05)
    with trickle as url, proxy_of(url, timeout_seconds=0.3) as ask:
        response = ask()
    assert response.status_code == 504


def test_a_body_that_takes_too_long_is_a_504(proxy_of):
    parts = [whole(b"{"), *[b" "] * 3]
    with answering(*parts, wait=0.4) as url, proxy_of(url, timeout_seconds=0.6) as ask:
        assert ask().status_code == 504


def test_a_stream_that_takes_too_long_breaks(proxy_of):
    parts = [stream(chunk("a")), *[b": wait\n\n"] * 300]
    with (
        answering(*parts, wait=0.05) as url,
        proxy_of(url, timeout_seconds=0.3) as ask,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        ask(stream=True)
