"""Several server processes on one Redis answer like one, and bear with a Redis that fails."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

COMMAND = [sys.executable, "-W", "error", "-m", "langcache_mockserver", "--port", "0"]
READY = re.compile(r"langcache-mockserver ready on (\S+)\n")
SET = {"prompt": "Why?", "response": "So."}


@contextlib.contextmanager
def running(*arguments):
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        match = READY.fullmatch(process.stdout.readline())
        assert match
        client = httpx.Client(
            base_url=match[1],
            headers={"authorization": "Bearer key"},
            trust_env=False,
            timeout=20,
        )
        with client:
            yield client, process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()


@pytest.fixture(scope="module")
def two_servers(shared_redis_url):
    arguments = ("--storage", shared_redis_url)
    with running(*arguments) as (one, _), running(*arguments) as (other, _):
        yield one, other


@pytest.fixture
def own_redis(start_redis):
    return start_redis()


@pytest.fixture
def client(own_redis):
    with running("--storage", own_redis.url) as (client, _):
        yield client


PROMPTS = st.sampled_from(["Why?", "why?", "How do I reset my password?", "Is it raining?"])
ATTRIBUTES = st.dictionaries(st.sampled_from(["user", "lang"]), st.sampled_from(["a", "b.c-{d}|e"]))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "exact", "semantic", "delete", "deleteQuery", "flush"]),
        st.integers(0, 1),
        PROMPTS,
        ATTRIBUTES,
    ),
    max_size=12,
)


def matching(entries, prompt, attributes, *, fold):
    def same(one, other):
        return one.casefold() == other.casefold() if fold else one == other

    return {
        id: entry
        for id, entry in entries.items()
        if (prompt is None or same(entry["prompt"], prompt))
        and attributes.items() <= entry["attributes"].items()
    }


@settings(deadline=None, max_examples=25)
@given(steps=STEPS)
def test_two_servers_answer_like_one(two_servers, steps):
    path = f"/v1/caches/two-{uuid.uuid4().hex}"
    model = {}
    for number, (operation, which, prompt, attributes) in enumerate(steps):
        client = two_servers[which]
        if operation == "set":
            entry = {"prompt": prompt, "response": str(number), "attributes": attributes}
            answer = client.post(f"{path}/entries", json=entry)
            assert answer.status_code == 201
            model[answer.json()["entryId"]] = entry
        elif operation in ("exact", "semantic"):
            body = {
                "prompt": prompt,
                "attributes": attributes,
                "searchStrategies": [operation],
                "similarityThreshold": 1,
                "maxResults": 10,
            }
            found = client.post(f"{path}/entries/search", json=body).json()["data"]
            # The model reads no letter case, so neither way of searching tells it apart.
            wanted = matching(model, prompt, attributes, fold=True)
            assert {each["id"]: each["response"] for each in found} == {
                id: entry["response"] for id, entry in wanted.items()
            }
        elif operation == "delete":
            for id in matching(model, prompt, attributes, fold=False):
                assert client.delete(f"{path}/entries/{id}").status_code == 204
                assert two_servers[1 - which].delete(f"{path}/entries/{id}").status_code == 404
                del model[id]
        elif operation == "deleteQuery":
            doomed = matching(model, None, attributes, fold=False)
            body = {"attributes": attributes}
            answer = client.request("DELETE", f"{path}/entries", json=body)
            assert answer.json() == {"deletedEntriesCount": len(doomed)}
            for id in doomed:
                del model[id]
        else:
            assert client.post(f"{path}/flush").status_code == 204
            model = {}
    assert two_servers[0].post(f"{path}/flush").status_code == 204


def statuses(client):
    """What a set, the probe of readiness and that of liveness answer."""
    return (
        client.post("/v1/caches/c/entries", json=SET).status_code,
        client.get("/health/readiness").status_code,
        client.get("/health/liveness").status_code,
    )


def test_a_redis_that_is_gone_and_comes_back(client, own_redis, check_problem):
    assert statuses(client) == (201, 200, 200)
    own_redis.kill()
    check_problem(client.post("/v1/caches/c/entries/search", json={"prompt": "Why?"}), 424)
    assert statuses(client) == (424, 503, 200)
    own_redis.start()
    deadline = time.monotonic() + 10
    while statuses(client) != (201, 200, 200):
        assert time.monotonic() < deadline


def test_a_redis_that_hangs_holds_up_no_request_for_good(client, own_redis):
    assert statuses(client)[0] == 201
    own_redis.pause()
    started = time.monotonic()
    assert statuses(client) == (424, 503, 200)
    assert time.monotonic() - started < 15
    own_redis.resume()
    deadline = time.monotonic() + 10
    while statuses(client) != (201, 200, 200):
        assert time.monotonic() < deadline


def test_requests_and_probes_wait_for_a_redis_that_hangs_together(client, own_redis):
    assert statuses(client)[0] == 201
    own_redis.pause()
    started = time.monotonic()

    def ask(number):
        if number % 5 == 0:
            path = "/health/readiness" if number % 2 else "/metrics"
            return client.get(path).status_code
        body = {"prompt": f"Why {number}?"}
        return client.post("/v1/caches/c/entries/search", json=body).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))
    assert set(answers[1:5]) <= {424, 429}
    assert (answers[0], answers[5]) == (200, 503)
    assert time.monotonic() - started < 15  # a guard: one after the other, they took 100
    own_redis.resume()


def test_the_proxy_goes_on_without_a_redis_that_hangs(own_redis, upstream):
    arguments = ("--storage", own_redis.url, "--proxy-openai", upstream.openai_url)
    with running(*arguments) as (client, _):

        def ask(question):
            body = {"model": "m", "messages": [{"role": "user", "content": question}]}
            response = client.post("/v1/chat/completions", json=body)
            assert response.status_code == 200
            return response.headers["x-langcache"]

        asked = 0
        while ask(f"Why {asked}?") == ask(f"Why {asked}?") == "miss":
            asked += 1  # the cache has a quarter of a second, and this machine may be busy
            assert asked < 50
        own_redis.pause()
        assert [ask(f"Why not {number}?") for number in range(5)] == ["miss"] * 5
        own_redis.resume()
        deadline = time.monotonic() + 20
        while ask(f"Why {asked}?") != "hit":
            assert time.monotonic() < deadline


def test_a_redis_that_is_full_says_so(client, own_redis):
    assert statuses(client)[0] == 201
    with own_redis.client() as redis:
        redis.config_set("maxmemory", 1)
    answer = client.post("/v1/caches/c/entries", json={**SET, "prompt": "How?"})
    assert (answer.status_code, answer.json()["type"]) == (424, "/errors/database-out-of-memory")
    found = client.post("/v1/caches/c/entries/search", json={"prompt": "Why?"})
    assert [each["response"] for each in found.json()["data"]] == ["So."]


def test_a_redis_that_is_not_there_at_the_start_is_waited_for(own_redis):
    own_redis.kill()
    with running("--storage", own_redis.url) as (client, _):
        assert statuses(client) == (424, 503, 200)
        own_redis.start()
        deadline = time.monotonic() + 10
        while statuses(client) != (201, 200, 200):
            assert time.monotonic() < deadline


def children(process):
    return {
        int(pid)
        for listed in Path(f"/proc/{process.pid}/task").glob("*/children")
        for pid in listed.read_text().split()
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are listed from /proc")
def test_a_worker_that_dies_is_replaced_and_loses_nothing(own_redis):
    with running("--storage", own_redis.url, "--workers", "2") as (client, process):
        assert statuses(client) == (201, 200, 200)
        workers = children(process)
        assert len(workers) == 2
        os.kill(min(workers), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(children(process) - {min(workers)}) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for _ in range(20):
            with httpx.Client(base_url=client.base_url, trust_env=False, timeout=20) as another:
                found = another.post(
                    "/v1/caches/c/entries/search",
                    json={"prompt": "Why?"},
                    headers={"authorization": "Bearer key"},
                )
                assert [each["response"] for each in found.json()["data"]] == ["So."]


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are listed from /proc")
def test_workers_end_when_the_process_that_started_them_is_killed(own_redis, tmp_path):
    command = [*COMMAND, "--storage", own_redis.url, "--workers", "2"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # where its files stay
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert READY.fullmatch(process.stdout.readline())
        workers = children(process)
        assert len(workers) == 2
        process.kill()
    deadline = time.monotonic() + 20
    try:
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def refuses(address):
    try:
        socket.create_connection(address, timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def test_workers_that_finish_a_request_let_nobody_else_wait(own_redis):
    with running("--storage", own_redis.url, "--workers", "2", "--shutdown-seconds", "10") as (
        client,
        process,
    ):
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address, timeout=20) as slow:
            slow.sendall(
                b"POST /v1/caches/c/entries HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Authorization: Bearer key\r\nContent-Type: application/json\r\n"
                b"Content-Length: 35\r\nExpect: 100-continue\r\n\r\n"
            )
            assert slow.recv(1000).startswith(b"HTTP/1.1 100")
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 8
            while not refuses(address):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            slow.sendall(b'{"prompt": "Why?", "response": "."}')
            assert slow.recv(1000).startswith(b"HTTP/1.1 201")


def test_workers_count_together(own_redis, tmp_path):
    cache = "c" * 32
    config = {
        "caches": [{"id": cache}],
        "keys": [
            {
                "token": "limited",
                "grants": [{"cache": cache, "actions": ["read"]}],
                "rate_limit": {"requests": 7, "per_seconds": 100_000},
            }
        ],
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    with running("--storage", own_redis.url, "--workers", "2", "--config", str(file)) as (
        client,
        _,
    ):

        def ask(method, path, **options):
            # Another connection, so that any worker may answer.
            with httpx.Client(base_url=client.base_url, trust_env=False, timeout=20) as another:
                return another.request(method, path, **options)

        def searched():
            headers = {"authorization": "Bearer limited"}
            path = f"/v1/caches/{cache}/entries/search"
            return ask("POST", path, json={"prompt": "Why?"}, headers=headers).status_code

        assert sorted(searched() for _ in range(20)) == [200] * 7 + [429] * 13
        counted = f'langcache_lookups_total{{cache="{cache}",outcome="miss"}} 7'
        deadline = time.monotonic() + 20
        # A worker knows of what the other did a second ago.
        for _ in range(4):
            while counted not in ask("GET", "/metrics").text:
                assert time.monotonic() < deadline


@pytest.mark.parametrize("storage", ["memory", "sqlite:cache.db"])
def test_workers_need_a_storage_that_they_can_share(storage):
    run = subprocess.run(
        [*COMMAND, "--storage", storage, "--workers", "2"],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert run.returncode == 2
    assert "--workers: must be 1 with a storage that processes cannot share" in run.stderr


def test_a_password_in_a_malformed_url_is_not_shown():
    run = subprocess.run(
        [*COMMAND, "--storage", "http://user:secret@host"],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert run.returncode == 2
    assert "secret" not in run.stderr
