"""What hits saved: counted by a provider or estimated, from the lookups that are kept."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langcache_mockserver.domain.lookups import LookupRecord

CHARACTERS_PER_TOKEN = 4
"""How many characters count as one token: a rule of thumb for English."""


class Durations(NamedTuple):
    """How long lookups took, in seconds: half of them at most `p50`, 99 % at most `p99`."""

    p50: float
    p99: float


class Savings(NamedTuple):
    """What the hits of one cache saved.

    Attributes:
        cache_id: The cache.
        lookups: How many lookups are counted.
        hits: How many of them were hits.
        prompt_tokens: The tokens of the prompts that no model had to read: as the provider counted
            them, or estimated.
        response_tokens: The tokens of the responses that no model had to write, likewise.
        hit_durations: How long the hits took; None if there was none.
        miss_durations: How long the other lookups took; None if there was none.
        answer_seconds: The median time from a lookup that was no hit until its response was stored;
            None if that did not happen. A caller that asks a model in between takes so long.
    """

    cache_id: str
    lookups: int
    hits: int
    prompt_tokens: int
    response_tokens: int
    hit_durations: Durations | None
    miss_durations: Durations | None
    answer_seconds: float | None


def savings_of(
    lookups: Iterable[LookupRecord], answers: Iterable[tuple[str, float]]
) -> list[Savings]:
    """Return what hits saved, by cache; the cache with the most hits first.

    Args:
        lookups: The lookups.
        answers: The caches where a lookup that was no hit was answered, and the seconds it took.
    """
    by_cache: dict[str, list[LookupRecord]] = {}
    for lookup in lookups:
        by_cache.setdefault(lookup.cache_id, []).append(lookup)
    seconds: dict[str, list[float]] = {}
    for cache_id, duration in answers:
        seconds.setdefault(cache_id, []).append(duration)
    savings = [
        _of_cache(cache_id, some, seconds.get(cache_id, ())) for cache_id, some in by_cache.items()
    ]
    return sorted(savings, key=lambda each: each.hits, reverse=True)


def _of_cache(cache_id: str, lookups: Sequence[LookupRecord], answers: Sequence[float]) -> Savings:
    hits = [each for each in lookups if each.outcome == "hit"]
    saved = [each.saved_tokens or _estimated(each) for each in hits]
    return Savings(
        cache_id,
        len(lookups),
        len(hits),
        sum(read for read, _ in saved),
        sum(written for _, written in saved),
        _durations([each.seconds for each in hits]),
        _durations([each.seconds for each in lookups if each.outcome != "hit"]),
        statistics.median(answers) if answers else None,
    )


def _estimated(hit: LookupRecord) -> tuple[int, int]:
    return _tokens(len(hit.prompt)), _tokens(hit.response_characters)


def _tokens(characters: int) -> int:
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def _durations(seconds: list[float]) -> Durations | None:
    if not seconds:
        return None
    seconds.sort()
    p50, p99 = (seconds[math.ceil(share * len(seconds)) - 1] for share in (0.5, 0.99))
    return Durations(p50, p99)
