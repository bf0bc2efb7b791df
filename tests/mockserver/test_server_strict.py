import http.client
import json
import re
from urllib.parse import urlsplit

import httpx
import pytest
from langcache_mockserver import MockServer

FAQ, BARE, OTHER = "8fd0e5d9a7f94ab0b8b0d53fd4a6e8a1", "b" * 32, "c" * 32
UNKNOWN = "d" * 32
CONFIG = {
    "caches": [
        {
            "id": FAQ,
            "attributes": ["user_id", "topic"],
            "default_threshold": 0.99,
            "default_ttl_millis": 60_000,
            "search_strategies": ["exact", "semantic"],
        },
        {"id": BARE},
        {"id": OTHER},
    ],
    "keys": [
        {"token": "reader", "grants": [{"cache": FAQ, "actions": ["read"]}]},
        {"token": "writer", "grants": [{"cache": FAQ, "actions": ["write"]}]},
        {"token": "owner", "grants": [{"cache": FAQ, "actions": ["full"]}]},
        {
            "token": "both",
            "grants": [
                {"cache": "*", "actions": ["read"]},
                {"cache": BARE, "actions": ["read", "write"]},
            ],
        },
        {"token": "any", "grants": [{"cache": "*", "actions": ["full"]}]},
        {"token": "none", "grants": []},
        {
            "token": "slow",
            "grants": [{"cache": "*", "actions": ["full"]}],
            "rate_limit": {"requests": 2, "per_seconds": 3600},
        },
    ],
}
OPERATIONS = {
    "search": ("POST", "/entries/search", {"prompt": "p"}),
    "converse": ("POST", "/conversations/search", {"prompt": "p"}),
    "health": ("GET", "/health", None),
    "set": ("POST", "/entries", {"prompt": "p", "response": "r"}),
    "deleteQuery": ("DELETE", "/entries", {"attributes": {}}),
    "deleteById": ("DELETE", "/entries/0", None),
    "flush": ("POST", "/flush", None),
}
READS = {"search", "converse", "health"}
WRITES = READS | {"set", "deleteQuery", "deleteById"}
SEMANTIC = {"searchStrategies": ["semantic"]}


@pytest.fixture(scope="module")
def strict_server(minilm, mock_clock):
    with MockServer(embedder=minilm, clock=mock_clock, config=CONFIG) as server:
        yield server


@pytest.fixture(scope="module")
def strict(strict_server):
    with httpx.Client(base_url=strict_server.url, trust_env=False) as client:
        yield client


