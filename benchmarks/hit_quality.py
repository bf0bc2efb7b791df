"""How many wrong hits a verifier turns down, and how many right ones it costs.

    uv run benchmarks/hit_quality.py [--verifier auto] [--similarity 0.9] [--rules]

Reads the development sets of a directory (not part of the repository, but for the near misses) and
compares a cache without a verifier ("plain") with one that has it. Every measure is defined here:

Direction
    In a set of pairs the first text is asked and the second one is cached. In a set of groups each
    text of a group is asked, and the group's prompt is cached. In a set for a cache every row of
    kind `cache` is stored, and every other row is asked.
Hit
    The similarity, (1 + cosine) / 2, is at least the threshold, and the verifier accepts. In a set
    for a cache the nearest entry is tried first and then, when it was turned down, the next one, up
    to five entries ("retried"); "nearest" tries no second one.
Right
    The pair is labelled as equal; the entry is of the same group as the paraphrase that was asked.
Precision, recall
    Right hits among hits; right hits among equal pairs.
Near misses served, paraphrases served
    Hits among the texts that need another answer, and among those that need the same.
Right natural hits kept
    Right hits with the verifier, retried, as a share of the right hits of the plain cache.
Right hits at precision p
    The largest share of paraphrases answered rightly at any similarity threshold, from the floor
    up, whose hits have at least this precision.
P-CHR, area
    Precision over cache hit ratio, as the similarity threshold falls; the area is the mean
    precision over all hit ratios from 0 to 1, where lookups that never hit count as wrong ones.
Intervals
    95 %, of the difference to the plain cache: paired bootstrap over groups, pairs or lookups.

`--rules` prints for each rule how many wrong and right hits it removes alone and after the model.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import pickle
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langcache.engine import MiniLMEmbedder
from langcache.engine.verify import (
    AUTO_RULES,
    RULES,
    IdentityVerifier,
    PairModelVerifier,
    RuleVerifier,
    VerifierChain,
    create_verifier,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from langcache.engine.verify import Verifier

CANDIDATES = 5
NEAR_MISSES = Path(__file__).parent.parent / "models/minilm_pair/train/near-misses-dev.jsonl.gz"
LANGUAGES = NEAR_MISSES.with_name("languages.jsonl")
PAIRS = {
    "ChatGPT pairs": "langcache-chatgpt-pairs-dev.tsv.gz",
    "QQP pairs": "qqp-pairs-dev.tsv.gz",
    "PAWS-Wiki": "paws-wiki-dev2.tsv.gz",
}
CACHES = {
    "QQP-1k": "qqp-cache1k-dev.tsv.gz",
    "BANKING77": "banking77-cache1k-dev.tsv.gz",
    "CLINC150": "clinc150-cache1k-dev.tsv.gz",
}


class Pair(NamedTuple):
    """A prompt that is asked and one that is cached."""

    asked: str
    cached: str
    equal: bool
    kind: str
    unit: int


class Lookup(NamedTuple):
    """A prompt that is asked of a cache, and its nearest entries: similarity, prompt, right."""

    asked: str
    paraphrase: bool
    entries: list[tuple[float, str, bool]]


class Vectors:
    """Vectors of texts, remembered from run to run if there is a file."""

    def __init__(self, path: Path | None) -> None:
        self.embedder = MiniLMEmbedder()
        self._path = path
        self._known: dict[str, NDArray[np.float32]] = {}
        if path is not None and path.exists():
            self._known = pickle.loads(path.read_bytes())

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of some texts, a row each."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self.embedder.embed(new), strict=True))
            if self._path is not None:
                self._path.write_bytes(pickle.dumps(self._known))
        return np.array([self._known[text] for text in texts])


def tsv(path: Path) -> list[dict[str, str]]:
    """The rows of an evaluation set."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def near_misses(path: Path) -> list[Pair]:
    """The groups as pairs: each text against the group's prompt."""
    pairs: list[Pair] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for unit, line in enumerate(file):
            group = json.loads(line)
            prompt = group["prompt"]
            pairs += (Pair(text, prompt, True, "same", unit) for text in group["same"])
            pairs += (
                Pair(other["text"], prompt, False, other["kind"].replace(" ", "_"), unit)
                for other in group["different"]
            )
    return pairs


def labelled_pairs(path: Path, limit: int | None) -> list[Pair]:
    """A set of labelled pairs."""
    return [
        Pair(row["text1"], row["text2"], row["label"] == "1", "", unit)
        for unit, row in enumerate(tsv(path)[:limit])
    ]


