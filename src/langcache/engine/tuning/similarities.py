"""Lookups made of labelled prompts: the similarity of each, and what the verifier says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from langcache.engine.judge import SPARE_CANDIDATES
from langcache.engine.storage.base import similarity_of
from langcache.engine.tuning.lookups import RecordedLookup
from langcache.engine.verify import IdentityVerifier, VerifierChain, create_verifier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import Embedder
    from langcache.engine.tuning.labelled_file import CacheRow, LabelledFile, LabelledPair
    from langcache.engine.tuning.lookups import Label
    from langcache.engine.verify import Verifier

__all__ = ["lookups_of", "lookups_of_cache", "lookups_of_pairs"]

_TEXTS_AT_ONCE = 256


def lookups_of(
    file: LabelledFile, embedder: Embedder, verifier: Verifier | str | None = None
) -> list[RecordedLookup]:
    """Return the lookups of a file, whatever it holds.

    Recorded lookups are returned as they are: their similarities and verdicts are those of the
    embedder and the verifier that made them.

    Args:
        file: What `read_labelled` read.
        embedder: What the similarities come from.
        verifier: What may turn candidates down: an object, a string for `create_verifier`, or None.
            What the embedder cannot tell apart is turned down in any case, as in the caches; see
            `IdentityVerifier`.
    """
    if file.content == "pairs":
        return lookups_of_pairs(file.pairs, embedder, verifier)
    if file.content == "cache":
        return lookups_of_cache(file.rows, embedder, verifier)
    return file.lookups


def lookups_of_pairs(
    pairs: Iterable[LabelledPair], embedder: Embedder, verifier: Verifier | str | None = None
) -> list[RecordedLookup]:
    """Return one lookup for each pair, as if only its candidate were cached.

    Args:
        pairs: Labelled pairs of prompts.
        embedder: What the similarities come from.
        verifier: What may turn candidates down: an object, a string for `create_verifier`, or None.
            What the embedder cannot tell apart is turned down in any case, as in the caches; see
            `IdentityVerifier`.
    """
    pairs = list(pairs)
    chain = _chain(embedder, verifier)
    places = {
        text: place
        for place, text in enumerate(
            dict.fromkeys(text for pair in pairs for text in (pair.prompt, pair.cached_prompt))
        )
    }
    vectors = _embedded(list(places), embedder)
    lookups: list[RecordedLookup] = []
    for pair in pairs:
        prompt, candidate = vectors[places[pair.prompt]], vectors[places[pair.cached_prompt]]
        similarity = similarity_of(float(np.dot(prompt.astype(np.float64), candidate)))
        (verdict,) = chain.verify(pair.prompt, [pair.cached_prompt], similarities=[similarity])
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
                cached_prompt=pair.cached_prompt,
            )
        )
    return lookups


def lookups_of_cache(
    rows: Iterable[CacheRow],
    embedder: Embedder,
    verifier: Verifier | str | None = None,
    *,
    candidates: int = 1 + SPARE_CANDIDATES,
) -> list[RecordedLookup]:
    """Return the lookups of all prompts that are not cached, in a cache of those that are.

    A lookup finds the nearest of the cached prompts that are not turned down, or the nearest of
    all, turned down, when there is none.

    Args:
        rows: The prompts of the cache and of the lookups.
        embedder: What the similarities come from.
        verifier: What may turn candidates down: an object, a string for `create_verifier`, or None.
            What the embedder cannot tell apart is turned down in any case, as in the caches; see
            `IdentityVerifier`.
        candidates: How many of the nearest cached prompts are looked at, 1 or more.

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
    chain = _chain(embedder, verifier)
    lookups: list[RecordedLookup] = []
    for start in range(0, len(asked), _TEXTS_AT_ONCE):
        part = asked[start : start + _TEXTS_AT_ONCE]
        cosines: NDArray[np.float32] = np.inner(embedder.embed([row.text for row in part]), vectors)
        for row, products in zip(part, cosines, strict=True):
            nearest = _nearest(products, candidates)
            similarities = [similarity_of(float(products[place])) for place in nearest]
            verdicts = chain.verify(
                row.text, [cached[place].text for place in nearest], similarities=similarities
            )
            chosen = next((at for at, verdict in enumerate(verdicts) if verdict.accepted), 0)
            found = cached[nearest[chosen]]
            answerable = row.kind == "paraphrase"
            label: Label = "right" if answerable and found.group == row.group else "wrong"
            lookups.append(
                RecordedLookup(
                    similarity=similarities[chosen],
                    label=label,
                    accepted=verdicts[chosen].accepted,
                    kind=row.kind,
                    probability=verdicts[chosen].probability,
                    reason=verdicts[chosen].reason,
                    answerable=answerable,
                    prompt=row.text,
                    cached_prompt=found.text,
                )
            )
    return lookups


def _chain(embedder: Embedder, verifier: Verifier | str | None) -> VerifierChain:
    """Return what a cache asks about its candidates."""
    made = create_verifier(verifier)
    identity = IdentityVerifier(embedder)
    return VerifierChain([identity] if made is None else [identity, made])


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
