"""How many prompts in other languages, and with code or hosts, get a wrong response.

    uv run benchmarks/hit_quality_languages.py [--verifier auto] [--similarity 0.88] [--show KIND]

Makes pairs of prompts from `hit_quality_languages.jsonl`, which has a line for each kind of
difference and language. A line has templates and words, or pairs as they are:

Wrong pairs
    The words differ in what they ask for: "mit" and "ohne", "zwei" and "drei". They stand in one
    template, or in two that say the same.
Equal pairs
    One word in two templates that say the same, and pairs with "equal": paraphrases, formal and
    informal words, numbers in words and in digits.

Prints for each language, and for each kind, how many wrong and how many equal pairs are served:
plain, because they are similar enough, and with the verifier.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langcache.engine import MiniLMEmbedder
from langcache.engine.verify import IdentityVerifier, VerifierChain, create_verifier

if TYPE_CHECKING:
    from collections.abc import Iterable

PAIRS = Path(__file__).with_suffix(".jsonl")


class Pair(NamedTuple):
    """Two prompts, and whether one response serves both."""

    kind: str
    language: str
    one: str
    other: str
    equal: bool


def read(path: Path) -> list[Pair]:
    """Return the pairs of a file, each once."""
    found: dict[tuple[str, str], Pair] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        kind, language = row["kind"], row["language"]
        pairs = [(one, other, row["equal"]) for one, other in row.get("pairs", ())]
        for one, other in row.get("templates", ()):
            for word, wrong in row.get("words", ()):
                pairs += [
                    (one.replace("{}", word), one.replace("{}", wrong), False),
                    (one.replace("{}", word), other.replace("{}", wrong), False),
                    (one.replace("{}", word), other.replace("{}", word), True),
                    (one.replace("{}", wrong), other.replace("{}", wrong), True),
                ]
        for one, other, equal in pairs:
            if one != other:
                found.setdefault((one, other), Pair(kind, language, one, other, equal))
    return list(found.values())


def report(title: str, counts: dict[str, Counter[tuple[bool, str]]]) -> None:
    """Print how many pairs of each group are served, of those there are."""
    print(f"\n{title:<20} wrong pairs  plain  verified   equal pairs  plain  verified")
    for name, count in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        wrong, equal = (
            f"{count[side, 'pairs']:>11} {count[side, 'plain']:>6} {count[side, 'verified']:>9}"
            for side in (False, True)
        )
        print(f"{name:<20} {wrong}   {equal}")


def main(arguments: Iterable[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--verifier", default="auto", choices=["auto", "rules", "model"])
    parser.add_argument("--similarity", type=float, default=0.88)
    parser.add_argument("--show", metavar="KIND", help="print the mistakes of a kind")
    options = parser.parse_args(arguments)
    pairs = read(PAIRS)
    embedder = MiniLMEmbedder()
    chosen = create_verifier(options.verifier)
    assert chosen is not None
    verifier = VerifierChain([IdentityVerifier(embedder), chosen])
    ones = embedder.embed([pair.one for pair in pairs])
    others = embedder.embed([pair.other for pair in pairs])
    similarities = (1 + np.einsum("ij,ij->i", ones, others)) / 2
    languages: dict[str, Counter[tuple[bool, str]]] = defaultdict(Counter)
    kinds: dict[str, Counter[tuple[bool, str]]] = defaultdict(Counter)
    for pair, similarity in zip(pairs, similarities, strict=True):
        steps = ["pairs"]
        if similarity >= options.similarity:
            steps.append("plain")
            verdict = verifier.verify(pair.one, [pair.other])[0]
            if verdict.accepted:
                steps.append("verified")
            if options.show == pair.kind and verdict.accepted != pair.equal:
                print(f"    {verdict.check:<18} {pair.one}  |  {pair.other}")
        for counts in (languages[pair.language], kinds[pair.kind]):
            counts.update((pair.equal, step) for step in steps)
    report("language", languages)
    report("kind", kinds)


if __name__ == "__main__":
    main()
