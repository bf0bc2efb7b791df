import httpx
import pytest
from langcache_mockserver import MockServer
from langcache_mockserver.controls.journal import Journal, JournalEntry

from langcache import LangCache

KEY = "a-key-that-must-not-show"
PROMPT = "a prompt that must not show"


@pytest.fixture(scope="module")
def server(minilm):
    with MockServer(embedder=minilm) as running:
        yield running


@pytest.fixture
def journal(server):
    server.reset()
    return server.journal


@pytest.fixture
def cache(server, journal):
    with LangCache(server.url, KEY, "cache", client=server.client()) as client:
        yield client


def entry(number, **changes):
    values = {
        "time": float(number),
        "duration_millis": 1.0,
        "request_id": str(number),
        "operation": "set",
        "method": "POST",
        "path": "/v1",
        "cache_id": "c",
        "key": "",
        "status": 201,
        "outcome": "",
        "fault": None,
    }
    return JournalEntry(**{**values, **changes})


def test_it_tells_what_came_and_what_became_of_it(server, journal, cache):
    server.clock.freeze(1000)
    cache.search(prompt=PROMPT, http_headers={"x-request-id": "mine"})
    cache.set(prompt=PROMPT, response="r")
    server.clock.advance(5)
    cache.search(prompt=PROMPT)
    miss, stored, hit = journal
    assert (miss.time, stored.time, hit.time) == (1000, 1000, 1005)
    assert [each.operation for each in journal] == ["search", "set", "search"]
    assert [each.outcome for each in journal] == ["miss", "", "hit"]
    assert [each.status for each in journal] == [200, 201, 200]
    assert miss.request_id == "mine"
    assert (miss.method, miss.path) == ("POST", "/v1/caches/cache/entries/search")
    assert {each.cache_id for each in journal} == {"cache"}
    assert all(each.duration_millis > 0 for each in journal)


def test_what_is_refused_is_noted_too(server, journal):
    with server.client() as http:
        http.post("/v1/caches/c%20d/entries", json={})
        http.get("/nowhere")
        http.get("/_mock/v1/journal")
    refused, lost = journal
    assert (refused.operation, refused.cache_id, refused.status) == ("set", "c d", 401)
    assert (lost.operation, lost.path, lost.status) == ("", "/nowhere", 404)


def test_faults_are_named(server, journal, cache):
    fault = server.faults.add(operation="flush", status=403)
    with pytest.raises(Exception, match="403"):
        cache.flush()
    assert [each.fault for each in journal] == [fault.id]
    assert journal.count(fault=fault.id) == 1


def test_filters_and_counts():
    journal = Journal()
    for number in range(6):
        journal.add(entry(number, cache_id="ab"[number % 2], status=200 + number // 3))
    assert journal.count() == 6
    assert journal.count(cache_id="a") == 3
    assert journal.count(cache_id="a", status=200) == 2
    assert [each.time for each in journal.find(since=4)] == [4, 5]
    assert journal.count(operation="search") == 0


def test_keys_are_found_but_not_shown(server, journal, cache):
    cache.search(prompt="p")
    assert journal.count(key=KEY) == 1
    assert journal.count(key="another") == 0
    with pytest.raises(AssertionError) as caught:
        journal.verify(5, key=KEY)
    assert KEY not in f"{caught.value} {list(journal)}"


def test_verify_tells_what_came_instead(journal, cache):
    cache.search(prompt=PROMPT)
    journal.verify(1, operation="search", outcome="miss")
    journal.verify(0, operation="set")
    with pytest.raises(AssertionError, match=r"expected 2 .* found 1(.|\n)*search cache 200 miss"):
        journal.verify(2, operation="search")
    journal.clear()
    with pytest.raises(AssertionError, match="came: none"):
        journal.verify(1)


def test_it_keeps_the_last_ones():
    journal = Journal(size=3)
    for number in range(5):
        journal.add(entry(number))
    assert [each.time for each in journal] == [2, 3, 4]


def test_bodies_are_kept_only_when_asked_for_and_never_of_the_control_plane(server, journal, cache):
    cache.search(prompt=PROMPT)
    journal.bodies = True
    cache.search(prompt=PROMPT)
    with server.client() as http:
        http.get(
            "/control/v1/caches", headers={"authorization": f"Bearer {server.admin_token}"}
        ).raise_for_status()
    without, with_bodies, control = journal
    assert (without.request_body, without.response_body) == (None, None)
    assert PROMPT in with_bodies.request_body
    assert with_bodies.response_body == '{"data":[]}'
    assert (control.request_body, control.response_body) == (None, None)
    assert PROMPT not in repr(with_bodies)


def test_only_the_beginning_of_a_body_is_kept(server, journal, cache):
    journal.bodies = True
    cache.set(prompt="p", response="r" * 100_000)
    assert len(next(iter(journal)).request_body) == 65536


def test_the_journal_over_http(server, journal, cache, check_problem):
    url = f"{server.url}/_mock/v1/journal"
    assert httpx.put(url, json={"bodies": True}).status_code == 204
    cache.search(prompt="p")
    cache.set(prompt="p", response="r")
    cache.search(prompt="p")
    answer = httpx.get(url, params={"operation": "search", "limit": 1}).json()
    assert (answer["count"], answer["bodies"], len(answer["requests"])) == (2, True, 1)
    assert answer["requests"][0]["outcome"] == "hit"
    assert "requestBody" in answer["requests"][0]
    for filters, count in (
        ({"status": 201}, 1),
        ({"cacheId": "other"}, 0),
        ({"since": 4e9}, 0),
        ({"outcome": "miss", "limit": 0}, 1),
    ):
        assert httpx.get(url, params=filters).json()["count"] == count
    for bad in ({"status": "x"}, {"limit": -1}, {"colour": "red"}):
        check_problem(httpx.get(url, params=bad), 400)
    check_problem(httpx.put(url, json={}), 400)
    assert KEY not in httpx.get(url).text
    assert httpx.delete(url).status_code == 204
    assert httpx.get(url).json()["count"] == 0
