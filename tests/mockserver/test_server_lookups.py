"""Lookups that a server keeps for its console."""

import json

import pytest
from langcache_mockserver import MockServer, SimilarityTable
from langcache_mockserver.settings import Settings, SettingsError, kept_lookups

from langcache.engine.tuning import read_labelled

CACHE = "/v1/caches/c"
LOOKUPS = "/console/v1/caches/c/lookups"
KEY = {"authorization": "Bearer key"}
TALL, HEIGHT, OLD = "How tall is it?", "What is its height?", "How old is it?"


@pytest.fixture
def serve():
    opened = []

    def serving(**options):
        table = SimilarityTable({(TALL, HEIGHT): 0.95, (TALL, OLD): 0.7, (HEIGHT, OLD): 0.7})
        server = MockServer(**{"embedder": table, "listen": False, **options})
        server.__enter__()
        opened.append(server)
        return server

    yield serving
    for server in opened:
        server.__exit__(None, None, None)


@pytest.fixture
def server(serve):
    server = serve()
    attributes = {"topic": "towers"}
    server.seed([{"prompt": TALL, "response": "324 metres", "attributes": attributes}], "c")
    return server


def search(server, prompt, **options):
    with server.client() as client:
        body = {"prompt": prompt, **options}
        return client.post(f"{CACHE}/entries/search", json=body, headers=KEY).json()["data"]


def listed(server, **query):
    with server.client() as client:
        answer = client.get(LOOKUPS, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_a_lookup_tells_what_was_asked_and_what_it_came_to(server):
    search(server, HEIGHT)
    (lookup,) = listed(server)["lookups"]
    assert lookup["similarity"] == pytest.approx(0.95, abs=1e-4)
    assert {
        name: lookup[name]
        for name in ("prompt", "outcome", "cachedPrompt", "threshold", "searchStrategy", "accepted")
    } == {
        "prompt": HEIGHT,
        "outcome": "hit",
        "cachedPrompt": TALL,
        "threshold": 0.9,
        "searchStrategy": "semantic",
        "accepted": True,
    }
    assert lookup["millis"] > 0


def test_a_miss_tells_how_far_the_nearest_entry_is(server):
    assert search(server, OLD) == []
    (lookup,) = listed(server)["lookups"]
    assert lookup["outcome"] == "miss"
    assert lookup["similarity"] == pytest.approx(0.7, abs=1e-4)
    assert lookup["cachedPrompt"] == TALL
    assert lookup["accepted"] is None


def test_a_near_miss_and_a_miss_are_told_apart_as_without_recording(serve):
    for threshold in (0.96, 0.74, 0.76, 1.0):
        outcomes = []
        for kept in ("0", "10"):
            server = serve(record_lookups=kept)
            server.seed([{"prompt": TALL, "response": "324 metres"}], "c")
            for prompt in (HEIGHT, OLD):
                search(server, prompt, similarityThreshold=threshold)
            outcomes.append([each.outcome for each in server.journal.find(operation="search")])
        assert outcomes[0] == outcomes[1]


def test_an_exact_hit_is_recorded_as_one(server):
    search(server, TALL.upper(), searchStrategies=["exact"])
    search(server, OLD, searchStrategies=["exact"])
    hit, miss = listed(server)["lookups"]
    assert (hit["outcome"], hit["searchStrategy"], hit["similarity"]) == ("hit", "exact", 1.0)
    assert (miss["outcome"], miss["similarity"], miss["entryId"]) == ("miss", None, None)


def test_a_conversational_search_is_one_lookup(server):
    with server.client() as client:
        client.post(
            f"{CACHE}/conversations/search",
            json={"prompt": "How tall is it?", "context": ["What is the Eiffel Tower?"]},
            headers=KEY,
        )
    assert len(listed(server)["lookups"]) == 1


def test_a_cursor_goes_through_all_lookups_and_then_waits_for_more(server):
    for number in range(5):
        search(server, f"prompt {number}")
    page = listed(server, limit=2)
    prompts = []
    while True:
        prompts += [each["prompt"] for each in page["lookups"]]
        if not page["hasMore"]:
            break
        page = listed(server, limit=2, cursor=page["cursor"])
    assert prompts == [f"prompt {number}" for number in range(5)]
    page = listed(server, cursor=page["cursor"])
    assert page["lookups"] == []
    search(server, "one more")
    page = listed(server, cursor=page["cursor"])
    assert [each["prompt"] for each in page["lookups"]] == ["one more"]


def test_only_the_latest_lookups_are_kept(serve):
    server = serve(record_lookups="3")
    for number in range(5):
        search(server, f"prompt {number}")
    page = listed(server)
    assert page["recorded"] == 3
    assert [each["prompt"] for each in page["lookups"]] == ["prompt 2", "prompt 3", "prompt 4"]


def test_the_lookups_of_a_cache_are_its_own(server):
    search(server, HEIGHT)
    with server.client() as client:
        assert client.get("/console/v1/caches/another/lookups").json()["lookups"] == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "latest=yes", "page=1", "limit=1&limit=2"],
)
def test_a_query_that_makes_no_sense_is_refused(server, query, check_problem):
    with server.client() as client:
        check_problem(client.get(f"{LOOKUPS}?{query}"), 400)


