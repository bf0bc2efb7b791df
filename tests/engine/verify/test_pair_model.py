"""The pair model turns down prompts that need different answers."""

from __future__ import annotations

import subprocess
import sys

import langcache_minilm_pair
import pytest

from langcache.engine.verify import PairModelVerifier
from langcache.engine.verify.differing_sentences import focus

DIFFERENT = [
    ("enable dark mode", "disable dark mode"),
    ("Can I cancel my order?", "Can I not cancel my order?"),
    ("population of Berlin", "population of Munich"),
    ("how do I file taxes for 2023", "how do I file taxes for 2024"),
]
EQUAL = [
    ("turn on dark mode", "enable dark mode"),
    ("Where is order 12345?", "track order 12345"),
    ("What is the capital of France?", "capital city of france"),
    ("What can I cook in half an hour?", "What can I cook in 30 minutes?"),
]
ROWS = "".join(f'{{"id": {row}, "name": "customer {row}", "paid": true}}\n' for row in range(18))


@pytest.fixture(scope="module")
def model():
    return PairModelVerifier()


@pytest.mark.parametrize(("asked", "cached"), DIFFERENT)
def test_prompts_that_need_different_answers_are_turned_down(model, asked, cached):
    verdict = model.verify(asked, [cached])[0]
    assert not verdict.accepted
    assert verdict.probability < model.min_probability
    assert verdict.reason == "the model expects that the prompts need different answers"
    assert verdict.check == langcache_minilm_pair.MODEL_ID


@pytest.mark.parametrize(("asked", "cached"), EQUAL)
def test_prompts_that_one_answer_serves_are_accepted(model, asked, cached):
    verdict = model.verify(asked, [cached])[0]
    assert verdict.accepted
    assert 0.5 < verdict.probability < 1
    assert verdict.reason == "the model expects that one answer serves both prompts"


def test_a_higher_threshold_accepts_less():
    strict = PairModelVerifier(min_probability=1)
    assert not strict.verify(*[EQUAL[0][0], [EQUAL[0][1]]])[0].accepted
    assert strict.model_id == f"{langcache_minilm_pair.MODEL_ID}@1"


def test_a_verdict_does_not_depend_on_the_other_candidates(model):
    asked = "enable dark mode"
    candidates = ["disable dark mode", "turn on dark mode", "how do I cook rice"]
    fresh = [PairModelVerifier(remember=0).verify(asked, [other])[0] for other in candidates]
    assert model.verify(asked, candidates) == fresh


def test_in_doubt_the_smaller_probability_of_both_orders_counts(model):
    asked, cached = "Which movies did Gerwig direct alone?", "films by Greta Gerwig on her own"
    orders = [model.probability(asked, cached), model.probability(cached, asked)]
    verdict = model.verify(asked, [cached])[0]
    expected = min(orders) if model.min_probability <= orders[0] < 0.75 else orders[0]
    assert verdict.probability == expected


def test_long_prompts_are_judged_by_what_differs(model):
    asked = ROWS + "What is the name of the last customer?"
    assert len(asked) > 700
    assert not model.verify(asked, [ROWS + "How many customers have paid?"])[0].accepted
    assert model.verify(asked, [ROWS + "Tell me the name of the last customer."])[0].accepted


def test_prompts_that_are_too_long_to_read_are_turned_down(model):
    asked, cached = ("red " * 2000), ("blue " * 1500)
    for one, other in ((asked, cached), ("x" * 9000, "short")):
        verdict = model.verify(one, [other])[0]
        assert not verdict.accepted
        assert verdict.reason == "the prompts are longer than the model reads"
        assert verdict.probability is None


def test_another_language_is_not_judged_and_the_verdict_says_so(model):
    verdict = model.verify("Wo ist meine Bestellung?", ["Was kostet meine Bestellung?"])[0]
    assert verdict.accepted
    assert verdict.probability is None
    assert verdict.reason == "the model was not asked: it reads English only"


def test_a_pair_is_judged_once(monkeypatch):
    model = PairModelVerifier()
    first = model.verify(*("enable dark mode", ["turn on dark mode"]))
    monkeypatch.setattr(model, "_session", None)
    assert model.verify("enable dark mode", ["turn on dark mode"]) == first


def test_remembered_pairs_are_bounded(monkeypatch):
    model = PairModelVerifier(remember=2)
    for other in ("one", "two", "three"):
        model.verify("number", [other])
    monkeypatch.setattr(model, "_session", None)
    model.verify("number", ["two", "three"])
    with pytest.raises(AttributeError):
        model.verify("number", ["one"])


def test_no_prompt_stays_in_memory():
    model = PairModelVerifier()
    model.verify("my secret plan", ["my secret idea"])
    assert "secret" not in repr(vars(model._remembered))


@pytest.mark.anyio
async def test_both_forms_decide_alike(model):
    candidates = ["disable dark mode", "turn on dark mode"]
    fresh = PairModelVerifier()
    expected = model.verify("enable dark mode", candidates)
    assert await fresh.averify("enable dark mode", candidates) == expected
    assert await fresh.averify("enable dark mode", candidates) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_probability": 1.5}, "min_probability: must be from 0 to 1, got 1.5"),
        ({"threads": 0}, "threads: must be at least 1, got 0"),
        ({"remember": -1}, "remember: must be at least 0, got -1"),
    ],
)
def test_an_argument_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        PairModelVerifier(**options)


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00", "🍎"])
def test_any_text_can_be_judged(model, text):
    assert 0 <= model.verify(text, ["enable dark mode"])[0].probability <= 1


def test_shared_sentences_of_long_prompts_are_left_out():
    start, end = "A first sentence. " * 12, " And a last sentence."
    assert focus(start + "Who pays? Now." + end, start + "Who sells? Now." + end) == (
        "Who pays?",
        "Who sells?",
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("short one", "short two"), ("A sentence. " * 20, "A sentence. " * 21), ("", "x" * 300)],
)
def test_short_prompts_and_those_without_a_rest_are_read_whole(one, other):
    assert focus(one, other) == (one, other)


def test_importing_the_verifiers_does_not_load_the_model_runtime():
    code = """
import sys
import langcache.engine.verify
print([name for name in ("onnxruntime", "tokenizers", "http.client") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_model_sends_no_telemetry():
    code = """
import os
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
from langcache.engine.verify import PairModelVerifier
PairModelVerifier()
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_the_files_of_the_package_are_those_released():
    langcache_minilm_pair.verify()


def test_a_changed_file_is_noticed(monkeypatch, tmp_path):
    for name in langcache_minilm_pair.SHA256:
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(langcache_minilm_pair, "_DIRECTORY", tmp_path)
    with pytest.raises(ValueError, match=r"model.onnx: SHA-256 is "):
        langcache_minilm_pair.verify()
