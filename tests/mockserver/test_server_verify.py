"""Hits are checked before they are served: verifiers, explanations and reports over HTTP."""

import asyncio
import contextlib
import functools
import json
import re

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st
from langcache_mockserver import ConfigurationError, MockServer, SettingsError, SimilarityTable
from langcache_mockserver.cli import main
from langcache_mockserver.http.documents import CONSOLE_DOCUMENT
from schemathesis.checks import CHECKS

from examples import examples
from langcache.engine import FunctionEmbedder, SemanticCache, SQLiteStorage, create_verifier

ENABLE, DISABLE = "How do I enable dark mode?", "How do I disable dark mode?"
TURN_ON = "How do I turn on dark mode?"
CONSOLE = "/console/v1/caches"
CACHE = "8fd0e5d9a7f94ab0b8b0d53fd4a6e8a1"


class Asking:
    """A server and the requests that these tests make."""

    def __init__(self, server, key="any"):
        self.server = server
        self.http = server.client()
        self.http.headers["authorization"] = f"Bearer {key}"

    def store(self, prompt, response="r", cache="a", **more):
        body = {"prompt": prompt, "response": response, **more}
        answer = self.http.post(f"/v1/caches/{cache}/entries", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["entryId"]

    def search(self, prompt, cache="a", **more):
        body = {"prompt": prompt, **more}
        answer = self.http.post(f"/v1/caches/{cache}/entries/search", json=body)
        assert answer.status_code == 200, answer.text
        return [entry["prompt"] for entry in answer.json()["data"]]

    def explain(self, prompt, cache="a", **more):
        answer = self.http.post(f"{CONSOLE}/{cache}/explain", json={"prompt": prompt, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def report(self, prompt, entry_id, right=False, cache="a"):
        body = {"prompt": prompt, "entryId": entry_id, "right": right}
        return self.http.post(f"{CONSOLE}/{cache}/feedback", json=body)

    def withdraw(self, prompt, entry_id, cache="a"):
        body = {"prompt": prompt, "entryId": entry_id}
        return self.http.request("DELETE", f"{CONSOLE}/{cache}/feedback", json=body)

    def reports(self, cache="a"):
        answer = self.http.get(f"{CONSOLE}/{cache}/feedback")
        assert answer.status_code == 200, answer.text
        return answer.json()["reports"]

    def outcomes(self):
        found = re.findall(
            r'langcache_lookups_total{cache="(\w+)",outcome="(\w+)"} (\d+)',
            self.http.get("/metrics").text,
        )
        return {outcome: int(count) for _, outcome, count in found}


@pytest.fixture
def serve(minilm):
    with contextlib.ExitStack() as stack:

        def start(**options):
            options = {"embedder": minilm, "listen": False, **options}
            key = options.pop("key", "any")
            return Asking(stack.enter_context(MockServer(**options)), key)

        yield start


# Verifiers


@pytest.mark.parametrize("verify", ["rules", "auto", "model"])
def test_an_opposite_prompt_is_rejected(serve, verify):
    asking = serve(verify=verify)
    asking.store(ENABLE)
    assert asking.search(DISABLE) == []
    assert asking.search(ENABLE) == [ENABLE]
    assert asking.search(TURN_ON) == [ENABLE]
    assert asking.outcomes() == {"rejected": 1, "hit": 2}


def test_an_opposite_prompt_is_served_by_default(serve):
    asking = serve()
    asking.store(ENABLE)
    assert asking.search(DISABLE) == [ENABLE]
    assert asking.outcomes() == {"hit": 1}


def test_a_rejected_search_is_told_apart_in_the_journal(serve):
    asking = serve(verify="rules")
    asking.store(ENABLE)
    asking.search(DISABLE)
    asking.search("Where do penguins live?")
    asking.search(DISABLE, similarityThreshold=1)
    journal = asking.server.journal
    assert [entry.outcome for entry in journal.find(operation="search")] == [
        "rejected",
        "miss",
        "near_miss",
    ]
    journal.verify(1, outcome="rejected")


def test_a_rejected_nearest_does_not_hide_a_right_second(serve):
    asking = serve(verify="rules")
    asking.store("Where is my order 12346?")
    asking.store("Where's order 12345 of mine?")
    assert asking.search("Where is my order 12345?", similarityThreshold=0.8) == [
        "Where's order 12345 of mine?"
    ]


def test_a_conversation_is_verified(serve):
    asking = serve(verify="rules")
    asking.store(ENABLE)
    answer = asking.http.post(
        "/v1/caches/a/conversations/search", json={"prompt": DISABLE, "context": ["Hello."]}
    )
    assert answer.json() == {"actualPrompt": DISABLE, "data": []}
    asking.server.journal.verify(1, operation="conversationalSearch", outcome="rejected")


def test_an_exact_match_is_not_verified(serve):
    asking = serve(verify="auto")
    asking.store(ENABLE)
    assert asking.search(ENABLE.upper(), searchStrategies=["exact"]) == [ENABLE]


def test_what_the_embedder_cannot_tell_apart_is_no_hit_without_a_verifier_either(serve):
    asking = serve()
    asking.store("What does grep -v foo do?")
    assert asking.search("What does grep -V foo do?") == []
    assert asking.search("what does GREP -v foo do?") == ["What does grep -v foo do?"]
    assert asking.outcomes() == {"rejected": 1, "hit": 1}


def test_the_answer_has_the_fields_of_the_official_api_only(serve):
    asking = serve(verify="auto")
    asking.store(ENABLE)
    answer = asking.http.post("/v1/caches/a/entries/search", json={"prompt": TURN_ON}).json()
    [entry] = answer["data"]
    assert answer.keys() == {"data"}
    assert entry.keys() == {
        *("id", "prompt", "response", "attributes", "similarity", "searchStrategy"),
    }


def test_with_a_verifier_a_search_looks_at_a_bounded_number_of_entries(serve):
    same = FunctionEmbedder(
        lambda texts: np.eye(1, 4, dtype=np.float32).repeat(len(texts), 0),
        model_id="same",
        dimensions=4,
    )
    many = [f"prompt {chr(97 + number % 26) * (1 + number // 26)}" for number in range(78)]
    asking = serve(embedder=same)
    asking.server.seed([{"prompt": one, "response": "r"} for one in many], "a")
    asked = {"similarityThreshold": 0.9, "maxResults": 1000}
    assert len(asking.search("prompt", **asked)) == len(many)
    asking.http.patch(f"{CONSOLE}/a", json={"verify": "rules"})
    assert 0 < len(asking.search("prompt", **asked)) <= 50


@pytest.mark.parametrize("many", [1, 16])
def test_concurrent_searches_are_verified_alike(serve, many):
    asking = serve(verify="auto")
    asking.store(ENABLE)

    async def search(client, prompt):
        body = {"prompt": prompt}
        answer = await client.post("/v1/caches/a/entries/search", json=body)
        return [entry["prompt"] for entry in answer.json()["data"]]

    async def searches():
        async with asking.server.async_client() as client:
            client.headers["authorization"] = "Bearer any"
            return await asyncio.gather(
                *[search(client, [TURN_ON, DISABLE][number % 2]) for number in range(many)]
            )

    assert asyncio.run(searches()) == [[[ENABLE], []][number % 2] for number in range(many)]


def test_an_unknown_verifier_is_refused_at_the_start(capsys):
    with pytest.raises(SettingsError, match="verify: must be one of off, rules, model, auto"):
        MockServer(verify="maybe")
    with pytest.raises(SystemExit) as exit_info:
        main(["--verify", "maybe"])
    assert exit_info.value.code == 2
    assert "--verify: must be one of off, rules, model, auto" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match=r"caches\[0\].verify: must be one of off, rules"):
        MockServer(config={"caches": [{"id": CACHE, "verify": "maybe"}]})


def test_a_cache_of_the_configuration_has_a_verifier_of_its_own(serve):
    other = CACHE.replace("8", "9")
    caches = [{"id": CACHE, "verify": "rules"}, {"id": other}]
    keys = [{"token": "user", "grants": [{"cache": "*", "actions": ["full"]}]}]
    asking = serve(config={"caches": caches, "keys": keys}, key="user")
    for cache in (CACHE, other):
        asking.store(ENABLE, cache=cache)
    assert asking.search(DISABLE, CACHE) == []
    assert asking.search(DISABLE, other) == [ENABLE]


# Settings on the console


def test_the_verifier_of_a_cache_can_be_changed(serve):
    asking = serve()
    asking.store(ENABLE)
    path = f"{CONSOLE}/a"
    default = {"cacheId": "a", "verify": "off", "isDefault": True, "configured": False}
    assert asking.http.get(path).json() == default
    for verify, found in (("rules", []), ("off", [ENABLE]), ("auto", [])):
        changed = {**default, "verify": verify, "isDefault": False}
        answer = asking.http.patch(path, json={"verify": verify})
        assert (answer.status_code, answer.json()) == (200, changed)
        assert asking.http.get(path).json() == changed
        assert asking.search(DISABLE) == found
    assert asking.http.patch(path, json={"verify": "default"}).json() == default
    assert asking.search(DISABLE) == [ENABLE]


def test_a_changed_verifier_survives_a_restart(serve, minilm, tmp_path):
    for verify in ("rules", "auto"):
        with (
            contextlib.closing(SQLiteStorage(tmp_path / "cache.db")) as storage,
            MockServer(embedder=minilm, storage=storage, listen=False) as server,
        ):
            asking = Asking(server)
            if verify == "rules":
                asking.store(ENABLE)
                asking.http.patch(f"{CONSOLE}/a", json={"verify": verify})
            assert asking.search(DISABLE) == []
            assert asking.http.get(f"{CONSOLE}/a").json()["verify"] == "rules"


def test_another_worker_sees_a_changed_verifier(minilm, redis_url, redis_prefix):
    from langcache.engine import RedisStorage

    with contextlib.ExitStack() as stack:
        one, other = (
            Asking(
                stack.enter_context(
                    MockServer(
                        embedder=minilm,
                        listen=False,
                        storage=stack.enter_context(
                            contextlib.closing(RedisStorage(url=redis_url, prefix=redis_prefix))
                        ),
                    )
                )
            )
            for _ in range(2)
        )
        entry_id = one.store(ENABLE)
        one.http.patch(f"{CONSOLE}/a", json={"verify": "rules"})
        assert other.http.get(f"{CONSOLE}/a").json()["verify"] == "rules"
        assert other.search(DISABLE) == []
        one.report(DISABLE, entry_id, right=True)
        assert other.search(DISABLE) == [ENABLE]


def test_a_cache_of_the_configuration_cannot_be_changed(serve, check_problem):
    config = {"caches": [{"id": CACHE, "verify": "rules"}], "admin_token": "admin"}
    asking = serve(config=config, key="admin")
    check_problem(asking.http.patch(f"{CONSOLE}/{CACHE}", json={"verify": "off"}), 403)
    assert asking.http.get(f"{CONSOLE}/{CACHE}").json() == {
        "cacheId": CACHE,
        "verify": "rules",
        "isDefault": False,
        "configured": True,
    }


def test_a_removed_cache_leaves_no_setting(serve):
    asking = serve(strict=True, admin_token="admin", key="admin")
    body = {
        "name": "n",
        "databaseId": "d",
        "defaultSearchThreshold": 0.9,
        "defaultTtlMillis": -1,
        "attributes": [],
    }
    cache = asking.http.post("/control/v1/caches", json=body).json()["cacheId"]
    assert asking.http.patch(f"{CONSOLE}/{cache}", json={"verify": "rules"}).status_code == 200
    assert cache in asking.server.dump()["records"]["server verifiers"]
    asking.http.delete(f"/control/v1/caches/{cache}")
    assert asking.server.dump()["records"]["server verifiers"] == {}


def test_only_so_many_caches_can_be_given_a_verifier(serve, monkeypatch, check_problem):
    monkeypatch.setattr("langcache_mockserver.domain.registry.MOST_VERIFIERS", 2)
    asking = serve(embedder=SimilarityTable({}))
    for cache in ("a", "b", "a"):
        answer = asking.http.patch(f"{CONSOLE}/{cache}", json={"verify": "rules"})
        assert answer.status_code == 200
    check_problem(asking.http.patch(f"{CONSOLE}/c", json={"verify": "rules"}), 403)
    assert asking.http.patch(f"{CONSOLE}/a", json={"verify": "default"}).status_code == 200
    assert asking.http.patch(f"{CONSOLE}/c", json={"verify": "rules"}).status_code == 200


# Explanations


def test_an_explanation_has_the_reason(serve):
    asking = serve(verify="auto")
    entry_id = asking.store(ENABLE, "In the settings.", attributes={"language": "en"})
    explained = asking.explain(DISABLE)
    for step in ("embeddingMillis", "searchMillis", "verifyMillis"):
        assert explained.pop(step) >= 0
    [candidate] = explained.pop("candidates")
    best = candidate.pop("similarity")
    assert explained == {
        "outcome": "rejected",
        "response": None,
        "threshold": 0.9,
        "bestSimilarity": best,
        "verify": "auto",
    }
    assert candidate == {
        "id": entry_id,
        "prompt": ENABLE,
        "response": "In the settings.",
        "attributes": {"language": "en"},
        "reachesThreshold": True,
        "verdict": {
            "accepted": False,
            "probability": None,
            "reason": "the prompts have opposite words",
            "check": "antonyms",
            "details": candidate["verdict"]["details"],
        },
        "served": False,
    }
    assert asking.outcomes() == {}


def test_an_explanation_can_use_another_threshold_and_verifier(serve):
    asking = serve()
    asking.store(ENABLE, "In the settings.")
    explained = asking.explain(DISABLE)
    assert (explained["outcome"], explained["response"]) == ("hit", "In the settings.")
    assert explained["candidates"][0]["served"]
    assert asking.explain(DISABLE, verify="rules")["outcome"] == "rejected"
    assert asking.explain(DISABLE, similarityThreshold=1)["outcome"] == "near_miss"


def test_a_miss_is_explained(serve):
    asking = serve()
    assert asking.explain(ENABLE)["bestSimilarity"] is None
    for number in range(7):
        asking.store(f"Where do penguins number {number} live?")
    explained = asking.explain(ENABLE, maxCandidates=2)
    assert explained["outcome"] == "miss"
    assert len(explained["candidates"]) == 2
    assert explained["bestSimilarity"] == explained["candidates"][0]["similarity"] < 0.8
    assert asking.explain(ENABLE, attributes={"user": "x"})["candidates"] == []


def test_an_explanation_of_one_candidate_still_has_the_true_outcome(serve):
    asking = serve(verify="rules")
    asking.store("Where is my order 12346?")
    asking.store("Where's order 12345 of mine?", "Right.")
    explained = asking.explain("Where is my order 12345?", similarityThreshold=0.8, maxCandidates=1)
    assert len(explained["candidates"]) == 1
    assert (explained["outcome"], explained["response"]) == ("hit", "Right.")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("explain", {}, "prompt"),
        ("explain", {"prompt": ""}, "prompt"),
        ("explain", {"prompt": "p" * 1025}, "prompt"),
        ("explain", {"prompt": "p", "maxCandidates": 51}, "maxCandidates"),
        ("explain", {"prompt": "p", "maxCandidates": 0}, "maxCandidates"),
        ("explain", {"prompt": "p", "verify": "maybe"}, "verify"),
        ("explain", {"prompt": "p", "similarityThreshold": 2}, "similarityThreshold"),
        ("explain", {"prompt": "p", "more": 1}, "more"),
        ("feedback", {"prompt": "p", "entryId": "e"}, "right"),
        ("feedback", {"prompt": "p", "entryId": "e", "right": "no"}, "right"),
        ("feedback", {"prompt": "p", "entryId": "e" * 513, "right": True}, "entryId"),
    ],
)
def test_a_bad_body_is_refused_with_the_field(serve, check_problem, path, body, field):
    asking = serve(embedder=SimilarityTable({}))
    answer = asking.http.post(f"{CONSOLE}/a/{path}", json=body)
    check_problem(answer, 400)
    assert answer.json()["fields"][0]["field"] == field


