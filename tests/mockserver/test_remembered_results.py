"""Lookups that come again: what they came to is remembered until something changes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langcache_mockserver import MockServer, Settings, SimilarityTable
from langcache_mockserver.domain import remembered_results, verifiers

from examples import examples
from langcache.engine import InMemoryStorage
from langcache.engine.verify import Verdict

ASKED, STORED, OTHER = "How do I log in?", "How can I sign in?", "What is the weather?"
TABLE = {(ASKED, STORED): 0.95, (ASKED, OTHER): 0.6, (STORED, OTHER): 0.6}


class Noting(InMemoryStorage):
    """A storage that notes the prompts and vectors that are looked for."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.searches = 0

    def search_top_together(self, searches):
        self.searches += len(searches)
        return super().search_top_together(searches)

    def find_exact(self, *args, **kwargs):
        self.searches += 1
        return super().find_exact(*args, **kwargs)


class Forgetful(InMemoryStorage):
    """A storage that never knows whether its entries change."""

    def version(self, scope):
        return None


class Asking:
    """A server and the requests that these tests make."""

    def __init__(self, http):
        self.http = http

    def store(self, prompt, response="r", cache="a", **more):
        body = {"prompt": prompt, "response": response, **more}
        answer = self.http.post(f"/v1/caches/{cache}/entries", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["entryId"]

    def delete(self, cache, attributes):
        """Delete the entries that have these attributes, or all if there are none."""
        path = f"/v1/caches/{cache}"
        if attributes:
            body = {"attributes": attributes}
            answer = self.http.request("DELETE", f"{path}/entries", json=body)
        else:
            answer = self.http.post(f"{path}/flush")
        assert answer.is_success, answer.text

    def search(self, prompt=ASKED, cache="a", **more):
        """Return the responses that are found."""
        answer = self.http.post(
            f"/v1/caches/{cache}/entries/search", json={"prompt": prompt, **more}
        )
        assert answer.status_code == 200, answer.text
        return [hit["response"] for hit in answer.json()["data"]]


@pytest.fixture
def storage():
    return Noting()


@pytest.fixture
def ask(serve, storage):
    with serve(Settings(), embedder=SimilarityTable(TABLE), storage=storage) as client:
        yield Asking(client)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"searchStrategies": ["exact"]},
        {"searchStrategies": ["exact", "semantic"]},
        {"attributes": {"user": "1"}},
        {"maxResults": 3, "similarityThreshold": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("prompt", [ASKED, STORED, OTHER])
def test_a_lookup_that_comes_again_searches_nothing(ask, storage, prompt, options):
    ask.store(STORED, attributes={"user": "1"})
    found = ask.search(prompt, **options)
    searches = storage.searches
    assert searches > 0
    assert ask.search(prompt, **options) == found
    assert storage.searches == searches


def test_other_lookups_for_a_prompt_are_not_mixed_up(ask):
    ask.store(STORED, "one", attributes={"user": "1"})
    ask.store(STORED, "two", attributes={"user": "2"})
    ask.store(OTHER, "other")
    ask.store(STORED, "elsewhere", cache="b")
    for _ in range(2):
        assert ask.search() == ["two"]
        assert ask.search(attributes={"user": "1"}) == ["one"]
        assert ask.search(attributes={"user": "2"}) == ["two"]
        assert ask.search(attributes={"user": "3"}) == []
        assert ask.search(similarityThreshold=0.96) == []
        assert ask.search(searchStrategies=["exact"]) == []
        assert ask.search(maxResults=2) == ["two", "one"]
        assert ask.search(similarityThreshold=0.5, maxResults=3) == ["two", "one", "other"]
        assert ask.search(cache="b") == ["elsewhere"]
        assert ask.search(cache="c") == []


def test_each_change_shows_in_the_next_search(ask):
    entry = ask.store(STORED, "one")
    assert ask.search() == ask.search() == ["one"]
    ask.store(STORED, "two")
    assert ask.search() == ask.search() == ["two"]
    assert ask.http.delete(f"/v1/caches/a/entries/{entry}").status_code == 204
    assert ask.search() == ask.search() == []
    ask.store(STORED, "three", attributes={"user": "1"})
    assert ask.search() == ask.search() == ["three"]
    ask.delete("a", {"user": "1"})
    assert ask.search() == ask.search() == []
    ask.store(STORED, "four")
    assert ask.search() == ask.search() == ["four"]
    ask.delete("a", {})
    assert ask.search() == ask.search() == []
    ask.store(OTHER, "five")
    ask.store(STORED, "six", ttlMillis=100)
    assert ask.search() == ask.search() == ["six"]
    time.sleep(0.15)
    assert ask.search() == ask.search() == []


def test_reports_show_in_the_next_search(ask):
    entry = ask.store(STORED, "one")
    reports, report = "/console/v1/caches/a/feedback", {"prompt": ASKED, "entryId": entry}
    assert ask.search() == ask.search() == ["one"]
    assert ask.http.post(reports, json={**report, "right": False}).status_code == 200
    assert ask.search() == ask.search() == []
    assert ask.http.request("DELETE", reports, json=report).status_code == 204
    assert ask.search() == ask.search() == ["one"]


def test_every_hit_is_counted(ask):
    ask.store(STORED)
    for _ in range(3):
        ask.search()
    (shown,) = ask.http.get("/console/v1/caches/a/entries").json()["entries"]
    assert shown["hits"] == 3


def test_a_hit_keeps_its_entry_from_being_removed(serve):
    with serve(
        Settings(), embedder=SimilarityTable(TABLE), storage=InMemoryStorage(max_entries=2)
    ) as client:
        ask = Asking(client)
        ask.store(STORED, "kept")
        ask.store(OTHER, "removed", cache="b")
        assert ask.search() == ask.search() == ["kept"]
        assert ask.search(OTHER, cache="b") == ["removed"]
        assert ask.search() == ["kept"]  # remembered, and used last
        ask.store("new", cache="b")
        assert ask.search() == ["kept"]
        assert ask.search(OTHER, cache="b") == []


def test_a_lookup_whose_verifier_failed_is_judged_again(serve, monkeypatch):
    class Failing:
        model_id = "failing"
        calls = 0

        def verify(self, prompt, candidates):
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError
            return [Verdict(accepted=True, reason="fine")] * len(candidates)

        async def averify(self, prompt, candidates):
            return self.verify(prompt, candidates)

    failing = Failing()
    monkeypatch.setitem(verifiers._made, "rules", failing)
    with serve(Settings(verify="rules"), embedder=SimilarityTable(TABLE)) as client:
        ask = Asking(client)
        ask.store(STORED, "one")
        assert ask.search() == []
        assert ask.search() == ask.search() == ["one"]
        assert failing.calls == 2


def test_large_results_and_old_ones_are_not_kept(ask, storage, monkeypatch):
    monkeypatch.setattr(remembered_results, "_MOST_RESULTS", 2)
    ask.store(STORED, "r" * 20_000, cache="large")
    ask.store(STORED)
    for number in range(9):
        ask.store(f"p{number}", cache="many")

    def searches(**arguments):
        before = storage.searches
        ask.search(**arguments)
        return storage.searches - before

    large, many = {"cache": "large"}, {"cache": "many", "similarityThreshold": 0, "maxResults": 9}
    for arguments in (large, many):
        assert searches(**arguments) == searches(**arguments) == 1
    monkeypatch.setattr(remembered_results, "_MOST_CHARACTERS_IN_ALL", 20)
    assert searches(similarityThreshold=0.75) == searches(similarityThreshold=0.75) == 1
    monkeypatch.undo()
    monkeypatch.setattr(remembered_results, "_MOST_RESULTS", 2)
    thresholds = [{"similarityThreshold": threshold} for threshold in (0.7, 0.8, 0.9)]
    assert [searches(**each) for each in thresholds] == [1, 1, 1]
    assert [searches(**each) for each in thresholds[1:]] == [0, 0]
    assert searches(**thresholds[0]) == 1


LOOKUPS = [
    {},
    {"similarityThreshold": 0.6},
    {"maxResults": 3},
    {"searchStrategies": ["exact"]},
    {"searchStrategies": ["exact", "semantic"], "maxResults": 2},
    {"attributes": {"a": "x"}},
    {"attributes": {"a": "y"}},
]
prompts, caches = st.sampled_from([ASKED, STORED, OTHER]), st.sampled_from("aab")
attributes = st.sampled_from([{}, {"a": "x"}, {"a": "y"}])
changes = st.one_of(
    st.tuples(st.just("store"), caches, prompts, attributes),
    st.tuples(st.just("delete"), caches, attributes),
)


@settings(max_examples=examples(20), deadline=None)
@given(changes=st.lists(changes, max_size=10))
def test_a_server_that_remembers_answers_like_one_that_does_not(changes):
    with (
        MockServer(
            embedder=SimilarityTable(TABLE), storage=InMemoryStorage(), listen=False
        ) as remembering,
        MockServer(embedder=SimilarityTable(TABLE), storage=Forgetful(), listen=False) as forgetful,
    ):
        asking = [Asking(server.client()) for server in (remembering, forgetful)]
        for ask in asking:
            ask.http.headers["authorization"] = "Bearer k"
        for number, (what, cache, *arguments) in enumerate(changes):
            for ask in asking:
                if what == "store":
                    prompt, values = arguments
                    more = {"attributes": values} if values else {}
                    ask.store(prompt, f"response {number}", cache, **more)
                else:
                    (values,) = arguments
                    ask.delete(cache, values)
            for prompt in (ASKED, STORED):
                for lookup in LOOKUPS:
                    found = [ask.search(prompt, **lookup) for ask in asking]
                    assert found[0] == found[1]
