"""Judges pairs of prompts that the embedder cannot tell apart."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from langcache.engine.embedders.text_facts import DescribesTexts
from langcache.engine.verify.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langcache.engine.embedders.text_facts import TextFacts

__all__ = ["IdentityVerifier", "compare_identity"]

_NAME = "identity"


class IdentityVerifier:
    r"""Turns down candidates whose similarity says nothing, because the embedder did not read them.

    It runs before every other verifier, and when there is none. What it decides:

    - Equal prompts are a hit, whatever the embedder knows of them.
    - If either prompt was cut at the embedder's token limit, only equal prompts are a hit.
    - If either has parts that have no token of their own (emoji, rare scripts), those parts have to
      be equal.
    - If the embedder reads both as the same tokens, they are a hit when they differ in letter case
      and white space only, and these carry no meaning there. They do in command-line options,
      identifiers, code, escapes such as `\w` and the indentation of lines.

    Everything else is accepted, with a probability of None.

    Args:
        embedder: Tells what it reads of a text by a method `describe`, which returns `TextFacts`.
            Of an embedder without that method nothing is assumed: only equal prompts are decided.
    """

    def __init__(self, embedder: object) -> None:
        self._embedder = embedder if isinstance(embedder, DescribesTexts) else None

    @property
    def model_id(self) -> str:
        """The name of this check: "identity"."""
        return _NAME

    def verify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge cached prompts against the one that was asked."""
        facts = None
        verdicts: list[Verdict] = []
        for candidate in candidates:
            other = None
            if self._embedder is not None and candidate != prompt:
                facts = facts or self._embedder.describe(prompt)
                other = self._embedder.describe(candidate)
            verdicts.append(compare_identity(prompt, candidate, facts, other) or _UNDECIDED)
        return verdicts

    async def averify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge as `verify` does; it takes microseconds."""
        return self.verify(prompt, candidates)


def compare_identity(
    asked: str, cached: str, asked_facts: TextFacts | None, cached_facts: TextFacts | None
) -> Verdict | None:
    """Return the verdict on two prompts, or None when they have to be judged by their meaning.

    Args:
        asked: The prompt that was asked.
        cached: The prompt of the candidate.
        asked_facts: What the embedder reads of the first; None when it does not tell.
        cached_facts: What it reads of the second.
    """
    if asked == cached:
        return EQUAL
    if asked_facts is None or cached_facts is None:
        return None
    if asked_facts.was_cut or cached_facts.was_cut:
        return _reject("the prompts are longer than the embedder reads, and not equal")
    ours = [unicodedata.normalize("NFC", part) for part in asked_facts.unknown]
    theirs = [unicodedata.normalize("NFC", part) for part in cached_facts.unknown]
    if ours != theirs:
        return _reject(
            "the parts that the embedder does not know differ",
            f"{' '.join(ours) or 'none'} / {' '.join(theirs) or 'none'}",
        )
    if asked_facts.token_ids != cached_facts.token_ids:
        return None
    return _compare_characters(
        unicodedata.normalize("NFC", asked), unicodedata.normalize("NFC", cached)
    )


def _compare_characters(asked: str, cached: str) -> Verdict:
    """Return the verdict on two prompts, in NFC, that the embedder reads as the same tokens."""
    ours, theirs = _fold(asked), _fold(cached)
    if ours != theirs:
        if _without_marks(ours) == _without_marks(theirs):
            return _reject("the diacritics differ, and the embedder does not read them")
        return _reject("some characters differ that the embedder does not read")
    if _indentation(asked) != _indentation(cached):
        return _reject("the indentation of lines differs")
    if _spans(asked) != _spans(cached):
        return _reject("the quoted code differs in letter case or white space")
    if _is_code(asked) or _is_code(cached):
        if asked.split() != cached.split() or _lines(asked) != _lines(cached):
            return _reject("code differs in letter case or white space")
        return _accept("the prompts differ in white space only")
    ours, theirs = _words(asked), _words(cached)
    if len(ours) == len(theirs):
        for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            if mine != other and (reason := _case_carries_meaning(ours, theirs, place)):
                return _reject(reason, f"{mine} / {other}")
    return _accept("the prompts differ in letter case and white space only")


# A blank before these is a matter of taste, as in "10 %". Not so before a dot: "ls .".
_BLANK_BEFORE_PUNCTUATION = re.compile(r"\s+([?!,;:…]+)(?=\s|$)|(?<=\d)\s(%)(?![\w(])")


def _words(text: str) -> list[str]:
    return _BLANK_BEFORE_PUNCTUATION.sub(r"\1\2", text).split()


def _fold(text: str) -> str:
    return " ".join(_words(text)).casefold()


def _without_marks(text: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    return "".join(character for character in apart if unicodedata.category(character) != "Mn")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _indentation(text: str) -> list[str]:
    """Return the white space before each line, or nothing when no line is indented."""
    lines = _lines(text)
    before = [line[: len(line) - len(line.lstrip())] for line in lines]
    return before if len(lines) > 1 and any(before) else []


_SPAN = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
_CODE = re.compile(
    r"[{}]|\w\(\)|[^\s=<>!]=[^\s=]|==|!=|=>|->|::|&&|\|\||;\s*$|\+\+|"
    r"</?\w+>|\$\w|\b(?:def|import|return|select|function|const|let|var) \w+.*[(=;,*]",
    re.IGNORECASE | re.MULTILINE,
)


def _spans(text: str) -> list[str]:
    return _SPAN.findall(text)


def _is_code(text: str) -> bool:
    return _CODE.search(text) is not None


_OPTION = re.compile(r"[-/]{1,2}[A-Za-z][\w-]*(?:=\S*)?[?.,!;:]*")
_OPTION_WORDS = frozenset({"option", "options", "flag", "flags", "switch", "argument"})
_ESCAPE = re.compile(r"\\\S")
# An underscore, a path, a dotted name, a digit among letters; or a capital within a word that
# starts in lower case, unless it is a brand's spelling such as "iPhone".
_IDENTIFIER = re.compile(r"\w_\w|_\w|[\\/]\w|\w\.\w|^[a-z]{2,}[A-Z]|\w@\w|#\w")
_BRANDS = frozenset({"macos", "watchos", "tvos", "ebay"})
# "Mb" is not "MB", and "mW" not "MW"; "mb" may be either.
_UNITS = frozenset(
    frozenset(pair)
    for pair in (
        ("Mb", "MB"), ("Gb", "GB"), ("Kb", "KB"), ("kb", "kB"), ("Tb", "TB"), ("Mbps", "MBps"),
        ("Gbps", "GBps"), ("mW", "MW"), ("mV", "MV"), ("mA", "MA"), ("mPa", "MPa"),
        ("mHz", "MHz"), ("mg", "Mg"), ("m", "M"),
    )
)  # fmt: skip
_EDGES = "?.,!;:()[]\"'\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"


def _case_carries_meaning(ours: list[str], theirs: list[str], place: int) -> str:
    """Return why the letter case of the words at a place matters, or "" if it does not."""
    pair = (ours[place], theirs[place])
    bare = [word.strip(_EDGES) for word in pair]
    if bare[0] == bare[1]:
        return ""
    if any(_OPTION.fullmatch(word) for word in pair):
        return "a command-line option differs in letter case"
    if any(_ESCAPE.search(word) for word in pair):
        return "an escape differs in letter case"
    around = {word.strip(_EDGES).lower() for word in ours[max(0, place - 1) : place + 2]}
    if len(bare[0]) == 1 and around & _OPTION_WORDS:
        return "a one-letter option differs in letter case"
    if bare[0].lower() not in _BRANDS and any(_IDENTIFIER.search(word) for word in bare):
        return "an identifier differs in letter case"
    after_number = place > 0 and ours[place - 1][-1:].isdigit()
    units = [word.lstrip("0123456789.,") for word in bare]
    if (after_number or units != bare) and frozenset(units) in _UNITS:
        return "a unit differs in letter case"
    return ""


def _accept(reason: str) -> Verdict:
    return Verdict(accepted=True, probability=1.0, reason=reason, check=_NAME)


def _reject(reason: str, details: str = "") -> Verdict:
    return Verdict(accepted=False, reason=reason, check=_NAME, details=details)


EQUAL = _accept("the prompts are equal")
"""The verdict on equal prompts."""

_UNDECIDED = Verdict(accepted=True, reason="the embedder can tell the prompts apart", check=_NAME)