# Reports


def test_a_wrong_hit_is_blocked_until_the_report_is_withdrawn(serve):
    asking = serve()
    entry_id = asking.store(ENABLE)
    answer = asking.report(DISABLE, entry_id)
    assert (answer.status_code, answer.json()) == (200, {"recorded": True, "entryDeleted": False})
    assert asking.search(DISABLE) == []
    assert asking.search(TURN_ON) == [ENABLE]
    [report] = asking.reports()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", report.pop("reportedAt"))
    assert report == {
        "prompt": DISABLE,
        "cachedPrompt": ENABLE,
        "entryId": entry_id,
        "right": False,
    }
    explained = asking.explain(DISABLE)
    assert explained["candidates"][0]["verdict"]["reason"] == "a user reported this hit as wrong"
    assert asking.withdraw(DISABLE, entry_id).status_code == 204
    assert asking.search(DISABLE) == [ENABLE]
    assert asking.reports() == []


def test_a_right_hit_is_not_rejected_again(serve):
    asking = serve(verify="auto")
    entry_id = asking.store(ENABLE)
    assert asking.search(DISABLE) == []
    asking.report(DISABLE, entry_id, right=True)
    assert asking.search(DISABLE) == [ENABLE]


def test_a_wrong_response_to_the_same_prompt_is_deleted(serve):
    asking = serve()
    entry_id = asking.store(ENABLE)
    assert asking.report(ENABLE, entry_id, right=True).json() == {
        "recorded": False,
        "entryDeleted": False,
    }
    assert asking.report(ENABLE.upper(), entry_id).json() == {
        "recorded": False,
        "entryDeleted": True,
    }
    assert asking.search(ENABLE) == []


