"""Lookups made of labelled prompts: the similarity of each, and what the verifier says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from langcache.engine.tuning.lookups import RecordedLookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import Embedder
    from langcache.engine.tuning.labelled_file import CacheRow, LabelledFile, LabelledPair
    from langcache.engine.tuning.lookups import Label

__all__ = ["lookups_of", "lookups_of_cache", "lookups_of_pairs"]

_TEXTS_AT_ONCE = 256


class _Verdict(Protocol):
    @property
    def accepted(self) -> bool: ...
    @property
    def probability(self) -> float | None: ...
    @property
    def reason(self) -> str: ...


class Verifier(Protocol):
    """What is asked of a verifier here: `langcache.engine.verify.Verifier` without its twin."""

    def verify(self, prompt: str, candidates: Sequence[str]) -> Sequence[_Verdict]:
        """Return a verdict for each candidate, in their order."""
        ...


def lookups_of(
    file: LabelledFile, embedder: Embedder, verifier: Verifier | None = None
) -> list[RecordedLookup]:
    """Return the lookups of a file, whatever it holds.

    Recorded lookups are returned as they are: their similarities and verdicts are those of the
    embedder and the verifier that made them.

    Args:
        file: What `read_labelled` read.
        embedder: What the similarities come from.
        verifier: What may turn candidates down; None for nothing.
    """
    if file.content == "pairs":
        return lookups_of_pairs(file.pairs, embedder, verifier)
    if file.content == "cache":
        return lookups_of_cache(file.rows, embedder, verifier)
    return file.lookups


def lookups_of_pairs(
    pairs: Iterable[LabelledPair], embedder: Embedder, verifier: Verifier | None = None
) -> list[RecordedLookup]:
    """Return one lookup for each pair, as if only its candidate were cached.

    Args:
        pairs: Labelled pairs of prompts.
        embedder: What the similarities come from.
        verifier: What may turn candidates down; None for nothing.
    """
    pairs = list(pairs)
    places = {
        text: place
        for place, text in enumerate(
            dict.fromkeys(text for pair in pairs for text in (pair.prompt, pair.candidate))
        )
    }
    vectors = _embedded(list(places), embedder)
    lookups: list[RecordedLookup] = []
    for pair in pairs:
        prompt, candidate = vectors[places[pair.prompt]], vectors[places[pair.candidate]]
        similarity = _similarity(float(np.dot(prompt.astype(np.float64), candidate)))
        verdict = _UNVERIFIED
        if verifier is not None:
            verdict = verifier.verify(pair.prompt, [pair.candidate])[0]
        lookups.append(
            RecordedLookup(
                similarity=similarity,
                label="right" if pair.same else "wrong",
                accepted=verdict.accepted,
                scope=pair.scope,
                kind=pair.kind,
                probability=verdict.probability,
                reason=verdict.reason,
                answerable=pair.same,
                prompt=pair.prompt,
                candidate=pair.candidate,
            )
        )
    return lookups


def lookups_of_cache(
    rows: Iterable[CacheRow],
    embedder: Embedder,
    verifier: Verifier | None = None,
    *,
    candidates: int = 5,
) -> list[RecordedLookup]:
    """Return the lookups of all prompts that are not cached, in a cache of those that are.

    Without a verifier a lookup finds the nearest cached prompt. With one it finds the nearest of
    those that the verifier accepts, or the nearest of all, turned down, when it accepts none.

    Args:
        rows: The prompts of the cache and of the lookups.
        embedder: What the similarities come from.
        verifier: What may turn candidates down; None for nothing.
        candidates: How many of the nearest cached prompts the verifier is shown, 1 or more.

    Raises:
        ValueError: There is no cached prompt, or `candidates` is below 1.
    """
    if candidates < 1:
        raise ValueError(f"candidates: must be at least 1, got {candidates}")
    rows = list(rows)
    cached = [row for row in rows if row.kind == "cache"]
    asked = [row for row in rows if row.kind != "cache"]
    if not cached:
        raise ValueError("rows: must have a row of kind cache")
    vectors = _embedded([row.text for row in cached], embedder)
    shown = 1 if verifier is None else min(candidates, len(cached))
    lookups: list[RecordedLookup] = []
    for start in range(0, len(asked), _TEXTS_AT_ONCE):
        part = asked[start : start + _TEXTS_AT_ONCE]
        cosines: NDArray[np.float32] = np.inner(embedder.embed([row.text for row in part]), vectors)
        for row, products in zip(part, cosines, strict=True):
            nearest = _nearest(products, shown)
            verdicts: Sequence[_Verdict] = [_UNVERIFIED]
            if verifier is not None:
                verdicts = verifier.verify(row.text, [cached[place].text for place in nearest])
            chosen = next((at for at, verdict in enumerate(verdicts) if verdict.accepted), 0)
            found = cached[nearest[chosen]]
            answerable = row.kind == "paraphrase"
            label: Label = "right" if answerable and found.group == row.group else "wrong"
            lookups.append(
                RecordedLookup(
                    similarity=_similarity(float(products[nearest[chosen]])),
                    label=label,
                    accepted=verdicts[chosen].accepted,
                    kind=row.kind,
                    probability=verdicts[chosen].probability,
                    reason=verdicts[chosen].reason,
                    answerable=answerable,
                    prompt=row.text,
                    candidate=found.text,
                )
            )
    return lookups


class _Unverified(NamedTuple):
    accepted: bool = True
    probability: float | None = None
    reason: str = ""


_UNVERIFIED = _Unverified()


def _embedded(texts: list[str], embedder: Embedder) -> NDArray[np.float32]:
    """Embed many texts, some at a time."""
    vectors = np.empty((len(texts), embedder.dimensions), np.float32)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = texts[start : start + _TEXTS_AT_ONCE]
        vectors[start : start + len(part)] = embedder.embed(part)
    return vectors


def _nearest(cosines: NDArray[np.float32], count: int) -> list[int]:
    """Return the places of the largest, the largest first, and of equal ones the first."""
    return np.argsort(-cosines, kind="stable")[:count].tolist()


def _similarity(cosine: float) -> float:
    return min(1.0, max(0.0, (1.0 + cosine) / 2.0))
