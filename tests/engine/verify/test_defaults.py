"""The thresholds that surfaces start from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from langcache.engine import create_verifier
from langcache.engine.verify import PLAIN_SIMILARITY, VERIFIED_SIMILARITY, default_similarity

PAGE = (Path(__file__).parents[3] / "docs/thresholds.md").read_text(encoding="utf-8")


def test_only_the_measured_verifier_lowers_the_threshold():
    assert default_similarity("auto") == VERIFIED_SIMILARITY
    for setting in (None, "rules", "model", create_verifier("rules")):
        assert default_similarity(setting) == PLAIN_SIMILARITY


@pytest.mark.parametrize("similarity", [PLAIN_SIMILARITY, VERIFIED_SIMILARITY])
def test_the_page_names_the_defaults_as_similarity_and_distance(similarity):
    assert f"| {similarity:g} | {2 * (1 - similarity):.2g} |" in PAGE


def test_each_similarity_of_the_page_stands_beside_its_distance():
    rows = re.findall(r"\| (0\.\d+) \| (0\.\d+) \|", PAGE)
    assert len(rows) > 10
    for similarity, distance in rows:
        assert float(distance) == pytest.approx(2 * (1 - float(similarity)))
