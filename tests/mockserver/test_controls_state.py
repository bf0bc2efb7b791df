import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langcache_mockserver import MockServer, SimilarityTable

from langcache import LangCache

ENTRIES = [
    {"prompt": "What is Redis?", "response": "A database."},
    {"prompt": "Who?", "response": "They.", "attributes": {"user": "1, 2"}, "cacheId": "other"},
    {"prompt": "For how long?", "response": "A minute.", "ttlMillis": 60_000},
]
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
SEEDS = st.fixed_dictionaries(
    {"prompt": TEXTS, "response": st.text(st.characters(codec="utf-8"))},
    optional={
        "attributes": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "ttlMillis": st.integers(1, 10**9),
        "cacheId": TEXTS,
    },
)


class Counting:
    """An embedder that counts how often and with how many texts it is called."""

    def __init__(self, embedder):
        self.embedder = embedder
        self.model_id, self.dimensions = embedder.model_id, embedder.dimensions
        self.calls = []

    def embed(self, texts):
        self.calls.append(len(texts))
        return self.embedder.embed(texts)


@pytest.fixture(scope="module")
def server():
    with MockServer(embedder=SimilarityTable({})) as running:
        yield running


@pytest.fixture
def http(server):
    server.reset()
    with server.client() as client:
        yield client


def prompts(server, cache):
    dump = {each["cacheId"]: each["entries"] for each in server.dump()["caches"]}
    return [entry["prompt"] for entry in dump.get(cache, [])]


def test_seeded_entries_are_like_stored_ones(server, http):
    server.clock.freeze()
    ids = server.seed(ENTRIES, "cache")
    with LangCache(server.url, "key", "other", client=server.client()) as other:
        found = other.search(prompt="Who?", attributes={"user": "1, 2"}).data[0]
        assert (found.id, found.response) == (ids[1], "They.")
        assert other.set(prompt="Who?", response="", attributes={"user": "1"}).entry_id != ids[1]
    assert prompts(server, "cache") == ["What is Redis?", "For how long?"]
    server.clock.advance(60)
    assert prompts(server, "cache") == ["What is Redis?"]


def test_many_entries_are_embedded_in_few_batches():
    embedder = Counting(SimilarityTable({}))
    with MockServer(embedder=embedder, listen=False) as server:
        server.seed(({"prompt": str(number), "response": ""} for number in range(600)), "cache")
        assert sum(embedder.calls) == 600
        assert len(embedder.calls) <= 3
        assert len(prompts(server, "cache")) == 600


def test_an_entry_without_a_cache_is_refused_and_nothing_is_stored(server, http):
    with pytest.raises(ValueError, match=r"entries\[0\]\.cacheId: is required"):
        server.seed(ENTRIES)
    assert server.dump()["caches"] == []


@pytest.mark.parametrize("form", ["json", "lines", "query"])
def test_seeding_over_http(server, http, form):
    if form == "json":
        body = {"cacheId": "cache", "entries": ENTRIES}
        answer = http.post("/_mock/v1/seed", json=body)
    else:
        lines = (
            "".join(json.dumps({"cacheId": "cache", **entry}) + "\n\n" for entry in ENTRIES)
            if form == "lines"
            else "\n".join(map(json.dumps, ENTRIES))
        )
        answer = http.post(
            "/_mock/v1/seed",
            content=lines,
            params={"cacheId": "cache"} if form == "query" else {},
            headers={"content-type": "application/jsonl"},
        )
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["entryIds"]) == 3
    assert len(prompts(server, "cache")) == 2
    assert prompts(server, "other") == ["Who?"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"entries": [{"prompt": "p"}]}, "entries[0].response", "is required"),
        ({"entries": [ENTRIES[1], {**ENTRIES[1], "prompt": ""}]}, "entries[1].prompt", "at least"),
        ({"entries": [{**ENTRIES[0], "ttlMillis": 0}]}, "entries[0].ttlMillis", ""),
        ({"entries": ENTRIES}, "entries[0].cacheId", "is required"),
        ({}, "entries", "is required"),
    ],
)
def test_a_bad_entry_is_a_400_that_names_the_field(
    server, http, check_problem, body, field, message
):
    problem = check_problem(http.post("/_mock/v1/seed", json=body), 400)
    assert problem["fields"][0]["field"] == field
    assert message in problem["fields"][0]["message"]
    assert server.dump()["caches"] == []


@pytest.mark.parametrize("lines", ['{"prompt": 1}\nnonsense', "{}\n]}", "[", '{"a":1},{"b":2}]}{'])
def test_bad_json_lines_are_a_400(http, check_problem, lines):
    headers = {"content-type": "application/x-ndjson"}
    problem = check_problem(http.post("/_mock/v1/seed", content=lines, headers=headers), 400)
    if "nonsense" in lines:
        assert "line 2 column 1" in problem["detail"]


def test_reset_of_one_cache_leaves_the_rest(server, http):
    server.seed(ENTRIES, "cache")
    server.faults.add(status=500)
    assert http.post("/_mock/v1/reset", json={"cacheId": "cache"}).status_code == 204
    assert [each["cacheId"] for each in server.dump()["caches"]] == ["other"]
    assert len(server.faults) == 1


