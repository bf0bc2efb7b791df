"""Right and wrong hits of other caches' ways to decide, with this project's vectors.

    uv run --with "semanticmemo[ml]" --with waggle-cache --with recalq-guard \
        benchmarks/hit_quality_peers.py [--vectors FILE]

A peer that is not installed is left out, and the output says so. Each decides about the same
candidates: the five nearest entries by the vectors of `MiniLMEmbedder`, with the defaults of the
peer. benchmarks/thresholds.py defines the sets and the averages.

RedisVL 0.28, GPTCache 0.1.44
    Only their default thresholds: a cosine distance of 0.1, which is a similarity of .95; and 0.8
    of the range of squared Euclidean distances, which is a cosine of .6 and a similarity of .8.
    Neither is meant for these vectors only.
waggle-cache 0.4
    A cosine of .85, and the verifier that is on by default.
recalq-guard 0.1
    A guard without a threshold of its own: here beside a similarity of 0.9.
semanticmemo 2.0
    The classifier that comes with it, which was trained on vectors of the same model, at .95. It
    ranks the five candidates by itself and has no threshold of the cosine. Below .995 the detector
    of changed entities follows; where it fails, which it does on some names of drugs, there is no
    hit. The rules for opposite actions are private and left out.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from hit_quality import Judge, Lookup, Vectors, hit
from thresholds import named_sets

from langcache.engine.verify import (
    PLAIN_SIMILARITY,
    VERIFIED_SIMILARITY,
    IdentityVerifier,
    VerifierChain,
    create_verifier,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from thresholds import Set

Decision: TypeAlias = "Callable[[Lookup], bool | None]"


def at(similarity: float, accepts: Callable[[str, str], bool] | None = None) -> Decision:
    """Serve the nearest entry from a threshold on that a check accepts: right, wrong or a miss."""

    def decide(lookup: Lookup) -> bool | None:
        for found, cached, right in lookup.entries:
            if found < similarity:
                return None
            if accepts is None or accepts(lookup.asked, cached):
                return right
        return None

    return decide


def waggle(_: Vectors) -> Decision:
    """The decision of waggle-cache."""
    verifier: Any = import_module("waggle.verifier").DeterministicVerifier
    return at((1 + 0.85) / 2, verifier.text_compatible)


def recalq_guard(_: Vectors) -> Decision:
    """The decision of recalq-guard."""
    return at(PLAIN_SIMILARITY, import_module("recalq_guard").is_safe_match)


def semanticmemo(vectors: Vectors) -> Decision:
    """The decision of semanticmemo."""
    path = import_module("semanticmemo.resources").bundled_classifier_path()
    service: Any = import_module("semanticmemo.classifier").ClassifierService(path, threshold=0.95)
    detector: Any = import_module("semanticmemo.entity_change_detection").EntityChangeDetector()

    def decide(lookup: Lookup) -> bool | None:
        asked = vectors.of([lookup.asked])[0]
        cached = vectors.of([prompt for _, prompt, _ in lookup.entries])
        probabilities = service.predict_batch([(asked, vector) for vector in cached])
        best = int(np.argmax(probabilities))
        _, prompt, right = lookup.entries[best]
        if probabilities[best] < service.threshold:
            return None
        if probabilities[best] < 0.995:
            try:
                if detector.detect(lookup.asked, prompt).entity_changed:
                    return None
            except StopIteration:
                return None
        return right

    return decide


PEERS = {"waggle-cache": waggle, "recalq-guard": recalq_guard, "semanticmemo": semanticmemo}


def report(name: str, sets: dict[str, Set], decide: Decision) -> None:
    """Print right hits, wrong hits and precision of each set, and the averages."""
    precisions: list[float] = []
    shares: list[float] = []
    text = f"{name:<28}"
    for chosen in sets.values():
        results = [decide(lookup) for lookup in chosen.lookups]
        right, wrong = results.count(True), results.count(False)
        precisions.append(right / max(1, right + wrong))
        shares.append(right / chosen.answerable)
        text += f"{right:>7} {wrong:>4} {precisions[-1]:.3f}"
    print(text + f"{np.mean(precisions):>12.3f} {np.mean(shares):.3f}", flush=True)


def report_peer(name: str, sets: dict[str, Set], vectors: Vectors) -> None:
    """Print what a peer decides, or that it is not installed."""
    try:
        decide = PEERS[name](vectors)
    except ImportError as error:
        print(f"{name:<28}not installed: {error}")
    else:
        report(f"{name} {version(name)}", sets, decide)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--limit", type=int, help="lookups of each set")
    parser.add_argument("--vectors", type=Path, help="a file that remembers vectors between runs")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"no directory {arguments.data}")
    vectors = Vectors(arguments.vectors)
    sets = named_sets(vectors, arguments.data, arguments.limit)
    print(f"{vectors.embedder.model_id}: right hits, wrong hits, precision; averages")
    print(" " * 28 + "".join(f"{name:>17}" for name in sets) + "   macro-averaged")
    report("GPTCache (similarity .80)", sets, at(0.8))
    report("RedisVL (similarity .95)", sets, at(0.95))
    for name in PEERS:
        report_peer(name, sets, vectors)
    report(f"plain ({PLAIN_SIMILARITY})", sets, at(PLAIN_SIMILARITY))
    verifier = create_verifier("auto")
    assert verifier is not None
    judge = Judge(VerifierChain([IdentityVerifier(vectors.embedder), verifier]))

    def ours(lookup: Lookup) -> bool | None:
        served = hit(lookup, judge, VERIFIED_SIMILARITY, retry=True)
        return None if served is None else served[1]

    report(f'"auto" ({VERIFIED_SIMILARITY})', sets, ours)
    return 0


if __name__ == "__main__":
    sys.exit(main())
