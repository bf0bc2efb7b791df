"""Rules of `search`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import DepartureError, NotCheckedError, require
from langcache_mockserver.contract.probe import EVERYTHING, EXACT, SEMANTIC
from langcache_mockserver.contract.rule import Certainty, rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langcache_mockserver.contract.probe import Found, Probe

# Prompts by their nearness to the first one: a paraphrase, and others of other subjects.
_PROMPT = "How tall is the lighthouse of {}?"
_PARAPHRASE = "What is the height of the lighthouse of {}?"
_OTHERS = (
    "Which bread goes well with onion soup {}?",
    "List the steps to renew a passport {}.",
    "Why do cats sleep so much {}?",
)
_SAME = 0.999  # the similarity of a text and itself, rounding aside
_LEAST_OF_UNRELATED = 0.35  # (1 + cosine) / 2 of unrelated texts is about 0.5, their cosine about 0
_STEP = 1e-4  # between a similarity and a threshold that is clearly on one side of it


@rule("search.miss")
def miss(probe: Probe) -> None:
    """A search without a match is a 200 with an empty list."""
    for strategy in (EXACT, SEMANTIC):
        found = probe.search(probe.unique("Nobody has ever asked {} {{}}"), strategy, threshold=1)
        require(not found, f"no entry by {strategy[0]}", f"{len(found)} entries")


@rule("search.semantic")
def semantic(probe: Probe) -> None:
    """A semantic search finds the same prompt, with a similarity of 1 and the strategy's name."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    entry = _the(stored, probe.search(prompt))
    require(entry.similarity >= _SAME, "a similarity of 1", entry.similarity)
    require(entry.strategy == "semantic", "the strategy semantic", entry.strategy[:20])


@rule("search.default-strategy", Certainty.UNCERTAIN)
def default_strategy(probe: Probe) -> None:
    """A search that names no strategy is semantic."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    entry = _the(stored, probe.search(prompt, None))
    require(entry.strategy == "semantic", "the strategy semantic", entry.strategy[:20])


@rule("search.meaning")
def meaning(probe: Probe) -> None:
    """A paraphrase is nearer than a prompt of another subject."""
    prompt, same, others = _store_family(probe)
    found = _everything(probe, prompt, [same, *others])
    nearest = max(found[other].similarity for other in others)
    require(
        found[same].similarity > nearest,
        f"a similarity of more than {nearest}",
        found[same].similarity,
    )


@rule("search.order")
def order(probe: Probe) -> None:
    """The entries that a semantic search finds are in descending order of similarity."""
    prompt, _, _ = _store_family(probe)
    probe.store(prompt)
    similarities = [
        each.similarity for each in probe.search(prompt, threshold=0, max_results=EVERYTHING)
    ]
    require(len(similarities) >= 2, "several entries", f"{len(similarities)} entries")
    descending = sorted(similarities, reverse=True)
    require(similarities == descending, "descending similarity", similarities[:10])


@rule("search.normalised")
def normalised(probe: Probe) -> None:
    """Similarity is (1 + cosine) / 2, so about one half for unrelated prompts, and from 0 to 1."""
    prompt, _, others = _store_family(probe)
    found = _everything(probe, prompt, others)
    outside = [each.similarity for each in found.values() if not 0 <= each.similarity <= 1]
    require(not outside, "similarities from 0 to 1", outside[:3])
    mean = sum(found[other].similarity for other in others) / len(others)
    require(mean >= _LEAST_OF_UNRELATED, "about 0.5 for unrelated prompts", round(mean, 3))


@rule("search.threshold")
def threshold(probe: Probe) -> None:
    """An entry is found as far as its similarity reaches the threshold, and no further."""
    prompt, same, others = _store_family(probe)
    for each in (same, others[0]):
        similarity = _everything(probe, prompt, [each])[each].similarity
        below, above = max(similarity - _STEP, 0), min(similarity + _STEP, 1)
        reached = probe.search(prompt, threshold=below, max_results=EVERYTHING)
        _the(each, reached)
        too_low = [entry.similarity for entry in reached if entry.similarity < below - _STEP]
        require(not too_low, f"similarities of at least {below}", too_low[:3])
        found = _ids(probe.search(prompt, threshold=above, max_results=EVERYTHING))
        require(each not in found, f"no entry of similarity {similarity} at {above}", "one")


@rule("search.threshold-zero")
def threshold_zero(probe: Probe) -> None:
    """A threshold of 0 finds every entry."""
    prompt, same, others = _store_family(probe)
    _everything(probe, prompt, [same, *others])


@rule("search.threshold-one")
def threshold_one(probe: Probe) -> None:
    """A threshold of 1 finds no paraphrase."""
    prompt, same, others = _store_family(probe)
    found = _ids(probe.search(prompt, threshold=1, max_results=EVERYTHING))
    require(not found & {same, *others}, "no entry of another prompt", "one")


@rule("search.threshold-one-same", Certainty.UNCERTAIN)
def threshold_one_same(probe: Probe) -> None:
    """A threshold of 1 finds the same prompt."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    _the(stored, probe.search(prompt, threshold=1))