def test_a_report_on_nothing_is_refused(serve, check_problem):
    asking = serve(embedder=SimilarityTable({}))
    check_problem(asking.report(DISABLE, "nothing"), 404)
    check_problem(asking.withdraw(DISABLE, "nothing"), 404)
    entry_id = asking.store(ENABLE)
    check_problem(asking.withdraw(DISABLE, entry_id), 404)


@pytest.mark.parametrize("way", ["delete", "attributes", "flush", "reset"])
def test_reports_go_with_their_entries(serve, way):
    asking = serve()
    entry_id = asking.store(ENABLE, attributes={"language": "en"})
    kept = asking.store("Where do penguins live?", attributes={"language": "de"})
    asking.report(DISABLE, entry_id)
    asking.report("Where do pandas live?", kept)
    path = "/v1/caches/a"
    if way == "delete":
        asking.http.delete(f"{path}/entries/{entry_id}")
    elif way == "attributes":
        body = {"attributes": {"language": "en"}}
        asking.http.request("DELETE", f"{path}/entries", json=body)
    elif way == "flush":
        asking.http.post(f"{path}/flush")
    else:
        asking.server.reset()
    left = [report["entryId"] for report in asking.reports()]
    assert left == ([kept] if way in {"delete", "attributes"} else [])
    asking.store(ENABLE, attributes={"language": "en"})
    assert asking.search(DISABLE) == [ENABLE]