def call(client, token, operation, cache_id=FAQ, **members):
    method, path, body = OPERATIONS[operation]
    return client.request(
        method,
        f"/v1/caches/{cache_id}{path}",
        json=None if body is None else body | members,
        headers={"authorization": f"Bearer {token}"},
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("token", "cache_id", "allowed"),
    [
        ("reader", FAQ, READS),
        ("writer", FAQ, WRITES),
        ("owner", FAQ, set(OPERATIONS)),
        ("any", FAQ, set(OPERATIONS)),
        ("both", FAQ, READS),
        ("both", BARE, WRITES),
        ("none", FAQ, set()),
        ("reader", OTHER, set()),
        ("owner", OTHER, set()),
    ],
)
def test_a_key_may_do_what_its_grants_say_and_nothing_else(
    strict, check_problem, operation, token, cache_id, allowed
):
    response = call(strict, token, operation, cache_id)
    if operation not in allowed:
        problem = check_problem(response, 403)
        assert "no grant" in problem["detail"]
    elif operation == "deleteById":
        check_problem(response, 404)
    else:
        assert response.is_success


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_key_is_401_whether_or_not_there_is_the_cache(strict, check_problem, operation):
    details = set()
    for cache_id in (FAQ, UNKNOWN, "*", "%2A"):
        for token in ("nobody", "reade", "READER", "readerr", "*"):
            response = call(strict, token, operation, cache_id)
            details.add(check_problem(response, 401)["detail"])
            assert response.headers["www-authenticate"] == "Bearer"
    assert len(details) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_cache_is_404_to_those_who_may_and_to_others_like_any_cache(
    strict, check_problem, operation
):
    assert "no cache" in check_problem(call(strict, "any", operation, UNKNOWN), 404)["detail"]
    for token in ("none", "reader"):
        missing = check_problem(call(strict, token, operation, UNKNOWN), 403)
        there = check_problem(call(strict, token, operation, OTHER), 403)
        assert missing["detail"] == there["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/caches/{}/entries",
        "/v1/caches/%{first}{rest}/entries",
        "/v1/caches/{upper}/entries",
        "//v1/caches/{}/entries",
        "/v1//caches/{}/entries",
        "/v1/caches//{}/entries",
        "/v1/caches/{}//entries",
        "/v1/caches/{}/entries/",
        "/v1/caches/./{}/entries",
        "/v1/caches/x/../{}/entries",
        "/v1/caches/{allowed}/../{}/entries",
        "/v1/caches/{allowed}%2F..%2F{}/entries",
        "/v1/caches/{allowed}%2f%2e%2e%2f{}/entries",
        "/v1/caches/%2e%2e/caches/{}/entries",
        "/v1/caches/{}%00/entries",
        "/v1/caches/%00{}/entries",
        "/v1/caches/{}%20/entries",
        "/v1/caches/{};x/entries",
        "/v1/caches/{}%2500/entries",
        "/v1/caches/*/entries",
        "/v1/caches/%2A/entries",
        "/v1/caches/{}/entries?cacheId={allowed}",
        "/v1/caches/{}/entries?cache_id={allowed}",
        "/v1/caches/{allowed},{}/entries",
        "/V1/caches/{}/entries",
        "/v1/caches/{}\\entries",
        "/%76%31/caches/{}/entries",
        "/control/../v1/caches/{}/entries",
        "/_mock/../v1/caches/{}/entries",
    ],
)
@pytest.mark.parametrize("suffix", ["", "/search"])
def test_no_spelling_of_the_path_reaches_a_cache_without_its_grant(
    strict_server, strict, path, suffix
):
    # http.client sends the path as it is; httpx would tidy it up.
    stored = {"prompt": "the other's secret", "response": "theirs"}
    assert call(strict, "any", "set", OTHER, **stored).status_code == 201
    spelled = path.format(
        OTHER,
        first=f"{ord(OTHER[0]):x}",
        rest=OTHER[1:],
        upper=OTHER.upper(),
        allowed=FAQ,
    ).replace("entries", f"entries{suffix}")
    body = {"prompt": "the other's secret"} if suffix else stored | {"response": "changed"}
    headers = {
        "authorization": "Bearer reader",
        "content-type": "application/json",
        "x-http-method-override": "POST",
        "x-original-url": f"/v1/caches/{FAQ}/entries/search",
        "x-forwarded-prefix": f"/v1/caches/{FAQ}",
    }
    address = urlsplit(strict_server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    for method in ("POST", "GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"):
        connection.request(method, spelled, json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status in {400, 403, 404, 405}
        assert b"theirs" not in content
        if method != "HEAD":
            assert json.loads(content)["instance"] == spelled.partition("?")[0]
    connection.close()
    found = call(strict, "any", "search", OTHER, prompt="the other's secret").json()["data"]
    assert [entry["response"] for entry in found] == ["theirs"]


def test_the_spelling_of_an_id_does_not_matter_to_its_grant(strict):
    encoded = "".join(f"%{ord(letter):02X}" for letter in FAQ)
    assert call(strict, "reader", "search", encoded).status_code == 200


@pytest.mark.parametrize("operation", ["set", "search", "converse", "deleteQuery"])
def test_attributes_of_a_cache_that_declares_none_are_refused_with_the_words_clients_know(
    strict, check_problem, operation
):
    response = call(strict, "any", operation, BARE, attributes={"user_id": "7"})
    problem = check_problem(response, 400)
    assert problem["detail"] == "attributes: no attributes are configured for this cache."
    assert [field["field"] for field in problem["fields"]] == ["attributes"]
    assert call(strict, "any", operation, BARE, attributes={}).is_success


@pytest.mark.parametrize("operation", ["set", "search", "converse", "deleteQuery"])
def test_only_declared_attributes_will_do(strict, check_problem, operation):
    attributes = {"user_id": "7", "secret1": "v", "secret2": "v"}
    response = call(strict, "any", operation, attributes=attributes)
    fields = check_problem(response, 400)["fields"]
    assert {field["field"] for field in fields} == {"attributes.secret1", "attributes.secret2"}
    assert all(field["message"].endswith("user_id, topic") for field in fields)
    assert call(strict, "any", operation, attributes={"user_id": "7"}).is_success


@pytest.mark.parametrize("operation", ["search", "converse"])
def test_only_the_strategies_of_the_cache_will_do(strict, check_problem, operation):
    asked = {"searchStrategies": ["semantic", "exact"]}
    fields = check_problem(call(strict, "any", operation, BARE, **asked), 400)["fields"]
    assert [field["field"] for field in fields] == ["searchStrategies[1]"]
    assert call(strict, "any", operation, FAQ, **asked).is_success


def test_a_search_uses_the_threshold_and_the_strategies_of_its_cache(strict):
    prompt, near = "What is the capital of France?", "What is the capital city of France?"
    for cache_id in (FAQ, BARE):
        stored = {"prompt": prompt, "response": "Paris"}
        assert call(strict, "any", "set", cache_id, **stored).status_code == 201
    [match] = call(strict, "any", "search", BARE, prompt=near).json()["data"]
    assert 0.9 <= match["similarity"] < 0.99
    assert call(strict, "any", "search", FAQ, prompt=near).json()["data"] == []
    looser = {"similarityThreshold": 0.9, **SEMANTIC}
    assert call(strict, "any", "search", FAQ, prompt=near, **looser).json()["data"]
    [exact] = call(strict, "any", "search", FAQ, prompt=prompt.upper()).json()["data"]
    assert exact["searchStrategy"] == "exact"
    [semantic] = call(strict, "any", "search", BARE, prompt=prompt.upper()).json()["data"]
    assert semantic["searchStrategy"] == "semantic"


def test_an_entry_lives_as_long_as_its_cache_says_unless_it_says_so_itself(strict, mock_clock):
    def responses(cache_id):
        found = call(strict, "any", "search", cache_id, prompt="ttl", maxResults=5)
        return [entry["response"] for entry in found.json()["data"]]

    for cache_id in (FAQ, BARE):
        call(strict, "any", "set", cache_id, prompt="ttl", response="default")
    own = {"attributes": {"topic": "own"}, "ttlMillis": 120_000}
    call(strict, "any", "set", FAQ, prompt="ttl", response="own", **own)
    mock_clock.now += 59
    assert sorted(responses(FAQ)) == ["default", "own"]
    mock_clock.now += 1
    assert responses(FAQ) == ["own"]
    mock_clock.now += 60
    assert responses(FAQ) == []
    assert responses(BARE) == ["default"]


def test_a_key_that_asks_too_often_is_told_how_long_to_wait(strict, check_problem):
    assert [call(strict, "slow", "search").status_code for _ in range(2)] == [200, 200]
    response = call(strict, "slow", "search")
    problem = check_problem(response, 429)
    assert problem["detail"] == "the key may send 2 requests in 3600 seconds"
    assert re.fullmatch(r"1[78]\d\d", response.headers["retry-after"])
    assert call(strict, "any", "search").status_code == 200


def test_a_body_too_large_is_413(strict, check_problem):
    check_problem(call(strict, "any", "set", response="r" * (1 << 20)), 413)


def test_without_a_configuration_strict_rules_let_nobody_in(minilm, check_problem):
    with (
        MockServer(embedder=minilm, strict=True) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        for operation in OPERATIONS:
            check_problem(call(client, "any", operation), 401)
        assert client.get("/health").json() == {"ok": True}


def test_no_error_repeats_a_token(strict):
    answers = [call(strict, token, "flush") for token in ("reader", "secret-nobody")]
    assert [answer.status_code for answer in answers] == [403, 401]
    for answer, token in zip(answers, ("reader", "secret-nobody"), strict=True):
        assert token not in answer.text
        assert token not in str(answer.headers)
