"""Hits that are checked before they are served: verifiers, explanations, reports, shadow mode."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import event_loops
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langcache.engine import (
    EmbeddingsCache,
    FunctionEmbedder,
    InMemoryStorage,
    MiniLMEmbedder,
    RedisStorage,
    SemanticCache,
    SQLiteStorage,
    Tag,
)
from langcache.engine.embedders.vector_memory import VectorMemory
from langcache.engine.verify import Verdict

MINILM = MiniLMEmbedder()


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class LastWord:
    """Accepts candidates that end in the same word; notes what it is asked."""

    model_id = "last word"

    def __init__(self):
        self.asked = []

    def verify(self, prompt, candidates):
        self.asked.append((prompt, tuple(candidates)))
        return [
            Verdict(prompt.split()[-1] == candidate.split()[-1], 0.9, "the last words are compared")
            for candidate in candidates
        ]

    async def averify(self, prompt, candidates):
        return self.verify(prompt, candidates)


class Failing(LastWord):
    def verify(self, prompt, candidates):
        raise RuntimeError(prompt)


def first_words(texts):
    """Put prompts near each other that have the same first word, nearer with more in common."""
    rows = []
    for text in texts:
        words = text.split()
        row = np.zeros(8, np.float32)
        row[hash_of(words[0]) % 4] = 1.0
        for word in words[1:]:
            row[4 + hash_of(word) % 4] += 0.1
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, np.float32)


def hash_of(word):
    return sum(word.encode())


EMBEDDER = FunctionEmbedder(first_words, model_id="first words", dimensions=8)


@pytest.fixture
def clock():
    return Clock()


class Awaited:
    """Calls the asynchronous twin of each method, all in one event loop."""

    def __init__(self, cache, loop):
        self._cache = cache
        self._loop = loop

    def __getattr__(self, name):
        twin = getattr(self._cache, f"a{name}")
        return lambda *args, **kwargs: self._loop.run_until_complete(twin(*args, **kwargs))

    @property
    def statistics(self):
        return self._loop.run_until_complete(self._cache.astatistics())


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    event_loops.close(made)


@pytest.fixture(params=["sync", "async"])
def form(request, loop):
    return {"sync": lambda cache: cache, "async": lambda cache: Awaited(cache, loop)}[request.param]


@pytest.fixture(params=["memory", "sqlite", "redis", "query engine"])
def storage(request, clock, tmp_path, loop):
    kinds = {
        "memory": lambda: InMemoryStorage(clock=clock),
        "sqlite": lambda: SQLiteStorage(tmp_path / "cache.db", clock=clock),
    }
    if request.param in kinds:
        made = kinds[request.param]()
    else:
        url = request.getfixturevalue(
            "redis_url" if request.param == "redis" else "query_engine_url"
        )
        prefix = request.getfixturevalue("redis_prefix")
        made = RedisStorage(url=url, prefix=prefix, clock=clock)
    yield made
    made.clear()
    loop.run_until_complete(made.aclose())


def test_a_rejected_candidate_does_not_hide_a_right_one_behind_it(storage, form, clock):
    verifier = LastWord()
    cache = form(
        SemanticCache(vectorizer=EMBEDDER, storage=storage, verifier=verifier, clock=clock)
    )
    cache.store("enable dark mode on", "Wrong.")
    cache.store("enable dark mode off", "Right.")
    assert [hit["response"] for hit in cache.check("enable dark mode now off")] == ["Right."]
    assert cache.check("enable dark mode maybe") == []
    statistics = cache.statistics
    assert (statistics.hits, statistics.rejected) == (1, 1)
    assert (statistics.misses, statistics.near_misses) == (0, 0)
    assert statistics.lookups == 2
    assert statistics.verify_seconds.count == 2


def test_a_miss_asks_no_verifier(storage, clock):
    verifier = LastWord()
    cache = SemanticCache(vectorizer=EMBEDDER, storage=storage, verifier=verifier, clock=clock)
    cache.store("enable dark mode", "Yes.")
    assert cache.check("disable") == []
    assert verifier.asked == []


def test_only_candidates_above_the_threshold_are_verified(clock):
    verifier = LastWord()
    cache = SemanticCache(vectorizer=EMBEDDER, verifier=verifier, clock=clock)
    for prompt in ("enable dark mode", "disable dark mode"):
        cache.store(prompt, "An answer.")
    cache.check("enable the mode")
    assert verifier.asked == [("enable the mode", ("enable dark mode",))]


def test_the_same_prompt_is_a_hit_whatever_the_verifier_says(clock):
    cache = SemanticCache(vectorizer=EMBEDDER, verifier=Failing(), clock=clock)
    cache.store("enable dark mode", "Yes.")
    assert cache.check("enable dark mode")


def test_a_verifier_that_fails_turns_down_and_logs_no_prompt(form, clock, caplog):
    cache = form(SemanticCache(vectorizer=EMBEDDER, verifier=Failing(), clock=clock))
    cache.store("enable dark mode", "Yes.")
    assert cache.check("enable the mode") == []
    assert "RuntimeError" in caplog.text
    assert "mode" not in caplog.text
    assert cache.statistics.rejected == 1


def test_a_lookup_by_vector_alone_is_not_verified(clock):
    verifier = LastWord()
    cache = SemanticCache(vectorizer=EMBEDDER, verifier=verifier, clock=clock)
    cache.store("enable dark mode", "Yes.")
    assert cache.check(vector=EMBEDDER.embed(["enable the light"])[0])
    assert verifier.asked == []


def test_every_setting_of_a_verifier_is_checked_when_the_cache_is_made():
    with pytest.raises(ValueError, match="verifier: must be"):
        SemanticCache(vectorizer=EMBEDDER, verifier="maybe")
    with pytest.raises(TypeError, match="verifier: must have"):
        SemanticCache(vectorizer=EMBEDDER, verifier=3)
    assert SemanticCache(vectorizer=EMBEDDER).verifier is None


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("How do I use grep -v foo?", "How do I use grep -V foo?"),
        ("แปลคำว่ารักเป็นภาษาอังกฤษ", "แปลคำว่าบ้านเป็นภาษาอังกฤษ"),
        ("What does 😀 mean?", "What does 😡 mean?"),
    ],
)
@pytest.mark.parametrize("wrapper", [None, "embeddings cache", "vector memory"])
def test_what_the_embedder_cannot_tell_apart_is_no_hit_without_a_verifier(stored, asked, wrapper):
    wrapped = {
        None: lambda: MINILM,
        "embeddings cache": lambda: EmbeddingsCache().wrap(MINILM),
        "vector memory": lambda: VectorMemory(MINILM, 10),
    }
    cache = SemanticCache(vectorizer=wrapped[wrapper]())
    cache.store(stored, "An answer.")
    assert cache.check(stored)
    assert cache.check(asked) == []
    assert cache.statistics.rejected == 1


def test_a_pair_that_the_embedder_cannot_tell_apart_does_not_hide_another():
    cache = SemanticCache(vectorizer=MINILM)
    cache.store("How do I use grep -v foo?", "Wrong.")
    cache.store("How do I use grep -V foo ?", "Right.")
    (hit,) = cache.check("How do I use grep -V foo?")
    assert hit["response"] == "Right."


def test_opposites_are_rejected_and_paraphrases_served_by_auto():
    cache = SemanticCache(vectorizer=MINILM, verifier="auto", distance_threshold=0.4)
    cache.store("enable dark mode", "On.")
    cache.store("Where is order 12345?", "Here.")
    assert [hit["response"] for hit in cache.check("turn on dark mode")] == ["On."]
    assert [hit["response"] for hit in cache.check("track order 12345")] == ["Here."]
    assert cache.check("disable dark mode") == []
    assert cache.check("Where is order 12346?") == []


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("what does `if (a < b)` do in C", "what does `if (a <= b)` do in C"),
        ("what is 5 - 3", "what is 3 - 5"),
        ("how do you spell 'affect'", "how do you spell 'effect'"),
        ("battery life of the Pixel 7", "battery life of the Pixel 7a"),
        ("are you open tomorrow", "are you open the day after tomorrow"),
        ("duties of the employer", "duties of the employee"),
        ("从北京到上海的航班", "从上海到北京的航班"),
        ("Flug von Berlin nach Rom", "Flug von Rom nach Berlin"),
    ],
)
def test_near_prompts_that_need_another_answer_are_no_hit_with_auto(stored, asked):
    cache = SemanticCache(vectorizer=MINILM, verifier="auto", distance_threshold=0.24)
    cache.store(stored, "Right.")
    assert [hit["response"] for hit in cache.check(stored)] == ["Right."]
    assert cache.check(asked) == []


# Explanations


def test_an_explanation_says_what_check_does_and_why(storage, form, clock):
    cache = form(
        SemanticCache(
            "mine", vectorizer=EMBEDDER, storage=storage, verifier=LastWord(), clock=clock
        )
    )
    cache.store("enable dark mode on", "On.")
    key = cache.store("enable dark mode off", "Off.")
    cache.store("disable it", "No.")
    explanation = cache.explain("enable the mode off")
    assert explanation.outcome == "hit"
    assert explanation.response == cache.check("enable the mode off")[0]["response"] == "Off."
    assert explanation.verifier == "last word"
    assert len(explanation.candidates) == 3
    by_prompt = {candidate.prompt: candidate for candidate in explanation.candidates}
    rejected = by_prompt["enable dark mode on"]
    assert rejected.reaches_threshold
    assert not rejected.verdict.accepted
    assert rejected.verdict.reason == "the last words are compared"
    assert not rejected.served
    assert by_prompt["enable dark mode off"].served
    assert by_prompt["enable dark mode off"].key == key
    assert not by_prompt["disable it"].reaches_threshold
    similarities = [candidate.similarity for candidate in explanation.candidates]
    assert similarities == sorted(similarities, reverse=True)
    assert explanation.best_similarity == similarities[0]
    assert explanation.best_distance == pytest.approx(2 - 2 * similarities[0])


def test_an_explanation_names_each_outcome_and_always_the_best_distance(form, clock):
    cache = form(SemanticCache(vectorizer=EMBEDDER, verifier=LastWord(), clock=clock))
    empty = cache.explain("enable it")
    assert (empty.outcome, empty.best_distance, empty.candidates) == ("miss", None, ())
    cache.store("enable it", "Yes.")
    assert cache.explain("enable that").outcome == "rejected"
    far = cache.explain("disable it")
    assert far.outcome == "miss"
    assert far.best_distance > 0.5
    assert far.response is None
    distance = cache.explain("enable dark mode it").best_distance
    near = cache.explain("enable dark mode it", distance_threshold=distance / 2)
    assert near.outcome == "near_miss"


def test_an_explanation_counts_nowhere_and_shows_no_text(clock):
    cache = SemanticCache(vectorizer=EMBEDDER, ttl=60, clock=clock)
    cache.store("enable dark mode", "secret answer")
    clock.now += 50
    explanation = cache.explain("enable dark mode")
    assert "dark" not in repr(explanation)
    assert "secret" not in repr(explanation)
    assert cache.statistics.lookups == 0
    clock.now += 15
    assert cache.check("enable dark mode") == []


def test_an_explanation_filters_as_check_does(clock):
    fields = [{"name": "user", "type": "tag"}]
    cache = SemanticCache(vectorizer=EMBEDDER, filterable_fields=fields, clock=clock)
    cache.store("enable it", "Ann's.", filters={"user": "ann"})
    cache.store("enable it", "Bob's.", filters={"user": "bob"})
    explanation = cache.explain("enable it", filter_expression=Tag("user") == "bob")
    assert [candidate.response for candidate in explanation.candidates] == ["Bob's."]


@pytest.mark.parametrize("number", [0, 51, -1])
def test_an_explanation_has_a_bounded_number_of_candidates(number):
    cache = SemanticCache(vectorizer=EMBEDDER)
    with pytest.raises(ValueError, match=r"num_candidates: must be from 1 to 50"):
        cache.explain("enable it", num_candidates=number)
    with pytest.raises(TypeError, match="num_candidates: must be an int"):
        cache.explain("enable it", num_candidates="3")
    with pytest.raises(ValueError, match="prompt: must not be empty"):
        cache.explain("")


# Reports


def test_a_reported_pair_is_not_served_again_and_others_are(storage, form, clock):
    cache = form(SemanticCache(vectorizer=EMBEDDER, storage=storage, clock=clock))
    key = cache.store("enable dark mode", "Yes.")
    assert cache.check("enable the mode")
    assert cache.report_wrong("enable the mode", key)
    assert cache.check("enable the mode") == []
    assert cache.check("enable my mode")
    (candidate,) = cache.explain("enable the mode").candidates
    assert candidate.verdict.reason == "a user reported this hit as wrong"
    (report,) = cache.reports()
    assert (report.prompt, report.cached_prompt) == ("enable the mode", "enable dark mode")
    assert not report.right
    assert report.reported_at == clock.now
    assert "mode" not in repr(report)
    assert cache.withdraw_report("enable the mode", key)
    assert not cache.withdraw_report("enable the mode", key)
    assert cache.check("enable the mode")
    assert cache.reports() == []


def test_an_exact_hit_that_is_wrong_is_deleted(storage, form, clock):
    cache = form(SemanticCache(vectorizer=EMBEDDER, storage=storage, clock=clock))
    key = cache.store("enable dark mode", "Yes.")
    assert cache.report_wrong("Enable dark mode", key)
    assert cache.check("enable dark mode") == []
    assert not cache.report_wrong("enable dark mode", key)
    assert cache.reports() == []


def test_a_hit_reported_as_right_passes_the_verifier(form, clock):
    cache = form(SemanticCache(vectorizer=EMBEDDER, verifier=LastWord(), clock=clock))
    key = cache.store("enable dark mode", "Yes.")
    assert cache.check("enable dark theme") == []
    assert cache.report_right("enable dark theme", key)
    assert cache.check("enable dark theme")
    assert cache.report_wrong("enable dark theme", key)
    assert cache.check("enable dark theme") == []


def test_reports_go_with_their_entries(storage, form, clock):
    cache = form(SemanticCache(vectorizer=EMBEDDER, storage=storage, clock=clock))

    def reported(ttl=None):
        key = cache.store("enable dark mode", "Yes.", ttl=ttl)
        cache.report_wrong("enable the mode", key)
        assert len(cache.reports()) == 1
        return key

    cache.drop(keys=[reported()])
    assert cache.reports() == []
    reported()
    cache.clear()
    assert cache.reports() == []
    reported(ttl=10)
    clock.now += 11
    assert cache.reports() == []
    cache.store("enable dark mode", "Yes.")
    assert cache.check("enable the mode")


def test_reports_are_bounded_in_time_and_number(clock, monkeypatch):
    monkeypatch.setattr("langcache.engine.feedback._MOST_REPORTS", 3)
    cache = SemanticCache(vectorizer=EMBEDDER, clock=clock)
    key = cache.store("enable dark mode", "Yes.")
    for number in range(5):
        clock.now += 1
        cache.report_wrong(f"enable the mode {number}", key)
    assert [report.prompt[-1] for report in cache.reports()] == ["4", "3", "2"]
    assert cache.check("enable the mode 0")
    assert cache.check("enable the mode 4") == []
    clock.now += 91 * 24 * 3600
    assert cache.check("enable the mode 4")
    assert cache.reports() == []


def test_reports_belong_to_their_cache(storage, clock):
    one, two = (
        SemanticCache(name, vectorizer=EMBEDDER, storage=storage, clock=clock)
        for name in ("one", "two")
    )
    key = one.store("enable dark mode", "Yes.")
    two.store("enable dark mode", "Yes.")
    one.report_wrong("enable the mode", key)
    assert two.check("enable the mode")
    assert not two.report_wrong("enable the mode", key)


_REPORTER = """
import os, signal, sys
import numpy as np
from langcache.engine import FunctionEmbedder, SemanticCache, SQLiteStorage
sys.path.insert(0, sys.argv[1])
from test_checked_hits import EMBEDDER
cache = SemanticCache(vectorizer=EMBEDDER, storage=SQLiteStorage(sys.argv[2]))
key = cache.store("enable dark mode", "Yes.")
cache.report_wrong("enable the mode", key)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_report_survives_a_killed_process(tmp_path):
    path = tmp_path / "cache.db"
    support = os.path.join(os.path.dirname(__file__), "..", "support")  # noqa: PTH118, PTH120
    here = os.path.dirname(__file__)  # noqa: PTH120
    program = [sys.executable, "-c", _REPORTER, here, str(path)]
    environment = {**os.environ, "PYTHONPATH": support}
    done = subprocess.run(program, check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    storage = SQLiteStorage(path)
    cache = SemanticCache(vectorizer=EMBEDDER, storage=storage)
    assert cache.check("enable the mode") == []
    assert cache.check("enable my mode")
    storage.close()


def test_a_report_is_seen_by_other_processes_that_share_a_redis(redis_url, redis_prefix):
    arguments = {"vectorizer": EMBEDDER}
    one, two = (
        SemanticCache(storage=RedisStorage(url=redis_url, prefix=redis_prefix), **arguments)
        for _ in range(2)
    )
    key = one.store("enable dark mode", "Yes.")
    assert two.check("enable the mode")
    one.report_wrong("enable the mode", key)
    assert two.check("enable the mode") == []
    two.delete()
    for cache in (one, two):
        cache.storage.close()


def test_asking_again_soon_after_a_hit_is_counted(form, clock):
    cache = form(SemanticCache(vectorizer=EMBEDDER, clock=clock))
    cache.store("enable dark mode", "Yes.")
    cache.check("enable the mode")
    clock.now += 59
    cache.check("Enable the mode")
    clock.now += 61
    cache.check("enable the mode")
    cache.check("disable it")
    cache.check("disable it")
    assert cache.statistics.reasked == 1


# Shadow mode


def test_shadow_mode_serves_nothing_and_records_what_it_would_have_served(form, clock):
    seen = []
    cache = form(
        SemanticCache(
            vectorizer=EMBEDDER,
            verifier=LastWord(),
            shadow=True,
            on_shadow=seen.append,
            clock=clock,
        )
    )
    cache.store("enable dark mode", "Yes.")
    assert cache.check("enable the mode") == []
    assert cache.check("enable dark theme") == []
    assert cache.check("disable it") == []
    cache.store("enable the mode", "Sure.")
    cache.store("enable dark theme", "No such thing.")
    cache.store("disable it", "Done.")
    cache.store("enable the mode", "Sure.")
    assert [(each.prompt, each.response, each.verdict.accepted) for each in seen] == [
        ("enable the mode", "Sure.", True),
        ("enable dark theme", "No such thing.", False),
    ]
    assert seen[0].cached_prompt == "enable dark mode"
    assert seen[0].cached_response == "Yes."
    assert "mode" not in repr(seen)
    statistics = cache.statistics
    assert (statistics.hits, statistics.rejected, statistics.misses) == (1, 1, 1)


def test_shadow_mode_computes_every_response(clock):
    seen = []
    cache = SemanticCache(vectorizer=EMBEDDER, shadow=True, on_shadow=seen.append, clock=clock)
    cache.store("enable dark mode", "Yes.")
    assert cache.get_or_compute("enable the mode", lambda prompt: prompt.upper()) == (
        "ENABLE THE MODE"
    )
    assert [each.response for each in seen] == ["ENABLE THE MODE"]
    assert cache.get_or_compute("enable the mode", lambda _: "Again.") == "Again."
    assert [each.response for each in seen] == ["ENABLE THE MODE", "Again."]
    response = asyncio.run(cache.aget_or_compute("enable the mode", later("At last.")))
    assert response == "At last."


def later(response):
    async def computed(prompt):
        return response

    return computed


def test_shadow_mode_needs_somebody_to_tell():
    with pytest.raises(ValueError, match="on_shadow: is required"):
        SemanticCache(vectorizer=EMBEDDER, shadow=True)


# The same decisions everywhere

WORDS = st.sampled_from(["enable", "disable", "dark", "mode", "on", "off"])
PROMPTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    stored=st.lists(PROMPTS, min_size=1, max_size=6, unique=True),
    asked=PROMPTS,
    reported=st.integers(0, 5),
    right=st.booleans(),
    threshold=st.sampled_from([0.0, 0.05, 0.3, 2.0]),
)
def test_decisions_are_the_same_in_every_storage_and_form(
    storage, clock, loop, stored, asked, reported, right, threshold
):
    found = []
    for kept in (InMemoryStorage(clock=clock), storage):
        for form in (lambda cache: cache, lambda cache: Awaited(cache, loop)):
            kept.clear()
            whole = SemanticCache(
                vectorizer=EMBEDDER,
                storage=kept,
                verifier=LastWord(),
                distance_threshold=threshold,
                clock=clock,
            )
            whole.clear()
            cache = form(whole)
            keys = []
            for prompt in stored:
                clock.now += 1
                keys.append(cache.store(prompt, f"The answer to {prompt}."))
            report = cache.report_right if right else cache.report_wrong
            report(asked, keys[reported % len(keys)])
            explanation = cache.explain(asked)
            hits = cache.check(asked, num_results=2)
            # With more results wanted, more candidates are looked at.
            assert [hit["response"] for hit in cache.check(asked)] == [
                each for each in [explanation.response] if each is not None
            ]
            found.append(
                (
                    explanation.outcome,
                    [keys.index(hit["key"]) for hit in hits],
                    [
                        (keys.index(candidate.key), candidate.verdict)
                        for candidate in explanation.candidates
                        if candidate.reaches_threshold
                    ],
                )
            )
    assert all(each == found[0] for each in found), json.dumps(found, default=repr)
