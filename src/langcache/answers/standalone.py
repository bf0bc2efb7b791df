"""The rule for the last turn of a conversation that can be understood without the earlier turns."""

from __future__ import annotations

import re

__all__ = ["stands_alone"]

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_LEAST_WORDS = 4


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STARTS = _words(
    "what who whom whose which when where why how is are was were do does did can could will would "
    "should has have had may must"
)
_REFERRING = _words(
    "it it's its itself they them their theirs he him his she her hers this that that's these "
    "those there here one ones former latter above below previous last next same another other "
    "others else again also too more less instead still then now both either neither such so "
    "first second third yours mine i'm we"
)
_PREPOSITIONS = _words("of for in on at to from with between about by during under over")


def stands_alone(text: str) -> bool:
    """Return whether an English question can be understood without what was said before.

    It is a rule on words, and cautious: it wants a whole question of four words or more, without a
    word that may refer to something else ("it", "that", "more", "another"), and without a thing
    that is called "the ..." and described no further ("How long is the warranty?").
    """
    spelled = _WORD.findall(text)
    words = [word.lower().replace("\u2019", "'") for word in spelled]
    if len(words) < _LEAST_WORDS or words[0] not in _STARTS or not text.isascii():
        return False
    if not _REFERRING.isdisjoint(words):
        return False
    if words[1] == "about":
        return False  # "What about", "How about"
    return all(
        _is_described(spelled, words, place) for place, word in enumerate(words) if word == "the"
    )


def _is_described(spelled: list[str], words: list[str], place: int) -> bool:
    """Return whether "the ..." says itself which one it means: by a name, or by "of ..."."""
    after = words[place + 2 :]
    return any(word[0].isupper() or word[0].isdigit() for word in spelled[place + 1 :]) or (
        bool(after) and not _PREPOSITIONS.isdisjoint(after[:-1])
    )
