"""Lookups made of labelled prompts."""

from __future__ import annotations

import numpy as np
import pytest

from langcache.engine import FunctionEmbedder, MiniLMEmbedder
from langcache.engine.tuning import (
    CacheRow,
    LabelledPair,
    RecordedLookup,
    lookups_of,
    lookups_of_cache,
    lookups_of_pairs,
    read_labelled,
)
from langcache.engine.verify import Verdict


# Each text is an angle in degrees, and the cosine of two texts that of the angle between them.
def _angles(texts):
    radians = np.radians([float(text) for text in texts])
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


EMBEDDER = FunctionEmbedder(_angles, model_id="angles", dimensions=2)


class Refusing:
    """Turns down some candidates, and remembers what it was asked."""

    model_id = "refusing"

    def __init__(self, refused):
        self.refused = refused
        self.asked = []

    def verify(self, prompt, candidates):
        self.asked.append((prompt, list(candidates)))
        return [
            Verdict(text not in self.refused, 0.25 if text in self.refused else 0.75, "because")
            for text in candidates
        ]

    async def averify(self, prompt, candidates):
        return self.verify(prompt, candidates)


def test_a_pair_becomes_a_lookup_with_its_similarity():
    pairs = [
        LabelledPair("0", "60", same=True, kind="k", scope="s"),
        LabelledPair("0", "180", same=False),
        LabelledPair("5", "5", same=True),
    ]
    first, second, third = lookups_of_pairs(pairs, EMBEDDER)
    assert first.similarity == pytest.approx(0.75)
    assert first == RecordedLookup(
        similarity=first.similarity, label="right", kind="k", scope="s", answerable=True,
        reason=first.reason, prompt="0", cached_prompt="60",
    )  # fmt: skip
    assert second.similarity == pytest.approx(0, abs=1e-6)
    assert second.label == "wrong"
    assert not second.has_answer
    assert third.similarity == pytest.approx(1)


def test_every_text_is_embedded_once():
    calls = []

    def embed(texts):
        calls.extend(texts)
        return _angles(texts)

    embedder = FunctionEmbedder(embed, model_id="angles", dimensions=2)
    lookups_of_pairs([LabelledPair("0", str(i % 600), same=True) for i in range(1000)], embedder)
    assert sorted(calls) == sorted(set(calls))
    assert len(calls) == 600


def test_the_verdict_on_a_pair_is_kept():
    verifier = Refusing({"60"})
    first, second = lookups_of_pairs(
        [LabelledPair("0", "60", same=False), LabelledPair("0", "10", same=True)],
        EMBEDDER,
        verifier,
    )
    assert (first.accepted, first.probability, first.reason) == (False, 0.25, "because")
    assert (second.accepted, second.probability) == (True, 0.75)


ROWS = [
    CacheRow("cache", "east", "0"),
    CacheRow("cache", "north", "90"),
    CacheRow("cache", "near", "6"),
    CacheRow("paraphrase", "east", "2"),
    CacheRow("paraphrase", "east", "5"),
    CacheRow("hard-negative", "", "88"),
]


def test_a_lookup_finds_the_nearest_cached_prompt():
    lookups = lookups_of_cache(ROWS, EMBEDDER)
    assert [(each.prompt, each.cached_prompt, each.label) for each in lookups] == [
        ("2", "0", "right"),
        ("5", "6", "wrong"),
        ("88", "90", "wrong"),
    ]
    assert [each.has_answer for each in lookups] == [True, True, False]
    assert [each.kind for each in lookups] == ["paraphrase", "paraphrase", "hard-negative"]
    assert lookups[0].similarity == pytest.approx((1 + np.cos(np.radians(2))) / 2)


def test_with_a_verifier_it_finds_the_nearest_that_is_accepted():
    verifier = Refusing({"6", "90"})
    lookups = lookups_of_cache(ROWS, EMBEDDER, verifier, candidates=2)
    assert verifier.asked == [("2", ["0", "6"]), ("5", ["6", "0"]), ("88", ["90", "6"])]
    assert [(each.cached_prompt, each.accepted, each.label) for each in lookups] == [
        ("0", True, "right"),
        ("0", True, "right"),
        ("90", False, "wrong"),
    ]


def test_when_all_are_turned_down_the_nearest_is_reported():
    verifier = Refusing({"0", "6", "90"})
    lookups = lookups_of_cache(ROWS, EMBEDDER, verifier)
    assert [(each.cached_prompt, each.accepted) for each in lookups] == [
        ("0", False),
        ("6", False),
        ("90", False),
    ]


def test_many_lookups_are_searched_in_parts():
    rows = [CacheRow("cache", str(i), str(i)) for i in range(300)]
    rows += [CacheRow("paraphrase", str(i), str(i + 0.2)) for i in range(300)]
    lookups = lookups_of_cache(rows, EMBEDDER)
    assert len(lookups) == 300
    assert {each.label for each in lookups} == {"right"}


def test_without_a_cached_prompt_there_is_nothing_to_look_up():
    with pytest.raises(ValueError, match=r"^rows: must have a row of kind cache$"):
        lookups_of_cache(ROWS[3:], EMBEDDER)
    with pytest.raises(ValueError, match=r"^candidates: must be at least 1, got 0$"):
        lookups_of_cache(ROWS, EMBEDDER, candidates=0)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "0,60,1\n", [0.75]),
        ("a.tsv", "kind\tgroup\ttext\ncache\tg\t0\nparaphrase\tg\t60\n", [0.75]),
        ("a.jsonl", '{"similarity": 0.6}\n', [0.6]),
    ],
)
def test_the_lookups_of_a_file_come_from_whatever_it_holds(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    lookups = lookups_of(read_labelled(tmp_path / name), EMBEDDER)
    assert [each.similarity for each in lookups] == pytest.approx(expected)


def test_a_verifier_can_be_named():
    pairs = [
        LabelledPair("Where is order 12345?", "Where is order 12346?", same=False),
        LabelledPair("Where is order 12345?", "Where is my order 12345?", same=True),
    ]
    embedder = FunctionEmbedder(lambda texts: np.ones((len(texts), 2)), model_id="1", dimensions=2)
    wrong, right = lookups_of_pairs(pairs, embedder, "rules")
    assert (wrong.accepted, right.accepted) == (False, True)
    assert wrong.reason
    with pytest.raises(ValueError, match=r"^verifier: must be "):
        lookups_of_pairs(pairs, embedder, "nothing")


def test_what_the_embedder_cannot_tell_apart_is_turned_down_without_a_verifier():
    pairs = [
        LabelledPair("What does \U0001f600 mean?", "What does \U0001f621 mean?", same=False),
        LabelledPair("What does \U0001f600 mean?", "What does \U0001f600 mean?", same=True),
    ]
    different, equal = lookups_of_pairs(pairs, MiniLMEmbedder())
    assert (different.accepted, equal.accepted) == (False, True)