@rule("search.exact")
def exact(probe: Probe) -> None:
    """An exact search finds the same prompt ignoring case, with a similarity of 1."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    for asked in (prompt, prompt.upper(), prompt.lower()):
        entry = _the(stored, probe.search(asked, EXACT))
        require(entry.similarity == 1, "a similarity of 1", entry.similarity)
        require(entry.strategy == "exact", "the strategy exact", entry.strategy[:20])


@rule("search.exact-only")
def exact_only(probe: Probe) -> None:
    """An exact search finds the whole prompt only, whatever the threshold."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    for asked in (prompt.rstrip("?"), prompt.split()[-1], f"{prompt} Tell me"):
        found = _ids(probe.search(asked, EXACT, threshold=0, max_results=EVERYTHING))
        require(stored not in found, "no entry of another prompt", "one")


@rule("search.priority")
def priority(probe: Probe) -> None:
    """The strategies are an order of priority."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    for strategies in (("exact", "semantic"), ("semantic", "exact")):
        entry = _the(stored, probe.search(prompt, strategies))
        expected = f"{strategies[0]} for {' before '.join(strategies)}"
        require(entry.strategy == strategies[0], expected, entry.strategy[:20])


@rule("search.fallback")
def fallback(probe: Probe) -> None:
    """Where the first strategy finds nothing, the next one is used."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    asked = prompt.rstrip("?")
    entry = _the(stored, probe.search(asked, ("exact", "semantic"), threshold=0.5))
    require(entry.strategy == "semantic", "the strategy semantic", entry.strategy[:20])


@rule("search.once")
def once(probe: Probe) -> None:
    """An entry that several strategies find is listed once."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    found = probe.search(prompt, ("exact", "semantic"), max_results=10)
    times = sum(each.id == stored for each in found)
    require(times == 1, "the entry once", f"{times} times")


@rule("search.max-results")
def max_results(probe: Probe) -> None:
    """A search returns at most `maxResults` entries, and at most one by default."""
    prompt, _, _ = _store_family(probe)
    for asked, expected in ((None, 1), (1, 1), (2, 2), (3, 3)):
        found = probe.search(prompt, threshold=0, max_results=asked)
        require(len(found) == expected, f"{expected} entries for maxResults {asked}", len(found))


@rule("search.other-cache")
def other_cache(probe: Probe) -> None:
    """The entries of a cache are not found in another one."""
    other = probe.target.other_cache_id
    if other is None:
        raise NotCheckedError("no second cache is given")
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    for strategy in (EXACT, SEMANTIC):
        found = _ids(probe.search(prompt, strategy, threshold=0.5, cache_id=other))
        require(stored not in found, "no entry of the first cache in the second", "one")
    answer = probe.send("deleteById", cache_id=other, entry_id=stored)
    require(answer.status == 404, "404 for an entry of another cache", answer.summary)
    _the(stored, probe.search(prompt))


def _store_family(probe: Probe) -> tuple[str, str, list[str]]:
    """Store a paraphrase and prompts of other subjects; return a prompt and the ids of both."""
    word = probe.unique("{}")
    same = probe.store(_PARAPHRASE.format(word))
    return _PROMPT.format(word), same, [probe.store(probe.unique(each)) for each in _OTHERS]


def _everything(probe: Probe, prompt: str, ids: Iterable[str]) -> dict[str, Found]:
    """Return what a search with a threshold of 0 finds, by id; these must be there."""
    found = probe.search(prompt, threshold=0, max_results=EVERYTHING)
    by_id = {each.id: each for each in found}
    missing = sum(each not in by_id for each in ids)
    if missing and len(found) >= EVERYTHING:
        raise NotCheckedError("the cache has too many other entries")
    require(
        not missing, "every entry at a threshold of 0", f"{len(found)} entries, {missing} missing"
    )
    return by_id


def _the(entry_id: str, found: list[Found]) -> Found:
    """Return the entry of an id, which must be there."""
    for each in found:
        if each.id == entry_id:
            return each
    raise DepartureError("the stored entry", f"{len(found)} other entries" if found else "no entry")


def _ids(found: Iterable[Found]) -> set[str]:
    return {each.id for each in found}


RULES = [
    miss,
    semantic,
    default_strategy,
    meaning,
    order,
    normalised,
    threshold,
    threshold_zero,
    threshold_one,
    threshold_one_same,
    exact,
    exact_only,
    priority,
    fallback,
    once,
    max_results,
    other_cache,
]
