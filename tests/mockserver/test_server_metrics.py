import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langcache_mockserver import Settings
from langcache_mockserver.http.exchange import Exchange
from langcache_mockserver.watch.metrics import MOST_CACHES, Metrics
from langcache_mockserver.watch.worker_files import WorkerFiles

from langcache.engine import InMemoryStorage

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\[\\"n])*)"')


@pytest.fixture
def client(serve):
    with serve(Settings()) as client:
        yield client


def parse(text):
    """Return the samples of an exposition by name and labels; every line must be well-formed."""
    samples = {}
    for line in text.removesuffix("\n").split("\n"):
        if re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+", line):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        labels = tuple(
            (name, re.sub(r"\\(.)", lambda each: {"n": "\n"}.get(each[1], each[1]), value))
            for name, value in LABEL.findall(match[2] or "")
        )
        assert (match[1], labels) not in samples, line
        samples[match[1], labels] = float(match[3])
    return samples


def scrape(client):
    response = client.get("/metrics", headers={"authorization": "none"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(response.text)


def put(client, prompt="How do I reset my password?", cache="a", **fields):
    body = {"prompt": prompt, "response": "the-secret-response", **fields}
    assert client.post(f"/v1/caches/{cache}/entries", json=body).status_code == 201


def search(client, prompt, cache="a", **fields):
    response = client.post(f"/v1/caches/{cache}/entries/search", json={"prompt": prompt, **fields})
    assert response.status_code == 200
    return response.json()["data"]


def requests_total(samples, operation, method, status):
    labels = (("operation", operation), ("method", method), ("status", str(status)))
    return samples.get(("langcache_requests_total", labels), 0)


def lookups(samples, cache):
    return {
        dict(labels)["outcome"]: value
        for (name, labels), value in samples.items()
        if name == "langcache_lookups_total" and dict(labels)["cache"] == cache
    }


def searched(cache_id, outcome):
    return Exchange(
        "id", "POST", "/", operation="search", cache_id=cache_id, outcome=outcome, status=200
    )


def test_the_metrics_of_workers_are_added_up(tmp_path):
    workers = [Metrics(InMemoryStorage(), WorkerFiles(tmp_path, process)) for process in "012"]
    for number, metrics in enumerate(workers):
        for _ in range(number + 1):
            metrics.observe_request(searched("a", "hit"))
        metrics.observe_request(searched(f"b{number}", "miss"))
        metrics.observe_storage("search", 0.002 * (number + 1))
    for number in (1, 2):
        WorkerFiles(tmp_path, str(number)).write(workers[number]._state())
    (tmp_path / "9.json").write_text("broken")
    samples = parse(workers[0].text())
    assert lookups(samples, "a") == {"hit": 6}
    assert [lookups(samples, f"b{number}") for number in range(3)] == [{"miss": 1}] * 3
    assert requests_total(samples, "search", "POST", 200) == 9
    operation = ("operation", "search")
    name = "langcache_storage_duration_seconds"
    assert samples[f"{name}_count", (operation,)] == 3
    assert samples[f"{name}_sum", (operation,)] == pytest.approx(0.012)
    assert samples[f"{name}_bucket", (operation, ("le", "0.0025"))] == 1
    assert samples["langcache_cache_entries", (("cache", "b2"),)] == 0


def test_a_sum_of_workers_is_never_less_than_one_that_was_shown(tmp_path):
    one, other = (Metrics(InMemoryStorage(), WorkerFiles(tmp_path)) for _ in range(2))
    for _ in range(10):
        one.observe_request(searched("a", "hit"))
    assert lookups(parse(one.text()), "a") == {"hit": 10}
    # Nobody waits for the files, and the first worker may be killed now.
    assert lookups(parse(other.text()), "a") == {"hit": 10}
    other.observe_request(searched("a", "hit"))
    assert lookups(parse(other.text()), "a") == {"hit": 11}
    assert lookups(parse(one.text()), "a") == {"hit": 11}


def test_requests_are_counted_by_operation_method_and_status(client):
    put(client)
    put(client)
    search(client, "p")
    client.post("/v1/caches/a/entries", content=b"{", headers={"content-type": "application/json"})
    client.put("/v1/caches/a/entries")
    client.get("/nowhere")
    client.request("PURGE", "/nowhere")
    samples = scrape(client)
    assert requests_total(samples, "set", "POST", 201) == 2
    assert requests_total(samples, "set", "POST", 400) == 1
    assert requests_total(samples, "search", "POST", 200) == 1
    assert requests_total(samples, "other", "PUT", 405) == 1
    assert requests_total(samples, "other", "GET", 404) == 1
    assert requests_total(samples, "other", "other", 404) == 1
    assert samples["langcache_request_duration_seconds_count", (("operation", "set"),)] == 3
    assert requests_total(scrape(client), "other", "GET", 200) == 1  # the first scrape


def test_buckets_are_cumulative_and_end_with_all(client):
    for _ in range(3):
        put(client)
    samples = scrape(client)
    labels = (("operation", "set"),)
    buckets = [
        (float(dict(named)["le"]), value)
        for (name, named), value in samples.items()
        if name == "langcache_request_duration_seconds_bucket" and labels[0] in named
    ]
    assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets)
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert buckets[-1] == (float("inf"), 3)
    assert samples["langcache_request_duration_seconds_sum", labels] > 0


def test_hits_near_misses_and_misses_are_told_apart(client):
    stored, asked = "What is the capital of France?", "What is the population of Germany?"
    put(client, stored)
    similarity = search(client, asked, similarityThreshold=0)[0]["similarity"]  # a hit
    assert 0.5 < similarity < 0.9
    for threshold, times in (
        (similarity - 0.01, 1),
        (similarity + 0.049, 2),
        (similarity + 0.051, 3),
    ):
        for _ in range(times):
            search(client, asked, similarityThreshold=threshold)
    assert lookups(scrape(client), "a") == {"hit": 2, "near_miss": 2, "miss": 3}


def test_a_near_miss_is_not_an_answer(client):
    put(client, "How do I reset my password?")
    similarity = search(client, "How can I reset the password?", similarityThreshold=0)[0][
        "similarity"
    ]
    asked = "How can I reset the password?"
    assert search(client, asked, similarityThreshold=similarity + 0.001) == []
    assert len(search(client, asked, similarityThreshold=similarity)) == 1
    assert search(client, asked, similarityThreshold=similarity + 0.001, maxResults=5) == []


def test_an_exact_search_and_a_conversation_are_lookups_too(client):
    put(client, "p")
    search(client, "q", searchStrategies=["exact"])
    body = {"prompt": "p", "context": ["q"]}
    assert client.post("/v1/caches/a/conversations/search", json=body).status_code == 200
    assert lookups(scrape(client), "a") == {"miss": 1, "hit": 1}


def test_entries_and_bytes_are_those_of_the_storage(serve):
    storage = InMemoryStorage()
    with serve(Settings(), storage=storage) as client:
        put(client, "one")
        put(client, "two")
        put(client, "one", cache="b")
        samples = scrape(client)
        label = (("cache", "a"),)
        assert samples["langcache_cache_entries", label] == 2
        assert samples["langcache_cache_bytes", label] == storage.namespace_bytes("a") > 2 * 1536
        assert samples["langcache_cache_entries", (("cache", "b"),)] == 1
        put(client, "three")  # a scrape soon after doesn't ask the storage again
        assert scrape(client)["langcache_cache_entries", label] == 2


def test_a_scrape_does_not_wait_for_another_that_asks_a_slow_storage(serve):
    asked, done = threading.Event(), threading.Event()

    class Slow(InMemoryStorage):
        def namespace_bytes(self, namespace):
            asked.set()
            assert done.wait(10)
            return super().namespace_bytes(namespace)

    with serve(Settings(), storage=Slow()) as client, ThreadPoolExecutor() as pool:
        put(client)
        first = pool.submit(scrape, client)
        assert asked.wait(10)
        assert requests_total(scrape(client), "set", "POST", 201) == 1
        assert not first.done()
        done.set()
        assert first.result()["langcache_cache_bytes", (("cache", "a"),)] > 0


def test_a_storage_that_fails_does_not_take_the_metrics_with_it(serve, caplog):
    class Failing(InMemoryStorage):
        def namespace_size(self, namespace):
            raise RuntimeError("secret")

    with serve(Settings(), storage=Failing()) as client:
        put(client)
        assert requests_total(scrape(client), "set", "POST", 201) == 1
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_embedding_and_storage_are_timed(client):
    put(client, "one")
    search(client, "one")
    search(client, "two")
    search(client, "two")
    samples = scrape(client)
    assert samples["langcache_embedding_duration_seconds_count", ()] == 2  # each prompt once
    count = "langcache_storage_duration_seconds_count"
    assert samples[count, (("operation", "store"),)] == 1
    assert samples[count, (("operation", "search"),)] == 2  # the last result was remembered


def test_no_prompt_response_attribute_or_key_is_told(client):
    put(client, "the-secret-prompt", attributes={"user": "the-secret-user"})
    search(client, "the-secret-prompt", attributes={"user": "the-secret-user"})
    client.get("/v1/caches/a/health?token=the-secret-query")
    assert "secret" not in client.get("/metrics").text


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_no_id_of_a_cache_can_forge_a_line(cache_id):
    metrics = Metrics(InMemoryStorage())
    metrics.observe_request(searched(cache_id, "hit"))
    samples = parse(metrics.text())
    assert lookups(samples, cache_id) == {"hit": 1}
    assert samples["langcache_cache_entries", (("cache", cache_id),)] == 0


def test_caches_beyond_a_number_share_a_label():
    metrics = Metrics(InMemoryStorage())
    for number in range(MOST_CACHES + 5):
        metrics.observe_request(searched(f"c{number}", "miss"))
    samples = parse(metrics.text())
    assert lookups(samples, "other") == {"miss": 5}
    assert lookups(samples, "c0") == {"miss": 1}


def test_what_is_refused_makes_no_label(client):
    client.get("/v1/caches/refused/health", headers={"authorization": "none"})
    assert "refused" not in client.get("/metrics").text


def test_metrics_can_be_switched_off(serve, check_problem):
    with serve(Settings(metrics="off")) as client:
        check_problem(client.get("/metrics"), 404)


def test_metrics_need_no_key_and_take_get_only(anonymous, check_problem):
    assert anonymous.get("/metrics").status_code == 200
    assert check_problem(anonymous.post("/metrics"), 405)


def test_what_real_requests_come_to_is_there(http, cache_path):
    before = requests_total(scrape(http), "set", "POST", 201)
    for _ in range(3):
        body = {"prompt": "p", "response": "r"}
        assert http.post(f"{cache_path}/entries", json=body).status_code == 201
    deadline = time.monotonic() + 5  # a request is counted when its answer has been sent
    while requests_total(scrape(http), "set", "POST", 201) < before + 3:
        assert time.monotonic() < deadline


def test_an_entry_is_found_the_same_with_and_without_the_memory(serve):
    answers = []
    for size in (0, 100):
        with serve(Settings(embedding_cache=size)) as client:
            put(client, "How do I reset my password?")
            asked = "How can I reset the password?"
            answers += [search(client, asked, similarityThreshold=0.5) for _ in range(2)]
    assert all(json.dumps(each) == json.dumps(answers[0]) for each in answers)


def test_the_limits_of_the_storage_and_what_it_takes_are_there(serve):
    with serve(Settings(max_entries=2)) as client:
        for number in range(3):
            put(client, f"prompt {number}")
        found = client.get("/metrics").text
    for line in (
        "langcache_storage_entries 2",
        "langcache_storage_max_entries 2",
        f"langcache_storage_max_bytes {1 << 30}",
        "langcache_storage_evictions 1",
    ):
        assert f"\n{line}\n" in found
    with serve(Settings(max_bytes=0)) as client:
        assert "langcache_storage_" not in client.get("/metrics").text.replace(
            "langcache_storage_duration", ""
        )
