import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest
from langcache_mockserver import MockServer, Settings, SettingsError

from langcache.engine import InMemoryStorage

HEADERS = {"authorization": "Bearer k"}


def put(server):
    body = {"prompt": "p", "response": "r"}
    return httpx.post(f"{server.url}/v1/caches/a/entries", json=body, headers=HEADERS).status_code


def found(server):
    url = f"{server.url}/v1/caches/a/entries/search"
    return httpx.post(url, json={"prompt": "p"}, headers=HEADERS).json()["data"]


def test_it_answers_within_the_block_and_lets_go_of_port_and_thread_after(minilm):
    threads = threading.active_count()
    with MockServer(embedder=minilm) as server:
        url = urlsplit(server.url)
        assert httpx.get(f"{server.url}/health").json() == {"ok": True}
        assert put(server) == 201
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((url.hostname, url.port), timeout=1)
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == threads


def test_it_loads_minilm_by_itself():
    with MockServer() as server:
        assert put(server) == 201
        assert len(found(server)) == 1


def test_two_servers_share_nothing(minilm):
    with MockServer(embedder=minilm) as one, MockServer(embedder=minilm) as two:
        assert one.url != two.url
        assert put(one) == 201
        assert found(two) == []
        assert len(found(one)) == 1


def test_it_starts_again_empty_or_with_the_storage_it_was_given(minilm):
    server = MockServer(embedder=minilm)
    keeping = MockServer(embedder=minilm, storage=InMemoryStorage())
    for expected in (0, 1):
        with server, keeping:
            assert len(found(server)) == 0
            assert len(found(keeping)) == expected
            assert put(server) == put(keeping) == 201


def test_options_hold(minilm):
    with MockServer(embedder=minilm, max_body_bytes=40, default_threshold=0) as server:
        assert put(server) == 201
        url = f"{server.url}/v1/caches/a/entries/search"
        response = httpx.post(url, json={"prompt": "Zebras are striped"}, headers=HEADERS)
        assert len(response.json()["data"]) == 1
        assert httpx.post(url, json={"prompt": "p" * 40}, headers=HEADERS).status_code == 413


def test_a_port_that_is_taken_is_an_oserror(minilm):
    with (
        MockServer(embedder=minilm) as server,
        pytest.raises(OSError, match="in use"),
        MockServer(embedder=minilm, port=urlsplit(server.url).port),
    ):
        pass


def test_it_has_no_url_when_it_does_not_run(minilm):
    server = MockServer(embedder=minilm)
    with pytest.raises(RuntimeError, match="is not running"):
        _ = server.url
    with server, pytest.raises(RuntimeError, match="already running"), server:
        pass


def test_it_stops_when_the_block_fails(minilm):
    server = MockServer(embedder=minilm)
    urls = []
    with pytest.raises(KeyError), server:
        raise KeyError(urls.append(server.url))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{urls[0]}/health")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 65536}, "port: must be from 0 to 65535, got 65536"),
        ({"default_threshold": 1.1}, "default_threshold: must be from 0 to 1, got 1.1"),
        ({"max_body_bytes": 0}, "max_body_bytes: must be at least 1, got 0"),
        ({"host": ""}, "host: must not be empty, got ''"),
    ],
)
def test_an_option_that_breaks_its_rule_is_named(options, message):
    for make in (MockServer, Settings):
        with pytest.raises(SettingsError) as caught:
            make(**options)
        assert str(caught.value) == message
