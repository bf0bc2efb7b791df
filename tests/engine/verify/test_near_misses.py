"""The near misses of the development set, which the pair model was not trained on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from langcache.engine import MiniLMEmbedder
from langcache.engine.verify import IdentityVerifier, VerifierChain, create_verifier

TRAINING = Path(__file__).parents[3] / "models" / "minilm_pair" / "train"
SIMILARITY = 0.9


def groups(name):
    with gzip.open(TRAINING / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def served():
    """Of a tenth of the groups: for each text its equality, and whether it is served."""
    embedder = MiniLMEmbedder()
    chain = VerifierChain([IdentityVerifier(embedder), create_verifier("auto")])
    pairs = [
        (text, group["prompt"], equal)
        for group in groups("near-misses-dev.jsonl.gz")[::10]
        for equal, texts in (
            (True, group["same"]),
            (False, [different["text"] for different in group["different"]]),
        )
        for text in texts
    ]
    asked, cached = (embedder.embed([pair[side] for pair in pairs]) for side in (0, 1))
    similarities = (1 + np.einsum("ij,ij->i", asked, cached)) / 2
    plain = similarities >= SIMILARITY
    equal = np.array([pair[2] for pair in pairs])
    verified = np.array(
        [
            hit and chain.verify(text, [prompt])[0].accepted
            for (text, prompt, _), hit in zip(pairs, plain, strict=True)
        ]
    )
    return equal, plain, verified


def test_few_near_misses_are_served(served):
    equal, plain, verified = served
    assert plain[~equal].mean() > 0.35
    assert verified[~equal].mean() < 0.12


def test_most_paraphrases_that_were_served_still_are(served):
    equal, plain, verified = served
    assert verified[equal].sum() > 0.8 * plain[equal].sum()


def test_no_prompt_is_in_both_sets():
    training = groups("near-misses-train.jsonl.gz")
    development = groups("near-misses-dev.jsonl.gz")
    assert len(training) == 3697
    assert len(development) == 332
    prompts = {group["prompt"] for group in training}
    assert prompts.isdisjoint(group["prompt"] for group in development)
