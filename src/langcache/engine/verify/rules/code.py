"""A rule about code: "i++" is not "++i", "a[1:]" not "a[:1]", and "f(a, b)" not "f(b, a)"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["CODE"]

_HINT = re.compile(r"\(|\[|\+\+|--")
# "C++" is a language, and "--force" an option.
_STEP = re.compile(
    r"(?<![\w+-])(?P<before>\+\+|--)(?P<after_it>[a-z]\w{0,30})(?![\w-])"
    r"|(?<![\w+-])(?P<before_it>(?!c\+\+)[a-z]\w{0,30}(?:\[\w{1,30}\])?)(?P<after>\+\+|--)(?![\w+-])",
    re.IGNORECASE,
)
_SUBSCRIPT = re.compile(
    r"(?P<name>(?<!\w)[a-z_][\w.]{0,60})?"
    r"(?P<subscripts>(?:\[[^\s\[\]:,]{1,40}\])+|\[[^\[\]\n:]{0,40}:[^\[\]\n]{0,40}\])",
    re.IGNORECASE,
)
_FROM_THE_START = re.compile(r"\[0:")
_CALL = re.compile(
    r"(?<!\w)(?P<name>[a-z_][\w.]{0,60})\((?P<arguments>[^()\n]{3,200})\)", re.IGNORECASE
)
# Functions to which the order of their arguments does not matter.
_SYMMETRIC = word_set(
    "add and corr cov dist distance dot equal equals gcd hypot lcm max min or swap"
)


def _code(asked: Reading, cached: Reading) -> str | None:
    if not (_HINT.search(asked.text) and _HINT.search(cached.text)):
        return None
    for find in (_steps, _subscripts):
        ours, theirs = find(asked.text), find(cached.text)
        for name in ours.keys() & theirs.keys():
            left, right = ours[name] - theirs[name], theirs[name] - ours[name]
            if left and right:
                return f"{min(left)} / {min(right)}"
    return _calls(asked.text, cached.text)


def _steps(text: str) -> dict[str, set[str]]:
    """Return increments and decrements, by the name of the variable."""
    found: dict[str, set[str]] = {}
    for match in _STEP.finditer(text):
        name = match["after_it"] or match["before_it"]
        found.setdefault(name, set()).add(match.group())
    return found


def _subscripts(text: str) -> dict[str, set[str]]:
    """Return indices and slices, by what they are taken of; those of nothing by ""."""
    found: dict[str, set[str]] = {}
    for match in _SUBSCRIPT.finditer(text):
        name = match["name"] or ""
        if name or ":" in match.group():
            subscripts = _FROM_THE_START.sub("[:", match["subscripts"].replace(" ", ""))
            found.setdefault(name, set()).add(f"{name}{subscripts}")
    return found


def _calls(asked: str, cached: str) -> str | None:
    """Return two calls that have the same arguments in another order."""
    ours, theirs = _find_calls(asked), _find_calls(cached)
    for called in ours.keys() & theirs.keys():
        left, right = ours[called], theirs[called]
        if left.keys().isdisjoint(right):
            return f"{min(left.values())} / {min(right.values())}"
    return None


def _find_calls(text: str) -> dict[tuple[str, ...], dict[tuple[str, ...], str]]:
    """Return calls by the function with its sorted arguments, and by their order."""
    found: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    for match in _CALL.finditer(text):
        arguments = tuple(argument.strip() for argument in match["arguments"].split(","))
        # Arguments with a name may stand in any order.
        if len(arguments) > 1 and "=" not in match["arguments"]:
            name = match["name"]
            if name.rpartition(".")[2].lower() not in _SYMMETRIC:
                calls = found.setdefault((name, *sorted(arguments)), {})
                calls[arguments] = match.group()
    return found


CODE = Rule("code", "the code differs", english_only=False, find=_code)
