"""How well logits tell the development set's near misses from its paraphrases."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from data import Example

if TYPE_CHECKING:
    from pathlib import Path

THRESHOLDS = (-3.0, -2.0, -1.0, 0.0, 1.0)


def read_development(path: Path) -> list[Example]:
    """Return each text of the groups against the group's prompt."""
    examples: list[Example] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            group = json.loads(line)
            examples += (Example(text, group["prompt"], True) for text in group["same"])
            examples += (
                Example(different["text"], group["prompt"], False)
                for different in group["different"]
            )
    return examples


def average_precision(examples: list[Example], scores: list[float]) -> float:
    """Return the mean of the precision over the equal pairs, from the highest score down."""
    ordered = sorted(zip(scores, examples, strict=True), key=lambda item: -item[0])
    found = 0
    total = 0.0
    for rank, (_, example) in enumerate(ordered, 1):
        if example.equal:
            found += 1
            total += found / rank
    return total / max(1, found)


def report(examples: list[Example], scores: list[float]) -> str:
    """Return a table of the shares of near misses and paraphrases that are accepted."""
    lines = ["logit at least   near misses   paraphrases"]
    for threshold in THRESHOLDS:
        shares: list[float] = []
        for equal in (False, True):
            chosen = [
                score >= threshold
                for score, example in zip(scores, examples, strict=True)
                if example.equal is equal
            ]
            shares.append(sum(chosen) / max(1, len(chosen)))
        lines.append(f"{threshold:>14} {shares[0]:>13.3f} {shares[1]:>13.3f}")
    return "\n".join(lines)
