"""Which similarity threshold fits a verifier: the figures of docs/thresholds.md.

    uv run benchmarks/thresholds.py [--verifier auto] [--vectors FILE]

Reads the same development sets as hit_quality.py, which defines hits, right hits and precision, and
counts right and wrong hits at each threshold, without a verifier and with it. In all sets a
candidate that was turned down makes room for the next nearest. A pair is a cache of one entry.

Macro-averaged
    The plain mean of a figure over the five sets: QQP-1k, BANKING77, CLINC150, the ChatGPT pairs
    and the near misses. Precision is right hits / hits, the right share is right hits / prompts
    that have a right answer.
The gain
    Right and wrong hits at the default threshold with the verifier, less those of the plain cache
    at 0.9. The 95 % intervals are those of a paired bootstrap over lookups, pairs or groups.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hit_quality import (
    CACHES,
    NEAR_MISSES,
    PAIRS,
    Judge,
    Lookup,
    Pair,
    Vectors,
    hit,
    interval,
    labelled_pairs,
    lookups,
    near_misses,
    similarities,
)

from langcache.engine.verify import (
    AUTO_RULES,
    PLAIN_SIMILARITY,
    VERIFIED_SIMILARITY,
    IdentityVerifier,
    PairModelVerifier,
    RuleVerifier,
    VerifierChain,
    create_verifier,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

THRESHOLDS = (0.86, 0.87, 0.88, 0.89, 0.9, 0.92, 0.94, 0.95, 0.96)


class Set(NamedTuple):
    """The lookups of a development set, and what the bootstrap draws."""

    lookups: list[Lookup]
    units: NDArray[np.int64]

    @property
    def answerable(self) -> int:
        """How many lookups have a right answer."""
        return sum(lookup.paraphrase for lookup in self.lookups)


def of_pairs(vectors: Vectors, pairs: Sequence[Pair]) -> Set:
    """Pairs, each as a lookup in a cache of one entry."""
    return Set(
        [
            Lookup(pair.asked, pair.equal, [(float(score), pair.cached, pair.equal)])
            for pair, score in zip(pairs, similarities(vectors, pairs), strict=True)
        ],
        np.array([pair.unit for pair in pairs]),
    )


def named_sets(vectors: Vectors, data: Path, limit: int | None = None) -> dict[str, Set]:
    """The five sets that figures are averaged over."""
    sets: dict[str, Set] = {}
    for name, file in CACHES.items():
        asked = lookups(vectors, data / file, limit)
        sets[name] = Set(asked, np.arange(len(asked)))
    chat = labelled_pairs(data / PAIRS["ChatGPT pairs"], limit)
    sets["ChatGPT pairs"] = of_pairs(vectors, chat)
    sets["near misses"] = of_pairs(vectors, near_misses(NEAR_MISSES)[:limit])
    return sets


def counts(chosen: Set, judge: Judge | None, threshold: float) -> NDArray[np.float64]:
    """For each lookup: whether the hit is right, whether it is wrong."""
    results = [hit(lookup, judge, threshold, retry=judge is not None) for lookup in chosen.lookups]
    return np.array([(float(bool(x and x[1])), float(x is not None and not x[1])) for x in results])


def line(sets: dict[str, Set], judge: Judge | None, threshold: float) -> str:
    """A line of the table: right and wrong hits of each set, and the averages."""
    precisions: list[float] = []
    shares: list[float] = []
    text = f"  {threshold:.2f}  {2 * (1 - threshold):.2f}  "
    for chosen in sets.values():
        right, wrong = counts(chosen, judge, threshold).sum(axis=0)
        precisions.append(right / max(1, right + wrong))
        shares.append(right / chosen.answerable)
        text += f"{right:>7.0f} {wrong:>4.0f} {precisions[-1]:.3f}"
    return text + f"{np.mean(precisions):>12.3f} {np.mean(shares):.3f}"


def report_gain(sets: dict[str, Set], judge: Judge, threshold: float) -> None:
    """Print what the verifier gains at a threshold over the plain cache at 0.9."""
    print(
        f"\nThe gain: similarity {threshold} with the verifier, over {PLAIN_SIMILARITY} without one"
    )
    measured = {
        name: (
            counts(chosen, None, PLAIN_SIMILARITY),
            counts(chosen, judge, threshold),
            chosen.units,
        )
        for name, chosen in sets.items()
    }
    first = 0
    together: list[NDArray[np.int64]] = []
    for _, _, units in measured.values():
        together.append(units + first)
        first += int(units.max()) + 1
    measured["all five"] = (
        np.concatenate([plain for plain, _, _ in measured.values()]),
        np.concatenate([verified for _, verified, _ in measured.values()]),
        np.concatenate(together),
    )
    for name, (plain, verified, units) in measured.items():
        text = f"  {name:<14}"
        for column, kind in enumerate(("right", "wrong")):
            low, high = interval(
                plain, verified, units, lambda sums, column=column: float(sums[column])
            )
            before, after = plain[:, column].sum(), verified[:, column].sum()
            text += f" {kind} {before:>4.0f} -> {after:>4.0f} [{low:+5.0f}, {high:+5.0f}]  "
        right, wrong = verified.sum(axis=0) - plain.sum(axis=0)
        print(text + ("both better" if right > 0 > wrong else "NOT both better"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--verifier", default="auto", help='"rules", "model" or "auto"')
    parser.add_argument(
        "--min-probability", type=float, help='smallest probability of the model, for "auto"'
    )
    parser.add_argument("--similarity", type=float, default=VERIFIED_SIMILARITY)
    parser.add_argument("--limit", type=int, help="lookups of each set")
    parser.add_argument("--vectors", type=Path, help="a file that remembers vectors between runs")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"no directory {arguments.data}")
    vectors = Vectors(arguments.vectors)
    verifier = create_verifier(arguments.verifier)
    if arguments.min_probability is not None:
        model = PairModelVerifier(min_probability=arguments.min_probability)
        verifier = VerifierChain([RuleVerifier(AUTO_RULES), model])
    assert verifier is not None
    judge = Judge(VerifierChain([IdentityVerifier(vectors.embedder), verifier]))
    sets = named_sets(vectors, arguments.data, arguments.limit)
    print(f"{vectors.embedder.model_id}, {verifier.model_id}")
    print("Right hits, wrong hits, precision; macro-averaged precision and right share")
    print("  similarity, distance" + "".join(f"{name:>17}" for name in sets))
    for way, chosen in (("plain", None), ("verified", judge)):
        print(way)
        for threshold in THRESHOLDS:
            print(line(sets, chosen, threshold), flush=True)
    report_gain(sets, judge, arguments.similarity)
    return 0


if __name__ == "__main__":
    sys.exit(main())
