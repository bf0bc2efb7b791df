"""What docs/right-hits.md shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

from langcache.engine.verify import AUTO_RULES, RULES, PairModelVerifier

PAGE = (Path(__file__).parents[3] / "docs/right-hits.md").read_text(encoding="utf-8")


def test_the_table_of_rules_is_complete():
    rows = re.findall(
        r"^\| `([a-z ]+)` \| ([a-z ]+) \| [\d, ]+ \| [\d, ]+ \|(.*)\|$", PAGE, re.MULTILINE
    )
    assert [(name, reason) for name, reason, _ in rows] == [
        (rule.name, rule.reason) for rule in RULES.values()
    ]
    assert tuple(name for name, _, used in rows if used.strip() == "yes") == AUTO_RULES


def test_the_page_names_the_default_probability():
    assert f"probability of {PairModelVerifier().min_probability} on" in PAGE
