"""Verifiers one after the other, and the settings that name them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache.engine import MiniLMEmbedder
from langcache.engine.verify import (
    AUTO_RULES,
    IdentityVerifier,
    PairModelVerifier,
    RuleVerifier,
    Verdict,
    VerifierChain,
    create_verifier,
)


class Fixed:
    """Gives one verdict, and keeps what it was asked."""

    def __init__(self, name, verdict, band=None):
        self.model_id = name
        self.verdict = verdict
        self.asked = []
        if band:
            self.band = band

    def verify(self, prompt, candidates):
        self.asked += candidates
        return [self.verdict(candidate) for candidate in candidates]

    async def averify(self, prompt, candidates):
        return self.verify(prompt, candidates)


def accepting(name, **options):
    return Fixed(name, lambda _: Verdict(accepted=True, check=name), **options)


def rejecting(name):
    return Fixed(name, lambda _: Verdict(accepted=False, reason="no", check=name))


def test_a_verifier_sees_what_those_before_it_accept():
    first = Fixed("first", lambda text: Verdict(accepted=text != "b", check="first"))
    second = accepting("second")
    verdicts = VerifierChain([first, second]).verify("p", ["a", "b", "c"])
    assert second.asked == ["a", "c"]
    assert [verdict.check for verdict in verdicts] == ["second", "first", "second"]
    assert [verdict.accepted for verdict in verdicts] == [True, False, True]


def test_a_certain_verdict_is_final():
    first = Fixed("first", lambda _: Verdict(accepted=True, probability=1.0, check="first"))
    second = rejecting("second")
    assert VerifierChain([first, second]).verify("p", ["a"])[0].check == "first"
    assert second.asked == []


def test_outside_of_its_band_a_verifier_is_not_asked():
    judge = accepting("judge", band=(0.8, 0.9))
    chain = VerifierChain([judge])
    verdicts = chain.verify("p", ["a", "b", "c", "d"], similarities=[0.95, 0.9, 0.8, 0.79])
    assert judge.asked == ["b", "c"]
    assert verdicts[0] == Verdict(accepted=True, reason="nothing was checked")
    chain.verify("p", ["e"])
    assert judge.asked == ["b", "c", "e"]


class Failing(Fixed):
    def verify(self, prompt, candidates):
        raise RuntimeError(prompt)


class Short(Fixed):
    def verify(self, prompt, candidates):
        return []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("verifier", "problem"),
    [
        (Failing("broken", None), "RuntimeError"),
        (Short("broken", None), "0 verdicts for 2 candidates"),
    ],
)
async def test_a_verifier_that_fails_turns_down(verifier, problem, caplog):
    chain = VerifierChain([verifier])
    with caplog.at_level(logging.WARNING):
        verdicts = chain.verify("secret", ["a", "b"])
        assert await chain.averify("secret", ["a", "b"]) == verdicts
    assert [verdict.accepted for verdict in verdicts] == [False, False]
    assert verdicts[0].reason == f"the verifier failed: {problem}"
    assert caplog.messages == [f"the verifier broken failed: {problem}"] * 2
    assert "secret" not in caplog.text


def test_the_name_of_a_chain_is_made_of_the_names():
    assert VerifierChain([accepting("a"), accepting("b")]).model_id == "a+b"


def test_settings_name_verifiers():
    assert create_verifier(None) is None
    assert isinstance(create_verifier("rules"), RuleVerifier)
    assert isinstance(create_verifier("model"), PairModelVerifier)
    rules, model = create_verifier("auto").verifiers
    assert rules.rules == AUTO_RULES
    assert isinstance(model, PairModelVerifier)
    own = accepting("own")
    assert create_verifier(own) is own


def test_an_unknown_setting_is_an_error_that_names_the_known_ones():
    with pytest.raises(
        ValueError, match='verifier: must be "rules", "model", "auto" or None, got \'on\''
    ):
        create_verifier("on")
    with pytest.raises(
        TypeError, match="verifier: must have the methods verify and averify, got int"
    ):
        create_verifier(7)


REJECTED = [
    ("enable dark mode", "disable dark mode"),
    ("Where is order 12345?", "Where is order 12346?"),
    ("convert USD to EUR", "convert EUR to USD"),
    ("USD to EUR", "EUR to USD"),
    ("Can I cancel?", "Can I not cancel?"),
    ("can I cancel my order", "can I not cancel my order"),
    ("taxes for 2023", "taxes for 2024"),
    ("Is it better to rent than buy?", "Is it better to buy than rent?"),
    ("grep -v foo", "grep -V foo"),
    ("population of Berlin", "population of Munich"),
]
HITS = [
    ("turn on dark mode", "enable dark mode"),
    ("Where is order 12345?", "track order 12345"),
    ("What is the capital of France?", "capital city of france"),
    ("What can I cook in half an hour?", "What can I cook in 30 minutes?"),
]


@pytest.fixture(scope="module")
def auto():
    return VerifierChain([IdentityVerifier(MiniLMEmbedder()), create_verifier("auto")])


@pytest.mark.parametrize(("asked", "cached"), [*REJECTED, *[(b, a) for a, b in REJECTED]])
def test_auto_turns_down_with_a_reason(auto, asked, cached):
    verdict = auto.verify(asked, [cached])[0]
    assert not verdict.accepted
    assert len(verdict.reason.split()) >= 3


@pytest.mark.parametrize(("asked", "cached"), [*HITS, *[(b, a) for a, b in HITS]])
def test_auto_accepts(auto, asked, cached):
    assert auto.verify(asked, [cached])[0].accepted


def test_auto_turns_down_different_questions_at_the_end_of_long_rows(auto):
    rows = "".join(f'{{"id": {row}, "city": "place {row}", "paid": true}}, ' for row in range(17))
    asked, cached = rows + "Which city is in row 3?", rows + "How many rows are paid?"
    assert len(asked) > 700
    verdict = auto.verify(asked, [cached])[0]
    assert not verdict.accepted
    assert verdict.reason


prompts = st.sampled_from([text for pair in REJECTED + HITS for text in pair])


@settings(max_examples=30, deadline=None)
@given(prompts, st.lists(prompts, max_size=4))
@pytest.mark.anyio
async def test_auto_decides_alike_in_both_forms(auto, asked, candidates):
    assert await auto.averify(asked, candidates) == auto.verify(asked, candidates)
