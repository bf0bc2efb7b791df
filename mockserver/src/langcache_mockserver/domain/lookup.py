"""A lookup of a cache, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langcache.engine.explanation import Outcome
    from langcache.engine.storage import CacheEntry, Match
    from langcache.engine.verify import Verdict


class Lookup(NamedTuple):
    """What a search asks for.

    Attributes:
        prompt: The prompt.
        threshold: The least similarity of a semantic hit, `(1 + cosine) / 2`; None for the server's
            default.
        strategies: `exact` or `semantic`, in order of priority: the hits of an earlier strategy
            come first, and later ones add what is missing.
        attributes: Only entries that have all of these are hits.
        max_results: How many hits to return at most.
        verify: The name of the verifier, or `off`; None for the server's default.
    """

    prompt: str
    threshold: float | None = None
    strategies: tuple[str, ...] = ("semantic",)
    attributes: Mapping[str, str] | None = None
    max_results: int = 1
    verify: str | None = None


class Hit(NamedTuple):
    """An entry that a lookup found.

    Attributes:
        entry: The entry.
        similarity: Its similarity to the prompt, `(1 + cosine) / 2`; 1 for an exact hit.
        strategy: The strategy that found it, `exact` or `semantic`.
    """

    entry: CacheEntry
    similarity: float
    strategy: str


class Best(NamedTuple):
    """The entry that decided what a semantic search came to.

    Attributes:
        match: The entry that may be served, else the nearest one.
        verdict: What the checks decided; None for an entry that does not reach the threshold.
    """

    match: Match
    verdict: Verdict | None


@dataclass(slots=True, eq=False)  # frozen, it would take three times as long to make
class LookupResult:
    """The result of a lookup.

    Attributes:
        hits: The hits, best first within a strategy.
        outcome: `hit`; `rejected`, if what reached the threshold of a semantic search was turned
            down; `near_miss`, if a semantic search found nothing but an entry that falls short of
            the threshold by 0.05 at most; or `miss`.
        best: The entry that decided, after a semantic search that found one.
        failed: Whether a verifier has failed, so that the same lookup may come to something else.
        written: The response with the hits, as JSON, once it has been written.
    """

    hits: list[Hit]
    outcome: Outcome
    best: Best | None = None
    failed: bool = False
    written: bytes | None = None


def characters_of(entry: CacheEntry) -> int:
    """Return the number of characters in the texts of an entry."""
    characters = len(entry.prompt) + len(entry.response)
    for name, value in entry.attributes.items():
        characters += len(name) + len(value)
    return characters