def test_reports_survive_a_restart(minilm, tmp_path):
    entry_id = None
    for _ in range(2):
        with (
            contextlib.closing(SQLiteStorage(tmp_path / "cache.db")) as storage,
            MockServer(embedder=minilm, storage=storage, listen=False) as server,
        ):
            asking = Asking(server)
            if entry_id is None:
                entry_id = asking.store(ENABLE)
                asking.report(DISABLE, entry_id)
            assert asking.search(DISABLE) == []
            assert [each["entryId"] for each in asking.reports()] == [entry_id]


# Who may


@pytest.mark.parametrize(
    ("actions", "allowed"),
    [
        (["read"], []),
        (["write"], ["report", "withdraw"]),
        (["full"], ["explain", "list", "report", "withdraw"]),
    ],
)
def test_under_strict_rules_a_grant_is_needed(serve, actions, allowed):
    keys = [{"token": "user", "grants": [{"cache": CACHE, "actions": actions}]}]
    config = {"caches": [{"id": CACHE}], "keys": keys, "admin_token": "admin"}
    asking = serve(config=config, key="admin")
    [entry_id] = asking.server.seed([{"prompt": ENABLE, "response": "r"}], CACHE)
    requests = {
        "explain": ("POST", "/explain", {"prompt": "p"}),
        "list": ("GET", "/feedback", None),
        "report": ("POST", "/feedback", {"prompt": "p", "entryId": entry_id, "right": False}),
        "withdraw": ("DELETE", "/feedback", {"prompt": "p", "entryId": entry_id}),
        "get": ("GET", "", None),
        "change": ("PATCH", "", {"verify": "off"}),
    }
    for name, (method, path, body) in requests.items():
        url = f"{CONSOLE}/{CACHE}{path}"
        more = {} if body is None else {"json": body}
        by = {}
        for key in ("user", "admin", "unknown"):
            headers = {"authorization": f"Bearer {key}"}
            by[key] = asking.http.request(method, url, headers=headers, **more).status_code
            if name == "withdraw":
                asking.report("p", entry_id, cache=CACHE)
        assert by["unknown"] == 401
        assert by["admin"] in ({403} if name == "change" else {200, 204})
        if name in allowed:
            assert by["user"] in {200, 204}
        else:
            assert by["user"] == (401 if name in {"get", "change"} else 403)
    missing = f"{CONSOLE}/{CACHE.replace('8', '9')}/explain"
    assert asking.http.post(missing, json={"prompt": "p"}).status_code == 404


