"""A rule about quoted text: a word to translate, a sentence to correct, a piece of code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["QUOTATIONS"]

_HINT = re.compile(r"[\"'`\u00ab\u201c\u201e\u2018\u201a\u300c]")
# Not the apostrophes of "it's" and "the dogs' bowls", and no quotation marks of LaTeX. Without a
# limit, the partner of each mark without one would be looked for up to the end.
_QUOTATION = re.compile(
    r"""
    (?<!`)`(?=\S)(?P<code>[^`\n]{1,300})(?<=\S)`(?!`)
    | (?<!")"(?=\S)([^"\n]{1,100})(?<=\S)"(?!")
    | (?<![\w'])'(?=\S)((?:[^'\n]|(?<=\w)'(?=\w)){1,100})(?<=\S)'(?![\w'])
    | [\u00ab\u201c\u201e]\s?([^\u00ab\u00bb\u201c\u201d\u201e\n]{1,100})[\u00bb\u201d\u201c]
    | [\u2018\u201a](?=\S)([^\u2018\u2019\u201a\n]{1,100})(?<=\S)[\u2019\u2018](?!\w)
    | \u300c([^\u300c\u300d\n]{1,100})\u300d
    """,
    re.VERBOSE,
)
_PART = re.compile(r"\w+(?:'\w+)*|[^\w\s.,;:!?()\"'-]")
# A longer quotation is often a statement to check, and told in other words.
_MOST_WORDS = 4
_BRITISH = re.compile(r"(?<=\w\w)(?:our|is(?=e|ing|ation))")
_IGNORED = frozenset({"a", "an", "the", "to"})


def _quotations(asked: Reading, cached: Reading) -> str | None:
    ours = _find(asked.text)
    theirs = _find(cached.text) if ours else {}
    left, right = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
    if not left or not right:
        return None
    return f"{ours[min(left)]} / {theirs[min(right)]}"


def _find(text: str) -> dict[tuple[str, ...], str]:
    """Return words and code that are quoted, by their parts."""
    found: dict[tuple[str, ...], str] = {}
    if not _HINT.search(text):
        return found
    if whole := _QUOTATION.fullmatch(text.strip()):
        # In a prompt that is quoted as a whole, what it quotes itself.
        text = whole[whole.lastindex or 0]
    for match in _QUOTATION.finditer(text):
        quoted = match[match.lastindex or 0]
        parts = tuple(
            _BRITISH.sub(_american, part)
            for part in _PART.findall(quoted.lower())
            if part not in _IGNORED
        )
        if match["code"] or 0 < len(parts) <= _MOST_WORDS:
            found[parts] = quoted
    return found


def _american(british: re.Match[str]) -> str:
    return "or" if british.group() == "our" else "iz"


QUOTATIONS = Rule("quotations", "the quoted texts differ", english_only=False, find=_quotations)
