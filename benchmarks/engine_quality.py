"""How well an embedder tells prompts that may share an answer from those that may not.

    uv run benchmarks/engine_quality.py [--data DIR] [--plots DIR]

Reads the evaluation sets of a directory (gzip'd TSV; not part of the repository):

- ``*-cache*-*`` and ``*-mock-*``: ``kind, group, text``. The rows of kind ``cache`` are stored,
  every other row is searched for. A hit is correct when a paraphrase finds an entry of its own
  group; every other hit is wrong. Right hits at a precision: the largest share of paraphrases with
  a correct hit at a threshold where at least that share of the hits is correct.
- all others: ``text1, text2, label``. Average precision of the similarity as a classifier, and
  the share of positives found at a precision of at least 0.9.

Similarity is (1 + cosine) / 2.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _sdk import print_table

from langcache.engine import MiniLMEmbedder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from langcache.engine import Embedder

PRECISIONS = (0.90, 0.95)
TITLES = {
    "banking77-cache1k": "BANKING77",
    "clinc150-cache1k": "CLINC150",
    "gptcache-mock": "500 sentences of GPTCache",
    "qqp-cache1k": "1,000 questions of Quora",
    "qqp-cache5k": "5,000 questions of Quora",
}
THRESHOLDS = (0.80, 0.85, 0.875, 0.90, 0.925, 0.95, 0.975)


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of an evaluation set."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def cache_files(directory: Path) -> list[Path]:
    """The evaluation sets of a directory that simulate a cache."""
    return sorted([*directory.glob("*-cache*-dev.tsv.gz"), *directory.glob("*-mock-dev.tsv.gz")])


def similarities(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """The similarity of each row of one array to the same row of the other."""
    return (1 + np.einsum("ij,ij->i", left, right)) / 2


def precision_recall(
    scores: NDArray[np.float32], labels: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall at each score as the threshold, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(labels[order])
    # Equal scores stand or fall together.
    last = np.append(np.diff(scores[order]) != 0, True)
    return (found / np.arange(1, len(scores) + 1))[last], (found / labels.sum())[last]


def average_precision(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> float:
    """The mean of the precision over the steps of the recall."""
    precision, recall = precision_recall(scores, labels)
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def report_pairs(embedder: Embedder, path: Path) -> tuple[str, NDArray, NDArray]:
    """Measure a set of pairs; returns its name with precision and recall, for a plot."""
    data = rows(path)
    left = embedder.embed([row["text1"] for row in data])
    right = embedder.embed([row["text2"] for row in data])
    scores = similarities(left, right)
    labels = np.array([row["label"] == "1" for row in data])
    precision, recall = precision_recall(scores, labels)
    sure = recall[precision >= 0.9]
    name = path.name.split("-dev")[0]
    print(
        f"{name:<24} {len(data):>5} pairs  AP {average_precision(scores, labels):.3f}  "
        f"recall at precision 0.9: {sure.max() if len(sure) else 0:.3f}"
    )
    return name, precision, recall


@dataclass(frozen=True)
class Lookups:
    """The nearest entry of each prompt: its similarity, and whether it is the right one."""

    similarities: NDArray[np.float32]
    correct: NDArray[np.bool_]
    paraphrase: NDArray[np.bool_]


def look_up(embedder: Embedder, data: list[dict[str, str]]) -> Lookups:
    """Store the entries of a set and search for its other prompts."""
    stored = [row for row in data if row["kind"] == "cache"]
    asked = [row for row in data if row["kind"] != "cache"]
    entries = embedder.embed([row["text"] for row in stored])
    prompts = embedder.embed([row["text"] for row in asked])
    cosines = prompts @ entries.T
    best = cosines.argmax(axis=1)
    paraphrase = np.array([row["kind"] == "paraphrase" for row in asked])
    same_group = [
        stored[entry]["group"] == row["group"] for row, entry in zip(asked, best, strict=True)
    ]
    return Lookups(
        (1 + cosines[np.arange(len(asked)), best]) / 2, paraphrase & same_group, paraphrase
    )


def pooled(lookups: Sequence[Lookups]) -> Lookups:
    """The lookups of several sets as those of one, so that one threshold serves them all."""
    return Lookups(
        np.concatenate([one.similarities for one in lookups]),
        np.concatenate([one.correct for one in lookups]),
        np.concatenate([one.paraphrase for one in lookups]),
    )


def right_hits(
    lookups: Lookups, precision: float, weights: NDArray[np.int64] | None = None
) -> float:
    """The largest share of paraphrases with a correct hit at a precision of at least `precision`.

    Args:
        lookups: The lookups.
        precision: The least share of hits that must be correct.
        weights: How often each lookup counts, for a bootstrap; None for once each.
    """
    if weights is None:
        weights = np.ones(len(lookups.similarities), np.int64)
    order = np.argsort(-lookups.similarities, kind="stable")
    scores = lookups.similarities[order]
    hits = np.cumsum(weights[order])
    right = np.cumsum((weights * lookups.correct)[order])
    # Equal scores stand or fall together.
    allowed = np.append(np.diff(scores) != 0, True) & (right >= precision * hits)
    paraphrases = int((weights * lookups.paraphrase).sum())
    return float(right[allowed].max(initial=0)) / max(1, paraphrases)


def difference_of_right_hits(
    ours: Lookups, theirs: Lookups, precision: float, samples: int = 1000
) -> tuple[float, float, float]:
    """How many more right hits one embedder has than another: the difference and its 95 % interval.

    The bootstrap is paired: both count the same drawn lookups.
    """
    rng = np.random.default_rng(20251121)
    count = len(ours.similarities)
    differences = []
    for _ in range(samples):
        weights = np.bincount(rng.integers(0, count, count), minlength=count)
        differences.append(
            right_hits(ours, precision, weights) - right_hits(theirs, precision, weights)
        )
    low, high = np.quantile(differences, (0.025, 0.975))
    return right_hits(ours, precision) - right_hits(theirs, precision), float(low), float(high)


def report_cache(name: str, lookups: Lookups) -> tuple[str, NDArray, NDArray]:
    """Print what a cache would hit; returns its name with precision and recall, for a plot."""
    scores, correct = lookups.similarities, lookups.correct
    paraphrases = int(lookups.paraphrase.sum())
    print(f"\n{name}: {paraphrases} paraphrases of {len(scores)} prompts")
    print("  threshold  hits  correct hits of paraphrases  precision of hits")
    for threshold in THRESHOLDS:
        hit = scores >= threshold
        right = (hit & correct).sum()
        print(
            f"  {threshold:>9.3f}  {hit.sum():>4}  {right / paraphrases:>27.3f}"
            f"  {right / max(1, hit.sum()):>17.3f}"
        )
    shares = ", ".join(f"{right_hits(lookups, at):.3f} at {at:.2f}" for at in PRECISIONS)
    print(f"  right hits at a precision: {shares}")
    order = np.argsort(-scores)
    found = np.cumsum(correct[order])
    return name, found / np.arange(1, len(scores) + 1), found / paraphrases


def report_defaults(lookups: Mapping[str, Lookups]) -> None:
    """Print hits and their precision at two thresholds, as a table."""
    table: list[list[str]] = []
    for name, found in lookups.items():
        row = [TITLES.get(name, name)]
        for threshold in (0.9, 0.95):
            hits = found.similarities >= threshold
            right = (hits & found.correct).sum()
            row += [f"{right / found.paraphrase.sum():.3f}", f"{right / max(1, hits.sum()):.3f}"]
        table.append(row)
    print()
    print_table(["set", "at 0.9: hits", "precision", "at 0.95: hits", "precision"], table)


def plot(curves: list[tuple[str, NDArray, NDArray]], path: Path, title: str) -> None:
    """Draw precision over recall."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    for name, precision, recall in curves:
        axes.plot(recall, precision, label=name)
    axes.set(xlabel="share of paraphrases found", ylabel="precision", title=title, ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--plots", type=Path, help="a directory for PNG plots (needs matplotlib)")
    arguments = parser.parse_args()
    files = sorted(arguments.data.glob("*-dev.tsv.gz"))
    if not files:
        sys.exit(f"no evaluation sets in {arguments.data}")
    embedder = MiniLMEmbedder()
    print(f"{embedder.model_id}, {embedder.dimensions} dimensions\n")
    started = time.perf_counter()
    caches = cache_files(arguments.data)
    pairs = [report_pairs(embedder, path) for path in files if path not in caches]
    lookups = {path.name.split("-dev")[0]: look_up(embedder, rows(path)) for path in caches}
    curves = [report_cache(name, found) for name, found in lookups.items()]
    report_cache("all sets, one threshold", pooled(list(lookups.values())))
    report_defaults(lookups)
    print(f"\n{time.perf_counter() - started:.0f} s")
    if arguments.plots:
        arguments.plots.mkdir(parents=True, exist_ok=True)
        plot(pairs, arguments.plots / f"pairs-{embedder.model_id}.png", "Pairs")
        plot(curves, arguments.plots / f"cache-{embedder.model_id}.png", "Cache simulation")


if __name__ == "__main__":
    main()