def test_in_development_an_admin_token_that_was_set_is_needed(serve, check_problem):
    asking = serve(admin_token="admin", embedder=SimilarityTable({}))
    check_problem(asking.http.post(f"{CONSOLE}/a/explain", json={"prompt": "p"}), 401)
    check_problem(asking.http.get(f"{CONSOLE}/a/feedback"), 401)
    headers = {"authorization": "Bearer admin"}
    answer = asking.http.post(f"{CONSOLE}/a/explain", json={"prompt": "p"}, headers=headers)
    assert answer.status_code == 200


# The description


def test_the_description_is_served_and_valid(serve):
    asking = serve(embedder=SimilarityTable({}))
    assert asking.http.get("/console/openapi.json").content == CONSOLE_DOCUMENT
    pytest.importorskip("openapi_spec_validator").validate(json.loads(CONSOLE_DOCUMENT))


@pytest.fixture(scope="module")
def console_server(minilm):
    with MockServer(embedder=minilm, admin_token="admin") as server:
        yield server


@schemathesis.openapi.from_dict(json.loads(CONSOLE_DOCUMENT)).parametrize()
@seed(20261127)
@settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_the_server_keeps_to_the_description(console_server, case):
    case.call_and_validate(
        base_url=console_server.url,
        headers={"authorization": "Bearer admin"},
        # It takes a wrong token for none, which another test has.
        excluded_checks=CHECKS.get_by_names(["ignored_auth"]),
    )


