"""The entries of a cache on the console: listed in pages, exported, and stored many at once."""

import json

import pytest
from langcache_mockserver import MockServer, SimilarityTable

from langcache.engine.storage import InMemoryStorage, SQLiteStorage
from langcache.engine.storage.redis import RedisStorage
from langcache.engine.testing import ManualClock

CACHE = "c" * 32
DATA = f"/v1/caches/{CACHE}/entries"
ENTRIES = f"/console/v1/caches/{CACHE}/entries"
EXPORT = f"/console/v1/caches/{CACHE}/export"
DEVELOPER = {"authorization": "Bearer any"}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def client(request, clock, tmp_path):
    if request.param == "memory":
        storage = InMemoryStorage(clock=clock)
    elif request.param == "sqlite":
        storage = SQLiteStorage(tmp_path / "entries.db", clock=clock)
    else:
        url, prefix = map(request.getfixturevalue, ("redis_url", "redis_prefix"))
        storage = RedisStorage(url=url, prefix=prefix, clock=clock)
    table = SimilarityTable({})
    with (
        MockServer(embedder=table, storage=storage, clock=clock, listen=False) as server,
        server.client() as client,
    ):
        client.headers.update(DEVELOPER)
        yield client
    storage.close()


def store(client, *entries):
    answer = client.post(ENTRIES, json={"entries": list(entries)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbered(*numbers):
    return [{"prompt": f"prompt {number}", "response": f"response {number}"} for number in numbers]


def listed(client, **asked):
    prompts = []
    cursor = None
    while True:
        params = asked if cursor is None else {**asked, "cursor": cursor}
        answer = client.get(ENTRIES, params=params)
        assert answer.status_code == 200, answer.text
        prompts += [entry["prompt"] for entry in answer.json()["entries"]]
        cursor = answer.json()["cursor"]
        if cursor is None:
            return prompts


def test_an_entry_is_shown_whole(client, clock):
    body = {"prompt": "p", "response": "r", "attributes": {"topic": "ai"}, "ttlMillis": 5000}
    entry_id = client.post(DATA, json=body).json()["entryId"]
    clock.now += 2
    answer = client.get(ENTRIES).json()
    assert answer == {
        "entries": [
            {
                "id": entry_id,
                "prompt": "p",
                "response": "r",
                "attributes": {"topic": "ai"},
                "createdAt": "1970-01-01T00:16:40.000Z",
                "updatedAt": "1970-01-01T00:16:40.000Z",
                "ttlMillis": 3000,
                "hits": 0,
                "lastHitAt": None,
            }
        ],
        "cursor": None,
        "total": 1,
    }


def test_hits_are_counted(client, clock):
    store(client, *numbered(1, 2))
    for moment in (1100, 1200):
        clock.now = moment
        found = client.post(f"{DATA}/search", json={"prompt": "prompt 1"}).json()["data"]
        assert [hit["prompt"] for hit in found] == ["prompt 1"]
    by_prompt = {entry["prompt"]: entry for entry in client.get(ENTRIES).json()["entries"]}
    assert by_prompt["prompt 1"]["hits"] == 2
    assert by_prompt["prompt 1"]["lastHitAt"] == "1970-01-01T00:20:00.000Z"
    assert by_prompt["prompt 2"]["hits"] == 0


def test_pages_have_every_entry_once(client):
    store(client, *numbered(*range(23)))
    oldest = [f"prompt {number}" for number in range(23)]
    assert listed(client, limit=5, order="oldest") == oldest
    assert listed(client, limit=5) == oldest[::-1]
    assert client.get(ENTRIES, params={"limit": 5}).json()["total"] == 23


def test_pages_have_only_what_is_asked_for(client):
    store(
        client,
        {"prompt": "What is a Fjord?", "response": "An inlet.", "attributes": {"a": "x", "b": "y"}},
        {"prompt": "And a bay?", "response": "A wide FJORD.", "attributes": {"a": "x"}},
        {"prompt": "And a cape?", "response": "A point.", "attributes": {"a": "z"}},
    )
    assert listed(client, text="fjord") == ["And a bay?", "What is a Fjord?"]
    assert listed(client, **{"attributes[a]": "x", "attributes[b]": "y"}) == ["What is a Fjord?"]
    assert listed(client, text="fjord", **{"attributes[a]": "z"}) == []


def test_a_page_for_a_rare_text_ends_early_and_the_next_goes_on(client, monkeypatch):
    monkeypatch.setattr("langcache.engine.storage.listing.LOOKED_AT", 10)
    store(client, *numbered(*range(25)))
    first = client.get(ENTRIES, params={"text": "prompt 3", "order": "newest"}).json()
    assert first["entries"] == []
    assert first["cursor"]
    assert listed(client, text="prompt 3") == ["prompt 3"]


def test_a_page_of_long_responses_ends_early(client, monkeypatch):
    monkeypatch.setattr("langcache.engine.storage.listing._PAGE_CHARACTERS", 2500)
    long = [{**entry, "response": "x" * 1000} for entry in numbered(*range(7))]
    store(client, *long)
    assert len(client.get(ENTRIES).json()["entries"]) == 3
    assert len(listed(client)) == 7


def test_an_export_has_every_entry_on_a_line(client):
    for start in range(0, 1200, 400):
        store(client, *numbered(*range(start, start + 400)))
    answer = client.get(EXPORT)
    assert answer.headers["content-type"] == "application/jsonl"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["prompt"] for line in lines] == [f"prompt {number}" for number in range(1200)]
    assert set(lines[0]) == {
        *("id", "prompt", "response", "attributes", "createdAt", "updatedAt", "ttlMillis")
    }
    assert client.get("/console/v1/caches/empty/export").text == ""


def test_many_are_stored_as_the_data_plane_stores_one(client, clock):
    one = {"prompt": "p", "response": "old", "attributes": {"a": "x"}}
    entry_id = client.post(DATA, json=one).json()["entryId"]
    answer = store(
        client, {**one, "response": "new", "ttlMillis": 5000}, {"prompt": "q", "response": "r"}
    )
    assert answer["stored"] == 2
    assert answer["entryIds"][0] == entry_id
    assert answer["errors"] == []
    found = client.post(f"{DATA}/search", json={"prompt": "p"}).json()["data"]
    assert [(hit["id"], hit["response"]) for hit in found] == [(entry_id, "new")]
    clock.now += 5
    assert listed(client) == ["q"]


def test_what_is_wrong_with_one_entry_does_not_stop_the_others(client):
    answer = store(
        client,
        {"prompt": "good", "response": "r"},
        {"prompt": "", "response": "r"},
        {"prompt": "p", "response": "r", "attributes": {"a": "x,y"}, "more": 1},
        {"prompt": "good too", "response": "r"},
        {"response": "r"},
    )
    assert answer["stored"] == 2
    assert [entry_id is not None for entry_id in answer["entryIds"]] == [
        *(True, False, False, True, False)
    ]
    errors = [(each["index"], each["field"], each["rule"]) for each in answer["errors"]]
    assert sorted(errors) == [
        (1, "prompt", "minLength"),
        (2, "attributes.a", "pattern"),
        (2, "more", "additionalProperties"),
        (4, "prompt", "required"),
    ]
    assert listed(client) == ["good too", "good"]


def test_a_bad_request_is_refused(client, check_problem):
    for params, field in (
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"order": "best"}, "order"),
        ({"text": "x" * 1025}, "text"),
        ({"nonsense": "1"}, "query"),
        ([("text", "a"), ("text", "b")], "text"),
    ):
        answer = client.get(ENTRIES, params=params)
        check_problem(answer, 400)
        assert answer.json()["fields"][0]["field"] == field
    check_problem(client.get(EXPORT, params={"limit": 5}), 400)
    check_problem(client.get(ENTRIES, params={"cursor": "nonsense"}), 404)
    for body in ({}, {"entries": []}, {"entries": numbered(*range(501))}, {"entries": ["x"]}):
        check_problem(client.post(ENTRIES, json=body), 400)


