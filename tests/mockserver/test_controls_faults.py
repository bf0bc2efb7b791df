import asyncio
import json
import time
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langcache_mockserver import MockServer
from langcache_mockserver.controls.faults import Faults

from langcache import LangCache, errors

KEY = "a-key-that-must-not-show"
PROMPT = {"prompt": "What is a fault?"}


@pytest.fixture(scope="module")
def server(minilm):
    with MockServer(embedder=minilm) as running:
        running.seed([{**PROMPT, "response": "What was asked for."}], "cache")
        yield running


@pytest.fixture(autouse=True)
def _no_faults(server):
    yield
    server.faults.clear()
    server.journal.clear()


@pytest.fixture(params=["socket", "in process"])
def http(server, request):
    client = server.client() if request.param == "in process" else httpx.Client(base_url=server.url)
    client.headers["authorization"] = f"Bearer {KEY}"
    with client:
        yield client


def search(http, cache="cache"):
    return http.post(f"/v1/caches/{cache}/entries/search", json=PROMPT)


def read_into(received, answer):
    for chunk in answer.iter_raw():
        received += chunk


def struck(faults, count=10, operation="search", cache="c", key="k"):
    return [faults.strike(operation, cache, key) is not None for _ in range(count)]


def test_a_status_is_answered_with_the_contracts_problem(server, http, check_problem):
    for status in (400, 401, 403, 404, 413, 424, 429, 500):
        server.faults.add(status=status, times=1, detail="staged")
        assert check_problem(search(http), status)["detail"] == "staged"
    assert search(http).status_code == 200


@pytest.mark.parametrize(
    ("status", "title"), [(503, "Service Unavailable"), (418, "I'm a Teapot"), (599, "Status 599")]
)
def test_any_other_status_of_an_error_will_do(server, http, status, title):
    server.faults.add(status=status, retry_after=7)
    answer = search(http)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    assert answer.json()["title"].lower() == title.lower()


def test_it_strikes_before_anybody_is_authenticated(server, http):
    server.faults.add(status=503)
    del http.headers["authorization"]
    assert search(http).status_code == 503


def test_nothing_is_done_for_a_call_that_is_answered_with_a_status(server, http):
    entries = "/v1/caches/untouched/entries"
    server.faults.add(operation="set", status=500)
    assert http.post(entries, json={**PROMPT, "response": "r"}).status_code == 500
    assert search(http, "untouched").json()["data"] == []


def test_a_call_whose_answer_is_damaged_is_carried_out(server, http):
    server.faults.add(operation="set", damage="reset")
    with pytest.raises(httpx.ReadError):
        http.post("/v1/caches/acknowledged/entries", json={**PROMPT, "response": "r"})
    assert len(search(http, "acknowledged").json()["data"]) == 1


def test_a_reset_with_a_status_carries_nothing_out(server, http):
    server.faults.add(operation="set", damage="reset", status=500)
    with pytest.raises(httpx.ReadError):
        http.post("/v1/caches/lost/entries", json={**PROMPT, "response": "r"})
    assert search(http, "lost").json()["data"] == []


def test_a_truncated_answer_is_shorter_than_its_content_length(server, http):
    server.faults.add(damage="truncated")
    received = bytearray()
    with http.stream("POST", "/v1/caches/cache/entries/search", json=PROMPT) as answer:
        with pytest.raises(httpx.RemoteProtocolError):
            read_into(received, answer)
        assert 0 < len(received) < int(answer.headers["content-length"])


def test_a_malformed_answer_is_complete_but_no_json(server, http):
    server.faults.add(damage="malformed")
    for answer in (search(http), http.post("/v1/caches/cache-2/flush")):
        assert answer.is_success
        assert int(answer.headers["content-length"]) == len(answer.content)
        with pytest.raises(json.JSONDecodeError):
            answer.json()


def test_a_dripping_answer_comes_in_pieces(server, http):
    server.faults.add(operation="search", drip_bytes=40, drip_interval=0.01)
    started = time.monotonic()
    with http.stream("POST", "/v1/caches/cache/entries/search", json=PROMPT) as answer:
        pieces = list(answer.iter_raw())
    size = sum(map(len, pieces))
    assert size == int(answer.headers["content-length"])
    assert len(pieces) > 2
    assert time.monotonic() - started >= size // 40 * 0.01
    assert http.post("/v1/caches/cache-3/flush").status_code == 204


def test_the_head_of_a_dripping_answer_comes_before_its_first_piece(server, http):
    server.faults.add(operation="search", drip_bytes=10_000, drip_interval=3, times=1)
    with http.stream("POST", "/v1/caches/cache/entries/search", json=PROMPT, timeout=2) as answer:
        assert answer.status_code == 200