# The server decides as the library does

TEXTS = st.sampled_from(
    [
        ENABLE,
        DISABLE,
        TURN_ON,
        "Where is order 12345?",
        "track order 12345",
        "Where is order 12346?",
        "convert USD to EUR",
        "convert EUR to USD",
        "grep -v foo",
        "grep -V foo",
        "GREP -v foo",
        "hello \N{GRINNING FACE}",
        "hello \N{PILE OF POO}",
        "caf\u00e9 near me",
        "cafe near me",
        "x " * 600,
        "x " * 600 + "y",
    ]
)
REPORTS = st.lists(st.tuples(TEXTS, TEXTS, st.booleans()), max_size=4)


loaded = functools.cache(create_verifier)


@pytest.fixture(scope="module")
def deciding(minilm):
    with MockServer(embedder=minilm, listen=False, limits="relaxed") as server:
        yield Asking(server)


@given(
    stored=st.lists(TEXTS, min_size=1, max_size=8, unique=True),
    asked=st.lists(TEXTS, min_size=1, max_size=3),
    reports=REPORTS,
    threshold=st.sampled_from([0.5, 0.8, 0.9, 0.97]),
    limit=st.integers(1, 5),
    verify=st.sampled_from(["off", "rules", "auto"]),
)
@example([ENABLE, TURN_ON], [DISABLE], [(DISABLE, ENABLE, True)], 0.9, 1, "auto")
@settings(
    max_examples=examples(20), deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
def test_the_server_decides_as_the_library_does(
    deciding, minilm, stored, asked, reports, threshold, limit, verify
):
    deciding.server.reset()
    deciding.http.patch(f"{CONSOLE}/a", json={"verify": verify})
    cache = SemanticCache(vectorizer=minilm, verifier=loaded(None if verify == "off" else verify))
    ids, keys = {}, {}
    for prompt in stored:
        ids[prompt] = deciding.store(prompt)
        keys[prompt] = cache.store(prompt, "r")
    for prompt, cached, right in reports:
        if cached in ids:
            deciding.report(prompt, ids[cached], right)
            (cache.report_right if right else cache.report_wrong)(prompt, keys[cached])
    for prompt in asked:
        found = deciding.search(prompt, similarityThreshold=threshold, maxResults=limit)
        hits = cache.check(prompt, num_results=limit, distance_threshold=2 * (1 - threshold))
        assert sorted(found) == sorted(hit["prompt"] for hit in hits)
        ours = deciding.explain(prompt, similarityThreshold=threshold)
        theirs = cache.explain(prompt, distance_threshold=2 * (1 - threshold))
        assert ours["outcome"] == theirs.outcome
        verdicts = {each["prompt"]: each["verdict"] for each in ours["candidates"]}
        assert {
            prompt: (each["accepted"], each["reason"]) for prompt, each in verdicts.items()
        } == {
            each.prompt: (each.verdict.accepted, each.verdict.reason) for each in theirs.candidates
        }