def test_the_rules_of_the_cache_hold(check_problem):
    config = {
        "caches": [{"id": CACHE, "attributes": ["a"], "default_ttl_millis": 60_000}],
        "keys": [
            {"token": action, "grants": [{"cache": CACHE, "actions": [action]}]}
            for action in ("read", "write", "full", "console")
        ],
    }
    with (
        MockServer(embedder=SimilarityTable({}), config=config, listen=False) as server,
        server.client() as client,
    ):
        reader, writer, manager, owner = (
            {"authorization": f"Bearer {action}"} for action in ("read", "write", "full", "console")
        )
        body = {
            "entries": [
                {"prompt": "p", "response": "r", "attributes": {"a": "x"}},
                {"prompt": "q", "response": "r", "attributes": {"b": "x"}},
            ]
        }
        check_problem(client.post(ENTRIES, json=body, headers=reader), 403)
        answer = client.post(ENTRIES, json=body, headers=writer).json()
        assert answer["stored"] == 1
        assert [(each["index"], each["field"]) for each in answer["errors"]] == [
            (1, "attributes.b")
        ]
        for path in (ENTRIES, EXPORT):
            check_problem(client.get(path, headers=reader), 403)
            check_problem(client.get(path, headers=writer), 403)
            check_problem(client.get(path, headers=manager), 403)
            check_problem(client.get(path), 401)
        (entry,) = client.get(ENTRIES, headers=owner).json()["entries"]
        assert 0 < entry["ttlMillis"] <= 60_000


def test_a_storage_that_cannot_list_is_an_error_that_says_so(check_problem):
    class Unlisted(InMemoryStorage):
        def list_entries(self, *args, **kwargs):
            raise NotImplementedError

    with (
        MockServer(embedder=SimilarityTable({}), storage=Unlisted(), listen=False) as server,
        server.client() as client,
    ):
        for path in (ENTRIES, EXPORT):
            answer = client.get(path, headers=DEVELOPER)
            assert answer.status_code == 501
            assert answer.json()["detail"] == "the storage of this server cannot list entries"