def test_reset_of_everything(server, http):
    server.seed(ENTRIES, "cache")
    server.faults.add(status=500)
    server.journal.bodies = True
    server.clock.freeze(5)
    admin = {"authorization": f"Bearer {server.admin_token}"}
    declaration = {
        "name": "n",
        "databaseId": "d",
        "defaultSearchThreshold": 0.9,
        "defaultTtlMillis": -1,
        "attributes": [],
    }
    http.post("/control/v1/caches", json=declaration, headers=admin).raise_for_status()
    assert http.post("/_mock/v1/reset").status_code == 204
    assert server.dump()["caches"] == []
    assert http.get("/control/v1/caches", headers=admin).json() == {"caches": []}
    assert (len(server.faults), server.journal.bodies, server.clock.frozen) == (0, False, False)


def test_a_configured_cache_outlives_a_reset():
    config = {"caches": [{"id": "0" * 32, "name": "faq"}]}
    with MockServer(embedder=SimilarityTable({}), listen=False, config=config) as server:
        server.reset()
        assert [each["cacheId"] for each in server.dump()["caches"]] == ["0" * 32]


def test_a_configured_ttl_counts_for_seeds():
    config = {"caches": [{"id": "0" * 32, "name": "faq", "default_ttl_millis": 1000}]}
    with MockServer(embedder=SimilarityTable({}), listen=False, config=config) as server:
        server.clock.freeze(10)
        server.seed(ENTRIES[:1], "0" * 32)
        assert server.dump()["caches"][0]["entries"][0]["expiresAt"] == 11


@given(st.lists(SEEDS, max_size=5), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_dump_loads_into_another_server(server, seeds, vectors):
    server.reset()
    server.clock.freeze(1000)
    server.seed(seeds, "cache")
    dump = json.loads(json.dumps(server.dump(vectors=vectors)))
    with MockServer(embedder=SimilarityTable({}), listen=False) as other:
        other.seed(ENTRIES, "gone")
        other.load(dump)
        assert other.clock() == 1000
        assert other.dump(vectors=vectors) == dump


def test_vectors_in_a_dump_spare_the_embedding(server, http):
    server.seed(ENTRIES, "cache")
    for vectors, embedded in ((True, 0), (False, 3)):
        embedder = Counting(SimilarityTable({}))
        with MockServer(embedder=embedder, listen=False) as other:
            other.load(server.dump(vectors=vectors))
            assert sum(embedder.calls) == embedded


def test_vectors_of_another_model_are_made_anew(server, http):
    server.seed(ENTRIES[:1], "cache")
    embedder = SimilarityTable({("What is Redis?", "What's Redis?"): 0.95})
    with MockServer(embedder=embedder, listen=False) as other:
        other.load(server.dump())
        with LangCache(other.url, "key", "cache", client=other.client()) as cache:
            assert cache.search(prompt="What's Redis?").data[0].similarity == pytest.approx(0.95)


def test_dump_and_load_over_http(server, http):
    server.seed(ENTRIES, "cache")
    dump = http.get("/_mock/v1/state").json()
    assert "embedding" not in http.get("/_mock/v1/state?vectors=false").text
    server.reset()
    assert http.put("/_mock/v1/state", json=dump).json() == {"entries": 3}
    assert http.get("/_mock/v1/state").json()["caches"] == dump["caches"]
    named = http.get("/_mock/v1/state?cacheId=x&cacheId=cache").json()["caches"]
    assert [each["cacheId"] for each in named] == ["cache", "other", "x"]


def entry_of(**changes):
    known = {"id": "i", "prompt": "p", "response": "r", "attributes": {}}
    times = {"createdAt": 1, "updatedAt": 1, "expiresAt": None}
    return {"cacheId": "c", "entries": [{**known, **times, **changes}]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": 2, "caches": []}, "format"),
        ({"format": 1}, "caches"),
        ({"format": 1, "caches": [entry_of(prompt=1)]}, "caches[0].entries[0].prompt"),
        ({"format": 1, "caches": [entry_of(embedding="AAAA")]}, "embedding"),
        ({"format": 1, "caches": [entry_of(embedding="A")]}, "embedding"),
        ({"format": 1, "caches": [], "records": {"server caches": {"a": "[]"}}}, "records"),
        ({"format": 1, "caches": [], "records": {"server keys": {"a": "{"}}}, "records"),
    ],
)
def test_a_bad_dump_is_a_400_and_changes_nothing(server, http, check_problem, body, field):
    server.seed(ENTRIES, "cache")
    before = server.dump()["caches"]
    for cache in body.get("caches", []):
        for entry in cache["entries"]:
            entry["embeddingModel"] = SimilarityTable({}).model_id
    problem = check_problem(http.put("/_mock/v1/state", json=body), 400)
    assert problem["fields"][0]["field"] == field
    assert server.dump()["caches"] == before


def test_sqlite_knows_its_caches_after_a_restart(tmp_path):
    for expected in ([], ["cache"]):
        with MockServer(
            embedder=SimilarityTable({}), listen=False, storage=f"sqlite:{tmp_path / 'file'}"
        ) as server:
            assert [each["cacheId"] for each in server.dump()["caches"]] == expected
            server.seed(ENTRIES[:1], "cache")


def test_the_controls_describe_themselves(server, http):
    document = http.get("/_mock/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method in operations.keys() - {"parameters"}:
            answer = http.request(method, path)
            assert answer.status_code != 405, (method, path)
