"""What the embedder cannot tell apart is not a hit."""

from __future__ import annotations

import pytest

from langcache.engine import MiniLMEmbedder
from langcache.engine.embedders.text_facts import TextFacts
from langcache.engine.verify import IdentityVerifier


@pytest.fixture(scope="module")
def identity():
    return IdentityVerifier(MiniLMEmbedder())


def verdict(verifier, asked, cached):
    one, other = verifier.verify(asked, [cached]), verifier.verify(cached, [asked])
    assert one[0].accepted == other[0].accepted
    return one[0]


def test_equal_prompts_are_a_hit_without_asking_the_embedder():
    class Silent:
        def describe(self, text):
            raise AssertionError

    decided = IdentityVerifier(Silent()).verify("a 🍎?", ["a 🍎?"])[0]
    assert decided.accepted
    assert decided.probability == 1
    assert decided.reason == "the prompts are equal"


def test_long_prompts_with_different_ends_are_no_hit(identity):
    start = "word " * 600
    decided = verdict(identity, start + "What is the total?", start + "Who is the customer?")
    assert not decided.accepted
    assert decided.reason == "the prompts are longer than the embedder reads, and not equal"


def test_a_cut_prompt_is_no_hit_for_a_short_one(identity):
    assert not verdict(identity, "word " * 600, "word word").accepted


@pytest.mark.parametrize(
    ("asked", "cached"),
    [
        ("what does 🍎 mean", "what does 🍌 mean"),
        ("translate สวัสดี", "translate ขอบคุณ"),
        ("what is " + "x" * 150, "what is " + "y" * 150),
        ("what does 🍎 mean", "what does it mean"),
    ],
)
def test_unknown_parts_have_to_be_equal(identity, asked, cached):
    decided = verdict(identity, asked, cached)
    assert not decided.accepted
    assert decided.reason == "the parts that the embedder does not know differ"


def test_the_unknown_parts_are_quoted_but_not_in_the_repr(identity):
    decided = identity.verify("what does 🍎 mean", ["what does 🍌 mean"])[0]
    assert decided.details == "🍎 / 🍌"
    assert "🍎" not in repr(decided)


def test_equal_unknown_parts_leave_the_decision_open(identity):
    decided = verdict(identity, "what does 🍎 mean", "the meaning of 🍎")
    assert decided.accepted
    assert decided.probability is None


@pytest.mark.parametrize(
    ("asked", "cached"),
    [
        ("is 10 % enough", "Is 10% enough"),
        ("What is the capital of France?", "what is the capital of france?"),
        ("can i cancel", "Can I  cancel "),
        ("What is 1+1 ?", "What is 1+1?"),
        ("best GitHub alternatives", "best github alternatives"),
        ("reset my iPhone", "reset my iphone"),
        ("does vitamin c help", "does vitamin C help"),
        ("A list of rivers", "a list of rivers"),
        ("Cafe\u0301 near me", "Caf\u00e9 near me"),
        ("first line\nsecond line", "first line second line"),
        ("5 KG in pounds", "5 kg in pounds"),
    ],
)
def test_letter_case_and_white_space_do_not_count_in_prose(identity, asked, cached):
    decided = verdict(identity, asked, cached)
    assert decided.accepted
    assert decided.probability == 1


@pytest.mark.parametrize(
    ("asked", "cached", "reason"),
    [
        ("grep -v foo", "grep -V foo", "a command-line option differs in letter case"),
        ("what does grep -v do?", "what does grep -V do ?", "a command-line option differs"),
        ("is 5 Mb fast, at 10 %", "is 5 MB fast, at 10%", "a unit differs in letter case"),
        ("ssh option p", "ssh option P", "a one-letter option differs in letter case"),
        (r"regex \w", r"regex \W", "an escape differs in letter case"),
        ("what is userName", "what is UserName", "an identifier differs in letter case"),
        ("what is max_size", "what is MAX_SIZE", "an identifier differs in letter case"),
        ("10 Mb in bits", "10 MB in bits", "a unit differs in letter case"),
        ("what does `Foo` do", "what does `foo` do", "the quoted code differs"),
        ("print(X) if a == b", "print(x) if a == b", "code differs"),
        ("resume tips", "résumé tips", "the diacritics differ"),
        ("if a:\n  b", "if a:\n    b", "the indentation of lines differs"),
        ("does a\u200bb join", "does ab join", "some characters differ"),
    ],
)
def test_case_and_white_space_that_carry_meaning_are_no_hit(identity, asked, cached, reason):
    decided = verdict(identity, asked, cached)
    assert not decided.accepted
    assert decided.reason.startswith(reason)
    assert decided.check == "identity"


def test_an_embedder_that_tells_nothing_is_assumed_to_read_everything():
    identity = IdentityVerifier(object())
    assert verdict(identity, "resume", "résumé") == verdict(identity, "one", "two")
    assert verdict(identity, "one", "two").accepted
    assert verdict(identity, "one", "one").probability == 1


def test_facts_of_another_embedder_are_used():
    class Blind:
        def describe(self, text):
            return TextFacts(token_ids=(1,), unknown=(), was_cut=False)

    assert not verdict(IdentityVerifier(Blind()), "cats", "dogs").accepted


@pytest.mark.anyio
async def test_both_forms_decide_alike(identity):
    candidates = ["resume tips", "Résumé tips", "tips"]
    assert await identity.averify("résumé tips", candidates) == identity.verify(
        "résumé tips", candidates
    )


def test_no_candidates_no_verdicts(identity):
    assert identity.verify("anything", []) == []
