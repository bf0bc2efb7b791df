import httpx
import pytest
from langcache_mockserver import MockServer, Settings, SettingsError
from langcache_mockserver.http import relaxed_limits, validation
from langcache_mockserver.http.documents import CONTRACT

HEADERS = {"authorization": "Bearer k"}
BROKEN = {
    "prompt_length": {"prompt": "p" * 1025},
    "attribute_count": {"attributes": {f"name{n}": "v" for n in range(6)}},
    "attribute_name": {"attributes": {"a name with spaces, and more than 32 characters": "v"}},
    "attribute_value_length": {"attributes": {"model": "v" * 716}},
    "comma": {"attributes": {"model": "a,b"}},
}
IN_SEARCHES = ("prompt_length", "attribute_count", "attribute_name")


@pytest.fixture(scope="module", params=["", "published", "relaxed", *BROKEN])
def limited(request, minilm):
    """The setting of a server, the names of the limits that it lifts, and a client of it."""
    lifted = {"relaxed": set(BROKEN)}.get(request.param, {request.param} & set(BROKEN))
    with (
        MockServer(embedder=minilm, limits=request.param) as server,
        httpx.Client(base_url=server.url, headers=HEADERS, trust_env=False) as client,
    ):
        yield lifted, client


def test_the_limits_are_those_of_the_tests():
    assert set(relaxed_limits.LIMITS) == set(BROKEN)


@pytest.mark.parametrize("limit", BROKEN)
def test_each_limit_is_lifted_by_its_name_and_by_no_other(limited, cache_path, limit):
    lifted, client = limited
    entry = {"prompt": "p", "response": "r"} | BROKEN[limit]
    answer = client.post(f"{cache_path}/entries", json=entry)
    assert answer.status_code == (201 if limit in lifted else 400), answer.text


@pytest.mark.parametrize("limit", IN_SEARCHES)
def test_what_a_lifted_limit_lets_in_is_found_and_deleted_again(limited, cache_path, limit):
    lifted, client = limited
    wanted = {"prompt": "p"} | BROKEN[limit]
    expected = 200 if limit in lifted else 400
    client.post(f"{cache_path}/entries", json=wanted | {"response": "r"})
    for path in ("entries/search", "conversations/search"):
        answer = client.post(f"{cache_path}/{path}", json=wanted)
        assert answer.status_code == expected
        if expected == 200:
            [entry] = answer.json()["data"]
            assert entry["attributes"] == wanted.get("attributes", {})
    if "attributes" in wanted:
        body = {"attributes": wanted["attributes"]}
        answer = client.request("DELETE", f"{cache_path}/entries", json=body)
        assert answer.status_code == expected
        assert answer.json().get("deletedEntriesCount") == (1 if expected == 200 else None)


def test_limits_that_are_no_limits_of_size_hold_always(limited, cache_path):
    _, client = limited
    for broken in (
        {"prompt": ""},
        {"ttlMillis": 0},
        {"attributes": {"a": ""}},
        {"attributes": {"a": 1}},
        {"other": 1},
    ):
        entry = {"prompt": "p", "response": "r"} | broken
        assert client.post(f"{cache_path}/entries", json=entry).status_code == 400


def test_several_limits_are_lifted_with_commas_between(minilm, cache_path):
    with MockServer(embedder=minilm, limits="comma,attribute_count") as server:
        for limit, broken in BROKEN.items():
            entry = {"prompt": "p", "response": "r"} | broken
            url = f"{server.url}{cache_path}/entries"
            expected = 201 if limit in {"comma", "attribute_count"} else 400
            assert httpx.post(url, json=entry, headers=HEADERS).status_code == expected


@pytest.mark.parametrize("setting", ["strict", "comma,", ",", "comma, prompt_length", "RELAXED"])
def test_a_limit_that_there_is_not_is_refused(setting):
    with pytest.raises(SettingsError, match="limits: must be published, relaxed, or some of"):
        Settings(limits=setting)


def test_relaxing_leaves_the_contract_itself_as_it_is():
    published = validation.request_schemas(CONTRACT)
    relaxed = validation.request_schemas(CONTRACT, relaxed_limits.LIMITS)
    entry = {"prompt": "p" * 1025, "response": "r"}
    assert relaxed["SetRequest"].is_valid(entry)
    assert not published["SetRequest"].is_valid(entry)
    assert not validation.request_schemas(CONTRACT)["SetRequest"].is_valid(entry)