def test_latency_runs_into_a_read_timeout(server, http):
    server.faults.add(latency=1, times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.post(
            "/v1/caches/slow/entries/search",
            json=PROMPT,
            timeout=httpx.Timeout(5, read=0.05),
        )
    assert search(http).status_code == 200


def test_the_sleep_of_a_fault_holds_no_worker(server, http):
    server.faults.add(latency=0.3, key="slow")
    slow = [
        LangCache(server.url, "slow", "cache", async_client=server.async_client())
        for _ in range(50)
    ]

    async def main():
        started = time.monotonic()
        await asyncio.gather(*(each.search_async(prompt=PROMPT["prompt"]) for each in slow))
        return time.monotonic() - started

    assert asyncio.run(main()) < 50 * 0.3 / 3


def test_operation_cache_and_key_must_all_match():
    faults = Faults()
    faults.add(operation="set", cache_id="c", key="k", status=500)
    calls = [(o, c, k) for o in ("set", "search") for c in "cd" for k in "kj"]
    assert [call for call in calls if faults.strike(*call)] == [("set", "c", "k")]


def test_times_nth_and_the_order_of_faults():
    faults = Faults()
    twice = faults.add(status=500, times=2)
    third = faults.add(status=503, nth=3)
    # The third call that comes to the second fault is the fifth, after the first's two.
    assert struck(faults, 7) == [True, True, False, False, True, False, False]
    assert (twice.struck, third.struck, third.matched) == (2, 1, 3)
    assert len(faults) == 0


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_a_probability_can_be_repeated_by_its_seed(probability, seed):
    runs = []
    for _ in range(2):
        faults = Faults()
        faults.add(status=500, probability=probability, seed=seed)
        runs.append(struck(faults, 50))
    assert runs[0] == runs[1]


def test_a_probability_is_one():
    faults = Faults()
    faults.add(status=500, probability=0.3)
    assert 200 < sum(struck(faults, 1000)) < 400


def test_faults_can_be_removed():
    faults = Faults()
    first, second = faults.add(status=500), faults.add(status=503)
    assert [each.id for each in faults] == [first.id, second.id]
    assert faults.remove(first.id)
    assert not faults.remove(first.id)
    assert faults.strike("search", "c", "k") is second
    faults.clear()
    assert faults.strike("search", "c", "k") is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "status"),
        ({"status": 399}, "status"),
        ({"status": 600}, "status"),
        ({"status": 500, "times": 0}, "times"),
        ({"status": 500, "nth": 0}, "nth"),
        ({"status": 500, "nth": 1, "times": 1}, "nth"),
        ({"status": 500, "probability": 1.1}, "probability"),
        ({"latency": -1}, "latency"),
        ({"latency": float("nan")}, "latency"),
        ({"latency": 1, "retry_after": 1}, "retry_after"),
        ({"drip_bytes": 0}, "drip_bytes"),
        ({"drip_bytes": 1, "damage": "reset"}, "damage"),
        ({"damage": "melted"}, "damage"),
        ({"status": 500, "operation": "sing"}, "operation"),
    ],
)
def test_what_makes_no_sense_is_refused(options, field):
    with pytest.raises(ValueError, match=f"^{field}: must "):
        Faults().add(**options)


def test_faults_over_http(server, http, check_problem):
    http.headers.pop("authorization")
    url = "/_mock/v1/faults"
    fault = {
        "operation": "search",
        "key": KEY,
        "status": 429,
        "retryAfter": 1.0,
        "latencyMillis": 1,
        "times": 2,
    }
    added = http.post(url, json=fault)
    assert added.status_code == 201
    assert KEY not in added.text
    assert search(http).status_code == 401
    answer = http.post(
        "/v1/caches/c/entries/search", json=PROMPT, headers={"authorization": f"Bearer {KEY}"}
    )
    assert answer.headers["retry-after"] == "1"
    check_problem(answer, 429)
    (listed,) = http.get(url).json()["faults"]
    assert (listed["matched"], listed["struck"], listed["latencyMillis"]) == (1, 1, 1)
    assert KEY not in str(listed)
    assert http.delete(f"{url}/{listed['id']}").status_code == 204
    check_problem(http.delete(f"{url}/{listed['id']}"), 404)
    http.post(url, json=fault)
    assert http.delete(url).status_code == 204
    assert http.get(url).json() == {"faults": []}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"operation": "sing", "nth": 0}, {"operation", "nth"}),
        ({"latencyMillis": 5, "retryAfter": 1}, {"retryAfter"}),
        ({}, {"status"}),
        ({"colour": "red"}, {"colour"}),
    ],
)
def test_a_bad_fault_is_a_400_that_names_the_fields(server, check_problem, body, fields):
    with server.client() as http:
        problem = check_problem(http.post("/_mock/v1/faults", json=body), 400)
    assert {each["field"] for each in problem["fields"]} == fields


def test_a_client_that_retries_gets_through(server):
    server.faults.add(status=503, times=1, retry_after=0)
    server.faults.add(damage="reset", times=1)
    with LangCache(server.url, KEY, "cache") as cache:
        assert len(cache.search(prompt=PROMPT["prompt"]).data) == 1
    statuses = [entry.status for entry in server.journal.find(cache_id="cache")]
    assert statuses == [503, None, 200]


def test_errors_of_the_sdk_can_be_staged(server):
    server.faults.add(status=403)
    with (
        LangCache(server.url, KEY, "cache", client=server.client()) as cache,
        pytest.raises(errors.ForbiddenErrorResponseContent),
    ):
        cache.search(prompt="p")


def test_ids_are_never_used_twice():
    faults = Faults()
    ids = []
    for _ in range(3):
        ids.append(faults.add(status=500).id)
        faults.clear()
    assert all(one != other for one, other in pairwise(ids))