@pytest.mark.parametrize("cursor", ["x", "a-b-c", "a-b-²", "1-" + "9" * 30])
def test_a_cursor_of_no_page_is_not_found(server, cursor, check_problem):
    with server.client() as client:
        check_problem(client.get(LOOKUPS, params={"cursor": cursor}), 404)


def test_the_latest_lookups_can_be_asked_for(server):
    for number in range(5):
        search(server, f"prompt {number}")
    page = listed(server, limit=2, latest="true")
    assert [each["prompt"] for each in page["lookups"]] == ["prompt 3", "prompt 4"]
    assert not page["hasMore"]
    assert listed(server, cursor=page["cursor"])["lookups"] == []


def test_savings_are_estimated_from_lookups(server):
    search(server, HEIGHT)
    search(server, HEIGHT)
    search(server, OLD)
    with server.client() as client:
        body = {"prompt": OLD, "response": "135 years"}
        client.post(f"{CACHE}/entries", json=body, headers=KEY)
        (saved,) = client.get("/console/v1/savings").json()["caches"]
    assert (saved["cacheId"], saved["lookups"], saved["hits"]) == ("c", 3, 2)
    assert saved["promptTokens"] == 2 * 5  # 19 characters
    assert saved["responseTokens"] == 2 * 3  # 10 characters
    assert 0 < saved["hitMillis"]["p50"] <= saved["hitMillis"]["p99"]
    assert saved["missMillis"]["p50"] > 0
    assert saved["answerSeconds"] > 0


def test_without_an_answer_the_time_of_one_is_unknown(server):
    search(server, HEIGHT)
    with server.client() as client:
        (saved,) = client.get("/console/v1/savings").json()["caches"]
    assert saved["answerSeconds"] is None
    assert saved["missMillis"] is None


def delete_entry(server, client):
    (found,) = search(server, TALL)
    client.delete(f"{CACHE}/entries/{found['id']}", headers=KEY)


def delete_by_attributes(_server, client):
    body = {"attributes": {"topic": "towers"}}
    client.request("DELETE", f"{CACHE}/entries", json=body, headers=KEY)


def flush(_server, client):
    client.post(f"{CACHE}/flush", headers=KEY)


def reset(server, _client):
    server.reset()


@pytest.mark.parametrize("remove", [delete_entry, delete_by_attributes, flush, reset])
def test_a_lookup_goes_with_the_entry_that_it_found(server, remove):
    search(server, HEIGHT)
    cursor = listed(server)["cursor"]
    with server.client() as client:
        remove(server, client)
    assert listed(server)["lookups"] == []
    assert listed(server, cursor=cursor)["startsOver"]


def test_a_lookup_goes_with_its_cache(serve):
    server = serve(admin_token="the-token", record_lookups="10")
    admin = {"authorization": "Bearer the-token"}
    with server.client() as client:
        body = {
            "name": "n",
            "databaseId": "d",
            "defaultSearchThreshold": 0.9,
            "defaultTtlMillis": -1,
            "attributes": [],
        }
        made = client.post("/control/v1/caches", json=body, headers=admin)
        cache_id = made.json()["cacheId"]
        client.post(f"/v1/caches/{cache_id}/entries/search", json={"prompt": "p"}, headers=KEY)
        path = f"/console/v1/caches/{cache_id}/lookups"
        assert len(client.get(path, headers=admin).json()["lookups"]) == 1
        client.delete(f"/control/v1/caches/{cache_id}", headers=admin)
        assert client.get(path, headers=admin).json()["lookups"] == []


@pytest.mark.parametrize("remove", [delete_entry, delete_by_attributes])
def test_other_lookups_stay_when_an_entry_is_deleted(server, remove):
    server.seed([{"prompt": OLD, "response": "135 years"}], "c")
    search(server, OLD)
    with server.client() as client:
        remove(server, client)
    assert [each["cachedPrompt"] for each in listed(server)["lookups"]] == [OLD]