def similarities(vectors: Vectors, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """The similarity of each pair."""
    asked = vectors.of([pair.asked for pair in pairs])
    cached = vectors.of([pair.cached for pair in pairs])
    return (1 + np.einsum("ij,ij->i", asked, cached).astype(float)) / 2


def lookups(vectors: Vectors, path: Path, limit: int | None) -> list[Lookup]:
    """The lookups of a set for a cache, each with its nearest entries."""
    rows = tsv(path)
    stored = [row for row in rows if row["kind"] == "cache"]
    asked = [row for row in rows if row["kind"] != "cache"][:limit]
    entries = vectors.of([row["text"] for row in stored])
    cosines = vectors.of([row["text"] for row in asked]) @ entries.T
    found: list[Lookup] = []
    for row, scores in zip(asked, (1 + cosines) / 2, strict=True):
        nearest = np.argsort(-scores, kind="stable")[:CANDIDATES]
        paraphrase = row["kind"] == "paraphrase"
        found.append(
            Lookup(
                row["text"],
                paraphrase,
                [
                    (
                        float(scores[place]),
                        stored[place]["text"],
                        paraphrase and stored[place]["group"] == row["group"],
                    )
                    for place in nearest
                ],
            )
        )
    return found


class Judge:
    """A verifier that is asked once about each pair."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._known: dict[tuple[str, str], bool] = {}

    def accepts(self, asked: str, cached: str) -> bool:
        """Whether the verifier accepts."""
        pair = (asked, cached)
        if pair not in self._known:
            self._known[pair] = self._verifier.verify(asked, [cached])[0].accepted
        return self._known[pair]


def hit(
    lookup: Lookup, judge: Judge | None, floor: float, *, retry: bool
) -> tuple[float, bool] | None:
    """The similarity of the entry that is served, and whether it is right; None for a miss."""
    for similarity, cached, right in lookup.entries[: CANDIDATES if retry else 1]:
        if similarity < floor:
            return None
        if judge is None or judge.accepts(lookup.asked, cached):
            return similarity, right
    return None


def interval(
    plain: NDArray[np.float64],
    verified: NDArray[np.float64],
    units: NDArray[np.int64],
    measure: Callable[[NDArray[np.float64]], float],
) -> tuple[float, float]:
    """The 95 % interval of the difference of a measure of summed columns, by paired bootstrap."""
    _, place = np.unique(units, return_inverse=True)
    count = int(place.max()) + 1
    sums = [np.zeros((count, columns.shape[1])) for columns in (plain, verified)]
    for total, columns in zip(sums, (plain, verified), strict=True):
        np.add.at(total, place, columns)
    random = np.random.default_rng(7)
    differences: list[float] = []
    for _ in range(1000):
        drawn = np.bincount(random.integers(0, count, count), minlength=count).astype(float)
        differences.append(measure(drawn @ sums[1]) - measure(drawn @ sums[0]))
    low, high = np.nanpercentile(differences, [2.5, 97.5])
    return float(low), float(high)


def ratio(part: int, whole: int) -> Callable[[NDArray[np.float64]], float]:
    """A measure: one column's sum over another's."""
    return lambda sums: float(sums[part] / sums[whole]) if sums[whole] else float("nan")


MEASURES = {
    "wrong served": ratio(0, 2),
    "right served": ratio(1, 3),
    "precision": ratio(1, 4),
}


def report_pairs(
    name: str, pairs: list[Pair], scores: NDArray[np.float64], judge: Judge, threshold: float
) -> dict[str, float]:
    """Print the measures of a set of pairs; return those with the verifier."""
    hits = scores >= threshold
    accepted = np.array(
        [
            is_hit and judge.accepts(pair.asked, pair.cached)
            for pair, is_hit in zip(pairs, hits, strict=True)
        ]
    )
    equal = np.array([pair.equal for pair in pairs])
    units = np.array([pair.unit for pair in pairs])
    columns = [
        np.column_stack([served & ~equal, served & equal, ~equal, equal, served]).astype(float)
        for served in (hits, accepted)
    ]
    print(f"\n{name}: {len(pairs)} pairs, {int(equal.sum())} equal")
    found: dict[str, float] = {}
    for measure_name, measure in MEASURES.items():
        before, after = (measure(column.sum(axis=0)) for column in columns)
        low, high = interval(columns[0], columns[1], units, measure)
        found[measure_name] = after
        print(f"  {measure_name:<14} {before:.3f} -> {after:.3f}   [{low:+.3f}, {high:+.3f}]")
    if any(pair.kind for pair in pairs):
        report_kinds(pairs, hits, accepted)
    return found


def report_kinds(pairs: list[Pair], hits: NDArray[np.bool_], accepted: NDArray[np.bool_]) -> None:
    """Print the share that is served of each kind."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for pair, plain, verified in zip(pairs, hits, accepted, strict=True):
        counts[pair.kind].update(all=1, plain=int(plain), verified=int(verified))
    print("  served by kind     pairs  plain  verified")
    for kind, count in sorted(counts.items(), key=lambda item: -item[1]["all"]):
        if count["all"] >= 10:
            shares = (count[column] / count["all"] for column in ("plain", "verified"))
            print(f"    {kind:<16} {count['all']:>5}  " + "  ".join(f"{x:>5.2f}" for x in shares))


def curve(
    results: list[tuple[float, bool] | None], paraphrases: int
) -> tuple[float, dict[float, float]]:
    """The area under precision over hit ratio, and the right hits at each precision."""
    served = sorted((result for result in results if result), key=lambda result: -result[0])
    right = np.cumsum([result[1] for result in served]) if served else np.zeros(0)
    ranks = np.arange(1, len(served) + 1)
    precision = right / ranks
    last = right[-1] if served else 0
    tail = last / np.arange(len(served) + 1, len(results) + 1)
    # Equal similarities stand or fall together.
    ends = np.array(
        [i for i in range(len(served)) if i + 1 == len(served) or served[i][0] != served[i + 1][0]],
        int,
    )
    at = {
        p: max((right[i] / paraphrases for i in ends if precision[i] >= p), default=0.0)
        for p in (0.90, 0.95, 0.98)
    }
    return float(np.concatenate([precision, tail]).mean()), at


def report_cache(
    name: str, asked: list[Lookup], judge: Judge, threshold: float, floor: float
) -> dict[str, float]:
    """Print the measures of a set for a cache; return those with the verifier."""
    paraphrases = sum(lookup.paraphrase for lookup in asked)
    print(f"\n{name}: {len(asked)} lookups, {paraphrases} of them paraphrases")
    columns: dict[str, NDArray[np.float64]] = {}
    for way, chosen, retry in (
        ("plain", None, False),
        ("nearest", judge, False),
        ("retried", judge, True),
    ):
        results = [hit(lookup, chosen, threshold, retry=retry) for lookup in asked]
        wrong = np.array([result is not None and not result[1] for result in results])
        right = np.array([result is not None and result[1] for result in results])
        columns[way] = np.column_stack([wrong, right, wrong | right]).astype(float)
        precision = right.sum() / max(1, (wrong | right).sum())
        print(
            f"  {way:<8} right hits {right.sum():>4}  wrong hits {wrong.sum():>3}  "
            f"precision {precision:.3f}"
        )
    kept = columns["retried"][:, 1].sum() / columns["plain"][:, 1].sum()
    units = np.arange(len(asked))
    low, high = interval(columns["plain"], columns["retried"], units, ratio(1, 2))
    print(f"  right natural hits kept {kept:.3f}; precision [{low:+.3f}, {high:+.3f}]")
    for way, chosen in (("plain", None), ("verified", judge)):
        area, at = curve(
            [hit(lookup, chosen, floor, retry=chosen is not None) for lookup in asked], paraphrases
        )
        shares = "  ".join(f"{p:.2f}: {share:.3f}" for p, share in at.items())
        print(f"  {way:<8} P-CHR area {area:.3f}; right hits at precision {shares}")
    return {"kept": float(kept)}


def report_rules(sets: dict[str, list[Pair]], model: Judge) -> None:
    """Print what each rule removes, alone and of what the model accepts."""
    print("\nWrong / right hits that a rule removes, and of those that the model accepts:")
    print("  rule          " + "".join(f"{name:>22}" for name in sets) + "   after the model")
    for name in RULES:
        rule = RuleVerifier([name])
        line, total = "", [0, 0]
        for pairs in sets.values():
            alone, beyond = [0, 0], [0, 0]
            for pair in pairs:
                if not rule.verify(pair.asked, [pair.cached])[0].accepted:
                    alone[pair.equal] += 1
                    if model.accepts(pair.asked, pair.cached):
                        beyond[pair.equal] += 1
                        total[pair.equal] += 1
            line += f"{alone[0]:>8}/{alone[1]:<3}({beyond[0]:>2}/{beyond[1]:<2})   "
        used = "auto" if name in AUTO_RULES else ""
        print(f"  {name:<12}  {line} {total[0]:>3}/{total[1]:<3} {used}")


def report_languages(path: Path) -> None:
    """Print how well the model tells equal pairs from others, by language."""
    model = PairModelVerifier(remember=0)
    scores: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for line in path.read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        probability = model.probability(pair["one"], pair["other"])
        scores[pair["language"]][pair["equal"]].append(probability or 0.0)
    print(
        "\nThe model by language: chance that an equal pair has a greater probability than another"
    )
    for language, (different, equal) in scores.items():
        won = [(one > other) + (one == other) / 2 for one in equal for other in different]
        print(f"  {language}  {sum(won) / len(won):.2f}   {len(equal)} equal, {len(different)} not")


def report_time() -> None:
    """Print the milliseconds that a verdict takes on one thread."""
    asked = "how do i change the shipping address of my last order"
    cached = "can i change the delivery address of my previous order"
    print("\nMilliseconds for two prompts of 10 words, one thread, median (least):")
    model = PairModelVerifier(remember=0)
    remembering = PairModelVerifier()
    remembering.verify(asked, [cached])
    rules = RuleVerifier()
    for name, judge in (
        ("rules", lambda: rules.verify(asked, [cached])),
        ("model, one order", lambda: model.probability(asked, cached)),
        ("model, remembered", lambda: remembering.verify(asked, [cached])),
    ):
        times: list[float] = []
        for _ in range(200):
            started = time.perf_counter()
            judge()
            times.append(1000 * (time.perf_counter() - started))
        print(f"  {name:<18} {statistics.median(times):.3f} ({min(times):.3f})")


def check(results: dict[str, dict[str, float]]) -> bool:
    """Print whether the operating point is met; return whether it is."""
    near, chat = results["near misses"], results["ChatGPT pairs"]
    goals = [
        ("near misses served at most .08", near["wrong served"], -0.08),
        ("paraphrases served at least .42", near["right served"], 0.42),
        ("ChatGPT pairs: precision at least .92", chat["precision"], 0.92),
        ("ChatGPT pairs: recall at least .78", chat["right served"], 0.78),
        ("QQP-1k: right natural hits kept at least .92", results["QQP-1k"]["kept"], 0.92),
        ("BANKING77: right natural hits kept at least .80", results["BANKING77"]["kept"], 0.80),
        ("CLINC150: right natural hits kept at least .85", results["CLINC150"]["kept"], 0.85),
    ]
    print("\nOperating point:")
    met = True
    for name, value, goal in goals:
        good = value <= -goal if goal < 0 else value >= goal
        met &= good
        print(f"  {'met' if good else 'NOT MET':<8} {name}: {value:.3f}")
    return met


def above(pairs: Iterable[Pair], scores: Iterable[float], threshold: float) -> list[Pair]:
    """The pairs that are hits without a verifier."""
    return [pair for pair, score in zip(pairs, scores, strict=True) if score >= threshold]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--near-misses", type=Path, default=NEAR_MISSES)
    parser.add_argument("--verifier", default="auto", help='"rules", "model" or "auto"')
    parser.add_argument("--similarity", type=float, default=0.9, help="the threshold")
    parser.add_argument("--floor", type=float, default=0.85, help="least threshold of curves")
    parser.add_argument(
        "--limit", type=int, help="rows of each set of pairs, lookups of each cache"
    )
    parser.add_argument("--rules", action="store_true", help="the table of rules")
    parser.add_argument("--vectors", type=Path, help="a file that remembers vectors between runs")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"no directory {arguments.data}")
    vectors = Vectors(arguments.vectors)
    verifier = create_verifier(arguments.verifier)
    assert verifier is not None
    judge = Judge(VerifierChain([IdentityVerifier(vectors.embedder), verifier]))
    threshold = arguments.similarity
    print(f"{vectors.embedder.model_id}, {verifier.model_id}, similarity {threshold}")
    pair_sets = {"near misses": near_misses(arguments.near_misses)}
    pair_sets |= {
        name: labelled_pairs(arguments.data / file, arguments.limit) for name, file in PAIRS.items()
    }
    results: dict[str, dict[str, float]] = {}
    plain_hits: dict[str, list[Pair]] = {}
    for name, pairs in pair_sets.items():
        scores = similarities(vectors, pairs)
        results[name] = report_pairs(name, pairs, scores, judge, threshold)
        plain_hits[name] = above(pairs, scores, threshold)
    for name, file in CACHES.items():
        asked = lookups(vectors, arguments.data / file, arguments.limit)
        results[name] = report_cache(name, asked, judge, threshold, arguments.floor)
        plain_hits[name] = [
            Pair(lookup.asked, lookup.entries[0][1], lookup.entries[0][2], "", 0)
            for lookup in asked
            if lookup.entries[0][0] >= threshold
        ]
    if arguments.rules:
        report_rules(plain_hits, Judge(PairModelVerifier(remember=0)))
    report_languages(LANGUAGES)
    report_time()
    return 0 if check(results) else 1


if __name__ == "__main__":
    sys.exit(main())
