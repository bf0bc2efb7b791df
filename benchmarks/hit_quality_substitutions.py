"""How many prompts are served that differ from the cached one in single words.

    uv run benchmarks/hit_quality_substitutions.py [--verifier auto] [--show KIND]

Makes pairs of prompts that are the same but for one, two or three words in the same places:

Wrong pairs
    The words are different members of one kind: names that are enumerated (Greek letters, planets,
    chess pieces), open classes (fruit, tools, first names), adjectives, verbs.
Equal pairs
    The words are synonyms, forms of one word, spelling variants, or small words.

Prints for each kind the share that the verifier accepts, by how many words differ. The similarity
is not looked at: every pair is judged, because a cache with a lower threshold finds more of them.

As a cache
    100 prompts with three names of one kind are stored, and 100 others are asked, which have three
    other names or some of the same. Up to five entries from a similarity of 0.88 on are tried. A
    hit is wrong if its names are not the same three.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from langcache.engine import MiniLMEmbedder
from langcache.engine.verify import create_verifier

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/support"))
from replaced_words import NAMES, STORED, Pair, equal_pairs, wrong_pairs


def report(title: str, pairs: list[Pair], spec: str, show: str | None) -> None:
    """Print the share of each kind that is accepted."""
    verifier = create_verifier(spec)
    assert verifier is not None
    counts: dict[str, Counter[tuple[int, bool]]] = defaultdict(Counter)
    for pair in pairs:
        verdict = verifier.verify(pair.one, [pair.other])[0]
        counts[pair.kind][pair.differing, verdict.accepted] += 1
        if show == pair.kind and verdict.accepted:
            print(f"    {verdict.probability or 0:.2f}  {pair.one}  |  {pair.other}")
    total: Counter[tuple[int, bool]] = sum(counts.values(), Counter())
    print(f"\n{title}: accepted of pairs, by the words that differ")
    for kind, count in [*counts.items(), ("all", total)]:
        cells = [
            f"{n}: {count[n, True]:>3} of {count[n, True] + count[n, False]:<4}"
            for n in (1, 2, 3)
            if count[n, True] + count[n, False]
        ]
        accepted = sum(value for (_, good), value in count.items() if good)
        print(f"  {kind:<24} {accepted / sum(count.values()):.2f}   {'   '.join(cells)}")


def report_caches(spec: str) -> None:
    """Print for each kind of names how many lookups of a cache hit an entry with other names."""
    verifier, embedder = create_verifier(spec), MiniLMEmbedder()
    assert verifier is not None
    print("\nAs a cache: lookups with a candidate, with a wrong hit, of 100")
    sums = [0, 0]
    for kind, words in NAMES.items():
        source = random.Random(kind)
        names = words.split()
        drawn: dict[tuple[str, ...], str] = {}
        for _ in range(1000):
            template, chosen = source.choice(STORED), source.sample(names, min(3, len(names)))
            if len(chosen) == 3 and len(drawn) < 200:
                drawn[(template, *sorted(chosen))] = template.format(*chosen)
        keys, texts = list(drawn), list(drawn.values())
        vectors = embedder.embed(texts)
        half = len(texts) // 2
        similarities = (1 + vectors[half:] @ vectors[:half].T) / 2
        found = [0, 0]
        for asked, row in enumerate(similarities, half):
            nearest = [int(place) for place in np.argsort(-row)[:5] if row[place] >= 0.88]
            verdicts = verifier.verify(texts[asked], [texts[place] for place in nearest])
            hits = [p for p, verdict in zip(nearest, verdicts, strict=True) if verdict.accepted]
            found[0] += bool(nearest)
            found[1] += bool(hits) and keys[hits[0]][1:] != keys[asked][1:]
        sums = [total + part for total, part in zip(sums, found, strict=True)]
        print(f"  {kind:<24} {found[0]:>3}  {found[1]:>3}  of {len(texts) - half}")
    print(f"  {'all':<24} {sums[0]:>3}  {sums[1]:>3}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verifier", default="auto", help='"rules", "model" or "auto"')
    parser.add_argument("--show", metavar="KIND", help="print the accepted pairs of a kind")
    arguments = parser.parse_args()
    report("Wrong pairs", wrong_pairs(), arguments.verifier, arguments.show)
    report("Equal pairs", equal_pairs(), arguments.verifier, arguments.show)
    report_caches(arguments.verifier)


if __name__ == "__main__":
    main()
