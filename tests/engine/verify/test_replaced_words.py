"""Prompts that differ in a name or another word of meaning need different answers."""

from __future__ import annotations

import random

import pytest
from replaced_words import NAMES, equal_pairs, wrong_pairs

from langcache.engine.verify import PairModelVerifier, RuleVerifier, create_verifier
from langcache.engine.verify.rules.reading import Reading
from langcache.engine.verify.rules.replacements import spelled_alike, word_was_replaced

LISTED = ["Greek letters", "planets", "chess pieces", "zodiac", "metals", "colours", "shapes"]
LABELS = ["single letters", "codes"]


@pytest.fixture(scope="module")
def auto():
    return create_verifier("auto")


def accepted(verifier, pairs):
    return sum(verifier.verify(pair.one, [pair.other])[0].accepted for pair in pairs)


@pytest.mark.parametrize("kind", LISTED + LABELS)
def test_rules_know_other_members_of_a_list_and_other_labels(kind):
    rules = RuleVerifier(["enumerations", "labels"])
    assert accepted(rules, [pair for pair in wrong_pairs() if pair.kind == kind]) == 0


def test_names_that_moved_as_well_are_other_names():
    """The lookups of a cache find the stored prompt that shares most names."""
    words = NAMES["Greek letters"].split()
    source = random.Random(1)
    verifier = RuleVerifier(["enumerations"])
    for _ in range(50):
        one, other, *shared = source.sample(words, 4)
        asked, cached = [one, *shared], [*shared, other]
        template = "Explain {} to me in a text about {} and {}"
        verdict = verifier.verify(template.format(*asked), [template.format(*cached)])[0]
        assert verdict.details == f"{one} / {other}"


def test_few_prompts_with_another_word_are_served(auto):
    pairs = random.Random(7).sample(wrong_pairs(), 150)
    assert accepted(auto, pairs) <= 5


def test_most_synonyms_forms_and_spellings_are_still_served(auto):
    pairs = equal_pairs()[::2]
    assert accepted(auto, pairs) >= 0.75 * len(pairs)


def test_adjectives_of_another_meaning_are_turned_down(auto):
    assert not auto.verify("clean old boats", ["clean small boats"])[0].accepted


def test_the_model_has_to_be_sure_of_a_word_that_is_another_one():
    model = PairModelVerifier()
    one, other = "how do I clean wooden boats", "how do I clean small boats"
    probability = min(model.probability(one, other), model.probability(other, one))
    assert model.min_probability < probability < 0.75
    verdict = model.verify(one, [other])[0]
    assert not verdict.accepted
    assert verdict.reason == (
        "a word is another one, and the model is not sure that it means the same"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("clean old boats", "clean small boats"),
        ("how do I sell a bicycle", "how can I paint a bicycle"),
        ("compare cotton with silk", "compare silk with wool"),
    ],
)
def test_a_replaced_word_is_found(one, other):
    assert word_was_replaced(Reading(one), Reading(other))
    assert word_was_replaced(Reading(other), Reading(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("clean old boats", "clean old boats"),
        ("how do I cook rice", "how can you cook rice"),
        ("what is your favourite colour", "what is your favorite color"),
        ("how do cats sleep", "how does a cat sleep"),
        ("tea or coffee", "coffee or tea"),
        ("a room for 2 people", "a room for two people"),
        ("how do I get to Oslo", "which is the fastest way to Oslo"),
        ("red green blue black white", "one two three four five"),
    ],
)
def test_no_word_is_replaced(one, other):
    assert not word_was_replaced(Reading(one), Reading(other))
    assert not word_was_replaced(Reading(other), Reading(one))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("colour", "color", True),
        ("houses", "house", True),
        ("kingdoms", "kingdom", True),
        ("recieve", "receive", True),
        ("organise", "organize", True),
        ("mouse", "house", False),
        ("phi", "psi", False),
        ("kitchen", "chicken", False),
    ],
)
def test_one_other_letter_is_a_spelling(one, other, alike):
    assert spelled_alike(one, other) is alike
    assert spelled_alike(other, one) is alike