def test_reports_are_the_labels_of_the_export(server, tmp_path):
    search(server, HEIGHT)
    search(server, OLD)
    search(server, HEIGHT)
    (found,) = search(server, HEIGHT)
    with server.client() as client:
        report = {"prompt": HEIGHT, "entryId": found["id"], "right": False}
        client.post("/console/v1/caches/c/feedback", json=report)
        # No lookup is kept of this one, as after a restart.
        report = {"prompt": "Its height, please", "entryId": found["id"], "right": True}
        client.post("/console/v1/caches/c/feedback", json=report)
        exported = client.get(f"{LOOKUPS}/export")
    assert exported.headers["content-type"].startswith("application/jsonl")
    path = tmp_path / "lookups.jsonl"
    path.write_text(exported.text, encoding="utf-8")
    file = read_labelled(path)
    assert file.content == "lookups"
    assert file.bad_row_count == 0
    rows = {each.prompt: each for each in file.lookups}
    assert len(file.lookups) == len(rows) == 3
    assert rows[HEIGHT].label == "wrong"
    assert rows[HEIGHT].accepted
    assert rows[HEIGHT].similarity == pytest.approx(0.95, abs=1e-4)
    assert rows[OLD].label is None
    assert rows["Its height, please"].label == "right"


def test_what_a_report_turned_down_counts_as_accepted_by_the_verifier(server):
    (found,) = search(server, HEIGHT)
    with server.client() as client:
        report = {"prompt": HEIGHT, "entryId": found["id"], "right": False}
        client.post("/console/v1/caches/c/feedback", json=report)
        assert search(server, HEIGHT) == []
        assert listed(server)["lookups"][-1]["outcome"] == "rejected"
        (row,) = map(json.loads, client.get(f"{LOOKUPS}/export").text.splitlines())
    assert row["accepted"]
    assert row["label"] == "wrong"


def test_lookups_are_kept_in_development_on_this_machine_only():
    assert kept_lookups(Settings(), strict=False) == 1000
    assert kept_lookups(Settings(), strict=True) == 0
    assert kept_lookups(Settings(host="0.0.0.0"), strict=False) == 0
    assert kept_lookups(Settings(storage="redis://h", workers=2), strict=False) == 0
    assert kept_lookups(Settings(record_lookups="7"), strict=True) == 7
    assert kept_lookups(Settings(record_lookups=7), strict=True) == 7


@pytest.mark.parametrize("given", ["", "x", "-1", "100001", "1.5", -1, 1.5, 100_001])
def test_the_number_of_lookups_is_checked(given):
    with pytest.raises(SettingsError, match="record_lookups: must be auto or an integer from 0"):
        Settings(record_lookups=given)


def test_several_processes_keep_no_lookups():
    for given in ("5", 5):
        with pytest.raises(SettingsError, match="record_lookups: must be auto or 0 with several"):
            Settings(storage="redis://h", workers=2, record_lookups=given)


def test_without_recording_there_are_no_lookups(serve):
    server = serve(record_lookups="0")
    search(server, HEIGHT)
    page = listed(server)
    assert (page["recorded"], page["lookups"], page["cursor"]) == (0, [], None)


# Who may look


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},
        {"origin": "https://attacker.example"},
        {"x-forwarded-for": "192.0.2.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/console/v1/caches", LOOKUPS, f"{LOOKUPS}/export"])
def test_without_a_token_only_direct_requests_from_this_machine_see_prompts(serve, headers, path):
    import httpx

    server = serve(listen=True)
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        assert client.get(path).status_code == 200
        assert client.get(path, headers=headers).status_code in {401, 421}


def test_under_strict_rules_a_key_needs_the_grant(serve, check_problem):
    cache = "0" * 32
    config = {
        "caches": [{"id": cache}, {"id": "1" * 32}],
        "keys": [
            {"token": action, "grants": [{"cache": cache, "actions": [action]}]}
            for action in ("read", "write", "full", "console")
        ],
    }
    server = serve(config=config)
    with server.client() as client:
        for action in ("read", "write", "full"):
            headers = {"authorization": f"Bearer {action}"}
            for path in ("caches", "server", f"caches/{cache}/lookups"):
                check_problem(client.get(f"/console/v1/{path}", headers=headers), 403)
        headers = {"authorization": "Bearer console"}
        assert client.get(f"/console/v1/caches/{cache}/lookups", headers=headers).status_code == 200
        check_problem(client.get(f"/console/v1/caches/{'1' * 32}/lookups", headers=headers), 403)
        caches = client.get("/console/v1/caches", headers=headers).json()["caches"]
        assert [each["cacheId"] for each in caches] == [cache]
        assert client.get("/console/v1/server", headers=headers).json()["strict"] is True
