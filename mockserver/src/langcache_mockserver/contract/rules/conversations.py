"""Rules of `conversationalSearch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import NotCheckedError, require
from langcache_mockserver.contract.probe import EVERYTHING, found_in
from langcache_mockserver.contract.rule import Certainty, rule

if TYPE_CHECKING:
    from langcache_mockserver.contract.probe import Probe

_PROMPT = "How tall is the lighthouse of {}?"


@rule("conversation.alone")
def alone(probe: Probe) -> None:
    """A prompt without context is searched for."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    bodies: list[dict[str, object]] = [{"prompt": prompt}, {"prompt": prompt, "context": []}]
    for body in bodies:
        answer = probe.send("conversationalSearch", body).must_be(200)
        found = [each.id for each in found_in(answer)]
        require(found == [stored], "the stored entry", f"{len(found)} entries")


@rule("conversation.actual-prompt")
def actual_prompt(probe: Probe) -> None:
    """The answer says what was searched for, and what was found for it is listed."""
    body = {
        "prompt": "When was it built?",
        "context": [probe.unique(_PROMPT)],
        "searchStrategies": ["exact", "semantic"],
    }
    answer = probe.send("conversationalSearch", body).must_be(200)
    asked: str = answer.member("actualPrompt", str)
    require(asked != "", "a prompt in actualPrompt", "an empty text")
    found_in(answer)


@rule("conversation.unchanged", Certainty.UNCERTAIN)
def unchanged(probe: Probe) -> None:
    """A prompt without context is searched for as it is."""
    prompt = probe.unique(_PROMPT)
    answer = probe.send("conversationalSearch", {"prompt": prompt}).must_be(200)
    asked: str = answer.member("actualPrompt", str)
    require(asked == prompt, "the prompt", "another text")


@rule("conversation.reformulated", Certainty.UNCERTAIN)
def reformulated(probe: Probe) -> None:
    """A prompt that refers to the context is made to stand on its own."""
    word = probe.unique("{}")
    context = [f"How tall is the Eiffel Tower of {word}?"]
    body = {"prompt": "When was it built?", "context": context}
    answer = probe.send("conversationalSearch", body).must_be(200)
    asked: str = answer.member("actualPrompt", str)
    require(word in asked, "the subject of the context in actualPrompt", "a text without it")


@rule("conversation.members")
def members(probe: Probe) -> None:
    """The members of a search mean the same in a conversation."""
    prompt = probe.unique(_PROMPT)
    stored = probe.store(prompt)
    other = probe.store(probe.unique("Why do cats sleep so much {}?"))

    def found(**extra: object) -> list[str]:
        body = {"prompt": prompt, **extra}
        answer = probe.send("conversationalSearch", body).must_be(200)
        return [each.id for each in found_in(answer)]

    everything = found(similarityThreshold=0, maxResults=EVERYTHING)
    if len(everything) >= EVERYTHING:
        raise NotCheckedError("the cache has too many other entries")
    require({stored, other} <= set(everything), "both entries at 0", f"{len(everything)} entries")
    require(
        other not in found(similarityThreshold=0.95, maxResults=9),
        "no entry of another subject at 0.95",
        "one",
    )
    few = len(found(similarityThreshold=0, maxResults=1))
    require(few == 1, "one entry for maxResults 1", f"{few} entries")
    exact = found(searchStrategies=["exact"], similarityThreshold=0, maxResults=9)
    require(exact == [stored], "the entry of the prompt by exact", f"{len(exact)} entries")


RULES = [alone, actual_prompt, unchanged, reformulated, members]
