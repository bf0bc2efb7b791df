"""Conversations: reformulate a prompt that refers to earlier prompts, so that it stands alone.

The rules are deterministic and use lists of English words, but no grammar:

- A prompt depends on the context if it has a third-person pronoun, a demonstrative or `there` to
  which nothing before it in the prompt seems to refer ("How tall is it?"), or if it is a fragment
  ("And London?", "What about the red one?", "Why?"). Other prompts stay as they are.
- It is resolved with one item of the context that stands alone: the latest statement that shares a
  word with the prompt, else the latest item.
- A fragment that names a thing replaces the last phrase of an earlier question: "What is the
  weather in Paris?" and "What about London?" become "What is the weather in London?".
- Any other prompt gets the topic of the item as a prefix, which is a guess of the item's subject or
  object: "the Eiffel Tower: How tall is it?". Its embedding is similar to that of "How tall is the
  Eiffel Tower?". With the whole earlier question as a prefix, it would be most similar to that
  question and find its response.
- A statement that shares a word with the prompt may be the answer. Then there is a second
  reformulation: the statement followed by the prompt.

Limits: it cannot choose between several things in one item, tell people from things, or follow "the
former" or "the second one". Prompts in other languages stay as they are. A prompt that is resolved
wrongly usually misses; sometimes it finds the response to a similar prompt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHARACTERS = 1024
"""The maximum length of a reformulation, which is that of a prompt."""

_LOOK_BACK = 16  # the number of latest items of the context that are used


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_AUXILIARIES = _words(
    "am is are was were be been do does did has have had can could will would shall should may "
    "might must isn't aren't wasn't weren't don't doesn't didn't can't won't what's who's where's "
    "how's when's that's it's"
)
_QUESTIONS = _words(
    "what who whom whose which when where why how what's who's where's how's when's"
)
_SPEAKERS = _words("i you we me us i'm i've i'll i'd we're we've you're you've")
_POSSESSIVES = _words("its their theirs his her hers")
_DEMONSTRATIVES = _words("this that that's these those")
_REFERRING = _words("it it's they them he him she there") | _POSSESSIVES | _DEMONSTRATIVES
_DETERMINERS = _words("the a an my your our some any") | _POSSESSIVES | _DEMONSTRATIVES
_PREPOSITIONS = _words("about at by for from in into of on than to with without")
_BOUNDARIES = _words("and or but when while if because so after before since which who whose")
_TIMES = _words("year year's month month's week week's day morning afternoon evening century")
_FILLERS = _words(
    "also again else ever exactly here just like many more most much not now please so still then "
    "too"
)
_FUNCTION_WORDS = frozenset[str]().union(
    _AUXILIARIES, _QUESTIONS, _SPEAKERS, _REFERRING, _DETERMINERS, _PREPOSITIONS, _BOUNDARIES,
    _FILLERS,
)  # fmt: skip

_WORD = re.compile(r"\w+(?:['\u2019.-]\w+)*")
_FRAGMENT = re.compile(
    r"(?:(?:and|or|but)\s+)?(?:what|how)\s+about\s+|(?:and|or|but)\s+", re.IGNORECASE
)
_POSSESSOR = re.compile(r"(.+?)['\u2019]s\b")
_REQUEST = re.compile(
    r"(?:please\s+)?(?:(?:can|could|would)\s+you\s+)?(?:please\s+)?"
    r"(?:(?:tell|teach|show|give)\s+(?:me|us)|talk|explain|describe|define|summari[sz]e)\s+"
    r"(?:to\s+(?:me|us)\s+)?(?:more\s+)?(?:about\s+)?",
    re.IGNORECASE,
)
_EXPLETIVE = re.compile(
    r"\bwhat time is it\b|"
    r"\b(?:is|was|does|did|will|would|can|could) it \w+ (?:\w+ )?to \w+ \w+",
    re.IGNORECASE,
)


def reformulate(prompt: str, context: Sequence[str]) -> list[str]:
    """Return reformulations of a prompt that stand alone.

    Args:
        prompt: The prompt, which may refer to the context.
        context: The earlier prompts, oldest first. Only the last 16 are used, and of these only
            those of at most 1024 characters.

    Returns:
        One or two prompts to search for, in this order until there is a hit. It is the prompt
        itself if it does not depend on the context, has more than 1024 characters, or the context
        does not help. Each has at most 1024 characters if the prompt has.
    """
    if len(prompt) > MAX_CHARACTERS or not _depends(prompt):  # no reformulation would be shorter
        return [prompt]
    recent = (item.strip() for item in context[-_LOOK_BACK:] if len(item) <= MAX_CHARACTERS)
    items = [item for item in recent if _content(item) and not _depends(item)]
    if not items:
        return [prompt]
    related = [item for item in items if not _asks(item) and _content(item) & _content(prompt)]
    item = (related or items)[-1]
    swapped = _swap(item, prompt)
    if swapped is not None:
        candidates = [swapped]
    elif related:
        candidates = [f"{_topic(item)}: {prompt}", f"{item} {prompt}"]
    else:
        # "Where do they live?" after "The user's favorite color is teal." asks about the user
        topic = _topic(item)
        whose = None if _asks(item) else _POSSESSOR.match(topic)
        candidates = [f"{whose[1] if whose else topic}: {prompt}"]
    return [each for each in candidates if len(each) <= MAX_CHARACTERS] or [prompt]


def _split(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]


def _content(text: str) -> set[str]:
    """Return the stems of content words, cut so that "color" equals "colors"."""
    return {word.removesuffix("'s")[:5] for word in _split(text) if word not in _FUNCTION_WORDS}


def _asks(text: str) -> bool:
    first = _split(text)[0]
    return (
        text.endswith("?")
        or first in _QUESTIONS
        or first in _AUXILIARIES
        or _REQUEST.match(text) is not None
    )


def _depends(text: str) -> bool:
    words = _split(text)
    if not words or _EXPLETIVE.search(text):
        return False
    if _fragment(text) is not None or (words[0] in _QUESTIONS and _FILLERS.issuperset(words[1:])):
        return True
    spelled = _WORD.findall(text)
    return any(_refers_back(spelled, words, index) for index in range(len(words)))


def _fragment(text: str) -> str | None:
    """Return the text after "and" or "what about", unless it is a question of its own."""
    match = _FRAGMENT.match(text)
    if match is None:
        return None
    added = text[match.end() :].rstrip(" ?!.")
    if any(word in _AUXILIARIES or word in _QUESTIONS for word in _split(added)):
        return None
    return added


def _refers_back(spelled: list[str], words: list[str], index: int) -> bool:
    """Return whether a word refers to something that does not precede it in its own text."""
    word, before, following = words[index], words[:index], (*words[index + 1 :], "")[0]
    previous = before[-1] if before else ""
    if word not in _REFERRING:
        return word in {"one", "ones"} and previous == "which" and "or" not in words
    if word == "there":  # "there is" and "are there" refer to nothing
        return bool(before) and previous not in _AUXILIARIES and following not in _AUXILIARIES
    if word in _DEMONSTRATIVES and (
        following in _TIMES  # "this year"
        or (following and previous and previous not in _FUNCTION_WORDS)  # "the river that flows"
    ):
        return False
    things = [at for at, each in enumerate(before) if each not in _FUNCTION_WORDS]
    if any(before[at] in _BOUNDARIES for at in range(things[0] if things else index, index)):
        return False  # "install Redis and start it"
    if any(at and spelled[at][0].isupper() for at in things):
        return False  # "did Marie Curie win her prize"; the first word has a capital anyway
    # "do cats lick their paws": a thing up to two words behind an auxiliary is the subject
    return word not in _POSSESSIVES or all(
        _AUXILIARIES.isdisjoint(before[max(at - 2, 0) : at]) for at in things
    )


def _swap(item: str, prompt: str) -> str | None:
    """Replace the last phrase of an earlier question by the thing that a fragment names."""
    added = _fragment(prompt)
    if not added or not _asks(item) or not _REFERRING.isdisjoint(_split(added)):
        return None
    question = item.rstrip(" ?!.")
    matches = list(_WORD.finditer(question))
    words = _split(question)
    first = _split(added)[0]
    determiners = [at for at, word in enumerate(words) if word in _DETERMINERS]
    prepositions = [at for at, word in enumerate(words) if word in _PREPOSITIONS]
    auxiliaries = [at for at, word in enumerate(words) if word in _AUXILIARIES]
    end = len(question)
    if first in _PREPOSITIONS:  # "in London" for "in Paris", or in addition
        same = [at for at in prepositions if words[at] == first]
        start = matches[same[-1]].start() if same else end
    elif first in _DETERMINERS and determiners:  # "the area" for "the capital", but not "of France"
        start = matches[determiners[-1]].start()
        end = next((matches[at].start() for at in prepositions if at > determiners[-1]), end)
    elif prepositions:
        start = matches[prepositions[-1]].end()
    elif determiners:
        start = matches[determiners[-1]].start()
    elif auxiliaries:
        start = matches[auxiliaries[0]].end()
    else:
        return None
    parts = (question[:start].strip(), added, question[end:].strip())
    return " ".join(part for part in parts if part) + item[len(question) :]


def _topic(item: str) -> str:
    """Guess the topic of an item; the whole item at worst."""
    text = item.rstrip(" ?!.")
    request = _REQUEST.match(text)
    if request:
        return text[request.end() :] or text
    matches = list(_WORD.finditer(text))
    words = _split(text)
    auxiliary = next((at for at, word in enumerate(words) if word in _AUXILIARIES), None)
    if _asks(item):
        # "How tall is | the Eiffel Tower", "Who created | Python", "How do I install | Redis"
        start = 2 if auxiliary is None else auxiliary + 1
        if words[start : start + 1] and words[start] in _SPEAKERS:
            start += 2
        if start >= len(words) - 1 and text[matches[-1].start()].islower():
            start = 1  # "Which | database is fastest"
    elif words[0] in _SPEAKERS:
        # "I bought | a car", "I am reading | Dune"
        start = 3 if auxiliary == 1 else 2
    elif auxiliary:
        return text[: matches[auxiliary].start()].rstrip()  # "My dog | is named Rex"
    else:
        start = 0
    return text[matches[start].start() :] if start < len(matches) else text
