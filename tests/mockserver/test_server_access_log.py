import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langcache_mockserver import Settings
from langcache_mockserver.http.exchange import Exchange
from langcache_mockserver.watch.access_log import LOGGER, AccessLog
from upstream import Upstream

FIELDS = [
    "time",
    "request_id",
    "asked_id",
    "client",
    "method",
    "path",
    "operation",
    "cache_id",
    "status",
    "duration_ms",
    "bytes_in",
    "bytes_out",
    "outcome",
]
PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "=]*)(?: |$)')


@pytest.fixture
def lines(caplog):
    """The lines that were logged, once there are so many."""
    caplog.set_level(logging.DEBUG)

    def read(count):
        deadline = time.monotonic() + 5  # a request is logged when its answer has been sent
        while True:
            found = [each.getMessage() for each in caplog.records if each.name == LOGGER]
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) == count, found
                return found

    return read


def put(client, **fields):
    body = {"prompt": "the-secret-prompt", "response": "the-secret-response", **fields}
    return client.post("/v1/caches/a/entries?key=the-secret-query", json=body)


def test_a_request_is_one_json_object_with_all_fields(serve, lines):
    with serve(Settings(access_log="json")) as client:
        response = put(client)
        asked = client.post(
            "/v1/caches/b%2Fc/entries/search",
            json={"prompt": "nothing"},
            headers={"x-request-id": "mine-1"},
        )
        first, second = map(json.loads, lines(2))
    assert list(first) == list(second) == FIELDS
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert first["request_id"] == response.headers["x-request-id"]
    assert (second["request_id"], second["asked_id"]) == ("mine-1", "mine-1")
    assert first["asked_id"] == ""
    assert (first["client"], first["method"]) == ("127.0.0.1", "POST")
    assert (first["path"], second["path"]) == (
        "/v1/caches/a/entries",
        "/v1/caches/b%2Fc/entries/search",
    )
    assert (first["operation"], second["operation"]) == ("set", "search")
    assert (first["cache_id"], second["cache_id"]) == ("a", "b/c")
    assert (first["status"], second["status"]) == (201, 200)
    assert first["bytes_in"] == len(response.request.content)
    assert second["bytes_out"] == len(asked.content)
    assert (first["outcome"], second["outcome"]) == ("", "miss")
    assert 0 < first["duration_ms"] < 20_000


def test_text_has_the_same_fields(serve, lines):
    with serve(Settings(access_log="text")) as client:
        put(client)
        (line,) = lines(1)
    pairs = dict(PAIR.findall(line))
    assert list(pairs) == FIELDS
    assert (pairs["status"], pairs["cache_id"], pairs["outcome"]) == ("201", "a", '""')


def test_it_is_off_by_default(serve, lines):
    with serve(Settings()) as client:
        assert put(client).status_code == 201
    assert lines(0) == []


def test_refused_requests_are_logged_too(serve, lines):
    with serve(Settings(access_log="json")) as client:
        client.get("/nowhere")
        client.get("/v1/caches/a/health", headers={"authorization": "none"})
        put(client, ttlMillis=-1)
        assert [json.loads(line)["status"] for line in lines(3)] == [404, 401, 400]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_key_prompt_response_attribute_or_query_is_in_any_log(serve, lines, caplog, form):
    with serve(Settings(access_log=form, log_level="debug")) as client:
        put(client)
        put(client, attributes={"user": "the-secret-user"})
        put(client, attributes={"user": "the-secret,user"})  # refused
        client.post("/v1/caches/a/entries/search", json={"prompt": "the-secret-prompt"})
        client.post("/v1/caches/a/entries", content=b'{"the-secret-field": the-secret-value}')
        lines(5)
    assert "secret" not in "\n".join(
        each.getMessage() for each in caplog.records if each.name.startswith("langcache")
    )


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["text", "json"]), texts, texts, texts)
def test_no_text_of_the_caller_can_forge_a_line_or_a_field(form, path, asked_id, cache_id):
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        exchange = Exchange("id", "GET", path, asked_id, "::1", "search", cache_id)
        AccessLog(form)(exchange)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (line,) = logged
    assert line.isascii()
    assert line.isprintable()
    if form == "json":
        fields = json.loads(line)
        assert list(fields) == FIELDS
        assert (fields["path"], fields["cache_id"]) == (path, cache_id)
    else:
        assert "".join(match[0] for match in PAIR.finditer(line)) == line
        assert [name for name, _ in PAIR.findall(line)] == FIELDS


@contextmanager
def running(*arguments):
    """Run the command until it is ready; gives the process and its URL."""
    command = [sys.executable, "-m", "langcache_mockserver", "--port=0", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.communicate()


def test_the_command_writes_it_to_standard_error_whatever_the_log_level():
    with running("--access-log=json", "--log-level=critical") as (process, url):
        assert httpx.get(f"{url}/health/liveness", trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    (line,) = errors.splitlines()
    assert json.loads(line)["path"] == "/health/liveness"


def test_at_log_level_debug_nothing_secret_is_logged():
    with running("--access-log=text", "--log-level=debug") as (process, url):
        headers = {"authorization": "Bearer the-secret-key"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            assert put(client).status_code == 201
            assert put(client, ttlMillis="the-secret-ttl").status_code == 400
            search = {"prompt": "the-secret-prompt", "context": ["the-secret-context"]}
            assert client.post("/v1/caches/a/conversations/search", json=search).status_code == 200
            bad_key = {"authorization": "Bearer the secret key"}
            assert client.get("/v1/caches/a/health", headers=bad_key).status_code == 401
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
    assert len(errors.splitlines()) >= 4
    assert "secret" not in output + errors


def test_at_log_level_debug_nothing_secret_of_the_proxy_is_logged():
    with (
        Upstream() as upstream,
        running("--log-level=debug", f"--proxy-openai={upstream.openai_url}") as (process, url),
    ):
        turns = [{"role": "user", "content": "the-secret-prompt"}]
        response = httpx.post(
            f"{url}/v1/chat/completions?key=the-secret-parameter",
            json={"model": "m", "messages": turns},
            headers={"authorization": "Bearer the-secret-key"},
            trust_env=False,
        )
        assert response.status_code == 200
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
    assert "secret" not in output + errors
