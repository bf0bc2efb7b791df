"""Rules of `deleteById`, `deleteQuery` and `flush`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import NotCheckedError, require
from langcache_mockserver.contract.probe import EXACT, SEMANTIC
from langcache_mockserver.contract.rule import rule

if TYPE_CHECKING:
    from langcache_mockserver.contract.probe import Probe

NOT_FOUND = (
    "/errors/resource-not-found",
    "/errors/cache/not-found",
    "/errors/cache/entry/not-found",
    "/errors/resource/not-found",
)
"""The types of a 404 for a cache or an entry, the present one first."""


@rule("delete.by-id")
def by_id(probe: Probe) -> None:
    """An entry that is deleted by its id is a 204 and never found again; the others stay."""
    prompt, other = (probe.unique("What is a deletion, {}?") for _ in range(2))
    stored, kept = probe.store(prompt), probe.store(other)
    probe.send("deleteById", entry_id=stored).must_be(204)
    require(not _is_found(probe, prompt, stored), "no entry after it is deleted", "the entry")
    require(_is_found(probe, other, kept), "the other entry", "none")


@rule("delete.again")
def again(probe: Probe) -> None:
    """An entry that is deleted by its id a second time is a 404."""
    stored = probe.store(probe.unique("What is a repetition, {}?"))
    probe.send("deleteById", entry_id=stored).must_be(204)
    probe.send("deleteById", entry_id=stored).must_be_problem(404, *NOT_FOUND)


@rule("delete.unknown")
def unknown(probe: Probe) -> None:
    """An id that no entry has is a 404."""
    answer = probe.send("deleteById", entry_id=secrets.token_hex(16))
    answer.must_be_problem(404, *NOT_FOUND)


@rule("delete-query.count")
def count(probe: Probe) -> None:
    """`deleteQuery` deletes the entries of an attribute and counts them."""
    names = probe.target.attributes
    if not names:
        raise NotCheckedError("it needs the name of an attribute of the cache")
    value, other = (probe.unique("value {}") for _ in range(2))
    *prompts, last = (probe.unique("What is a count, {}?") for _ in range(4))
    deleted = [probe.store(prompt, attributes={names[0]: value}) for prompt in prompts]
    kept = probe.store(last, attributes={names[0]: other})
    for expected in (3, 0):
        got = _delete(probe, {names[0]: value})
        require(got == expected, f"{expected} deleted entries", f"{got} entries")
    left = sum(_is_found(probe, *each) for each in zip(prompts, deleted, strict=True))
    require(left == 0, "no entry of the value", f"{left} entries")
    require(_is_found(probe, last, kept), "the entry of another value", "none")


@rule("delete-query.all-must-match")
def all_must_match(probe: Probe) -> None:
    """`deleteQuery` with several attributes deletes the entries that have all of them."""
    names = probe.target.attributes
    if len(names) < 2:
        raise NotCheckedError("it needs the names of two attributes of the cache")
    value = probe.unique("value {}")
    prompts = [probe.unique("What is a pair, {}?") for _ in range(2)]
    probe.store(prompts[0], attributes={names[0]: value, names[1]: "a"})
    kept = probe.store(prompts[1], attributes={names[0]: value, names[1]: "b"})
    got = _delete(probe, {names[0]: value, names[1]: "a"})
    require(got == 1, "one deleted entry", f"{got} entries")
    require(_is_found(probe, prompts[1], kept), "the entry that has one of them only", "none")


@rule("delete-query.everything", destructive=True)
def everything(probe: Probe) -> None:
    """`deleteQuery` with empty attributes deletes every entry and counts them."""
    prompts = [probe.unique("What is emptiness, {}?") for _ in range(3)]
    ids = [probe.store(prompt) for prompt in prompts]
    got = _delete(probe, {})
    require(got >= 3, "three deleted entries or more", f"{got} entries")
    left = sum(_is_found(probe, *each) for each in zip(prompts, ids, strict=True))
    require(left == 0, "no entry", f"{left} entries")
    got = _delete(probe, {})
    require(got == 0, "none left to delete", f"{got} entries")


@rule("flush.empties", destructive=True)
def flush(probe: Probe) -> None:
    """`flush` is a 204 and leaves no entry; the cache stays usable."""
    prompt = probe.unique("What is a flush, {}?")
    stored = probe.store(prompt)
    probe.send("flush").must_be(204)
    require(not _is_found(probe, prompt, stored), "no entry", "the entry")
    probe.send("flush").must_be(204)
    require(_is_found(probe, prompt, probe.store(prompt)), "an entry that is stored after", "none")


def _delete(probe: Probe, attributes: dict[str, str]) -> int:
    answer = probe.send("deleteQuery", {"attributes": attributes}).must_be(200)
    deleted: int = answer.member("deletedEntriesCount", int)
    return deleted


def _is_found(probe: Probe, prompt: str, entry_id: str) -> bool:
    return any(
        each.id == entry_id
        for strategy in (EXACT, SEMANTIC)
        for each in probe.search(prompt, strategy, max_results=10)
    )


RULES = [by_id, again, unknown, count, all_must_match, everything, flush]
