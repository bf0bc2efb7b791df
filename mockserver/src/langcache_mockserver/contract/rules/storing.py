"""Rules of `set`."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import require
from langcache_mockserver.contract.probe import EXACT
from langcache_mockserver.contract.rule import Certainty, rule

if TYPE_CHECKING:
    from langcache_mockserver.contract.probe import Found, Probe

_ID = re.compile(r"[0-9a-f]{32}")
_ODD_TEXT = '"quoted" \\ back\\slash, tab\t, lines\r\n\n, <b>&amp;</b>, %41%2C, ÄöŁ 漢字 🤖 שלום é'


@rule("set.created")
def created(probe: Probe) -> None:
    """An entry that is stored is a 201, whether it is a new one or not."""
    body = {"prompt": probe.unique("What is new, {}?"), "response": "r", "ttlMillis": 60_000}
    for _ in range(2):
        probe.set(body).must_be(201)


@rule("set.entry-id")
def entry_id(probe: Probe) -> None:
    """The id of an entry is 32 lower-case hexadecimal digits."""
    stored = probe.store(probe.unique("What is an id, {}?"))
    require(
        _ID.fullmatch(stored) is not None,
        "32 digits from 0 to f",
        f"{len(stored)} characters" if len(stored) != 32 else "others",
    )


@rule("set.md5", Certainty.UNCERTAIN)
def md5(probe: Probe) -> None:
    """The id of an entry without attributes is the MD5 of its prompt."""
    prompt = probe.unique("What is a digest, {}?")
    expected = hashlib.md5(prompt.encode(), usedforsecurity=False).hexdigest()
    require(probe.store(prompt) == expected, "the MD5 of the prompt", "another id")


@rule("set.upsert")
def upsert(probe: Probe) -> None:
    """A `set` of a prompt that is stored replaces its entry, under the same id."""
    prompt = probe.unique("What is an upsert, {}?")
    first, second = probe.store(prompt, "First."), probe.store(prompt, "Second.")
    require(first == second, "the same id for the same prompt", "another id")
    found = _exact(probe, prompt)
    require(len(found) == 1, "one entry", f"{len(found)} entries")
    require(found[0].response == "Second.", "the later response", "another one")


@rule("set.separate")
def separate(probe: Probe) -> None:
    """Different prompts are different entries."""
    prompts = [probe.unique("What is a difference, {}?") for _ in range(2)]
    ids = [probe.store(prompt) for prompt in prompts]
    require(ids[0] != ids[1], "two ids", "the same id twice")
    for prompt in prompts:
        found = _exact(probe, prompt)
        require(len(found) == 1, "one entry for each prompt", f"{len(found)} entries")


@rule("set.text")
def text(probe: Probe) -> None:
    """Prompt and response come back as they were stored, whatever characters they have."""
    prompt = probe.unique(f"{_ODD_TEXT} {{}}")
    response = f'{{"text": "{_ODD_TEXT}"}}' * 20
    probe.store(prompt, response)
    found = _exact(probe, prompt)
    require(len(found) == 1, "the entry", f"{len(found)} entries")
    require(found[0].prompt == prompt, "the prompt as it was stored", "another text")
    require(found[0].response == response, "the response as it was stored", "another text")


@rule("set.no-attributes")
def no_attributes(probe: Probe) -> None:
    """The attributes of an entry that was stored without are empty."""
    prompt = probe.unique("What is nothing, {}?")
    probe.store(prompt)
    found = _exact(probe, prompt)
    require(len(found) == 1, "the entry", f"{len(found)} entries")
    require(not found[0].attributes, "no attributes", f"{len(found[0].attributes)} attributes")


@rule("set.no-ttl")
def no_ttl(probe: Probe) -> None:
    """An entry can be stored without a TTL."""
    prompt = probe.unique("What is eternity, {}?")
    probe.store(prompt, ttl_millis=None)
    require(len(_exact(probe, prompt)) == 1, "the entry", "none")


@rule("set.longest")
def longest(probe: Probe) -> None:
    """A prompt of 1024 characters and a TTL of a year are taken."""
    prompt = probe.unique("What is long, {}? ").ljust(1024, "x")
    stored = probe.store(prompt, ttl_millis=31_556_952_000)
    found = [each.id for each in _exact(probe, prompt)]
    require(found == [stored], "the entry", f"{len(found)} entries")


@rule("set.empty-response", Certainty.UNCERTAIN)
def empty_response(probe: Probe) -> None:
    """The response may be empty."""
    probe.store(probe.unique("What is silence, {}?"), "")


def _exact(probe: Probe, prompt: str) -> list[Found]:
    return probe.search(prompt, EXACT, max_results=10)


RULES = [
    created,
    entry_id,
    md5,
    upsert,
    separate,
    text,
    no_attributes,
    no_ttl,
    longest,
    empty_response,
]
