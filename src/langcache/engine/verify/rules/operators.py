"""A rule about operators in code and formulas: "a < b" is neither "a <= b" nor "b < a"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from langcache.engine.verify.rules.base import Rule

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["OPERATORS"]

_SIGNS = str.maketrans(
    {
        "\N{MULTIPLICATION SIGN}": "*",
        "\N{DIVISION SIGN}": "/",
        "\N{MINUS SIGN}": "-",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{NOT EQUAL TO}": "!=",
        "\N{LEFTWARDS ARROW}": "<-",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{RIGHTWARDS DOUBLE ARROW}": "=>",
    }
)
_HINT = re.compile(r"[-+*/%<>=&|^]")
_TOKEN = re.compile(
    r"""
    (?P<operator>
        [=!]==? | <=>? | >= | <> | [-=]> | <- | << | >>>? | && | \|\|? | \*\* | // | [-+*/%&^]=
        | [-+*/%<>=&^]
    )
    | (?P<operand>\w+(?:\.\w+)*) | \S
    """,
    re.VERBOSE,
)
_SPELLINGS = {"**": "^", "<>": "!="}
# These say the same as others with their operands the other way round.
_MIRRORED = {">": "<", ">=": "<=", "<-": "->"}
_SYMMETRIC = frozenset({"==", "===", "!=", "!==", "=", "&&", "||", "&", "|", "+", "*"})
# These stand between words, too: "and/or", "wi-fi", "salt & pepper".
_IN_PROSE = frozenset("-/&+*%^")
_TERM = re.compile(r"[\d.]+[a-z]?|[a-z]|[A-Z]{3}|[A-Z]|[()\[\]]")
# A path through menus is written with any of these.
_ARROWS = frozenset({"->", "=>"})
_COEFFICIENT = re.compile(r"\d+[a-z]")


class _Expression(NamedTuple):
    """An operator and its operands; of "a > b" and "b < a", the same."""

    left: str
    operator: str
    right: str


def _operators(asked: Reading, cached: Reading) -> str | None:
    ours = _expressions(asked.text)
    theirs = _expressions(cached.text) if ours else {}
    left, right = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
    if not left or not right:
        return None
    for find in (_written, _coefficients):
        mine, other = find(left, ours), find(right, theirs)
        if mine - other and other - mine:
            return f"{min(mine - other)} / {min(other - mine)}"
    for expression in left:
        reverse = _Expression(expression.right, expression.operator, expression.left)
        if reverse in right:
            return f"{' '.join(expression)} / {' '.join(reverse)}"
    return None


def _written(expressions: set[_Expression], operators: dict[_Expression, str]) -> set[str]:
    return {operators[expression] for expression in expressions} - _ARROWS


def _coefficients(expressions: set[_Expression], _: dict[_Expression, str]) -> set[str]:
    operands = {operand for left, _, right in expressions for operand in (left, right)}
    return set(filter(_COEFFICIENT.fullmatch, operands))


def _expressions(text: str) -> dict[_Expression, str]:
    """Return the operators between two operands, each as it is written."""
    if not text.isascii():
        text = text.translate(_SIGNS)
    found: dict[_Expression, str] = {}
    if not _HINT.search(text):
        return found
    tokens = list(_TOKEN.finditer(text))
    for place, token in enumerate(tokens[1:-1], 1):
        operator = token["operator"]
        if operator and (operands := _operands(text, tokens, place)):
            operator = _SPELLINGS.get(operator, operator)
            left, right = operands
            if operator in _MIRRORED:
                key = _Expression(right, _MIRRORED[operator], left)
            elif operator in _SYMMETRIC and not (operator == "=" and _is_assignment(left, right)):
                key = _Expression(min(operands), operator, max(operands))
            else:
                key = _Expression(left, operator, right)
            # 24/7 and 9/11 are also written with a hyphen.
            is_range = operator == "/" and tokens[place - 1].end() == token.start()
            found[key] = "-" if is_range else operator
    return found


def _is_assignment(left: str, right: str) -> bool:
    """Return whether "=" may give one name the value of another; "5 = x" is an equation."""
    return left[0].isalpha() and right[0].isalpha()


def _operands(text: str, tokens: list[re.Match[str]], place: int) -> tuple[str, str] | None:
    """Return what an operator stands between, or None if it is a mark of another kind."""
    before, token, after = tokens[place - 1 : place + 2]
    spaces = text[before.end() : token.start()], text[token.end() : after.start()]
    # "18+", "*bold*", "-v" and "<b>" have a space on one side only.
    if bool(spaces[0]) != bool(spaces[1]) or "\n" in spaces[0] + spaces[1]:
        return None
    left, right = before.group(), after.group()
    if right in ("-", "!") and place + 2 < len(tokens) and tokens[place + 2]["operand"]:
        right += tokens[place + 2].group()
    elif not (after["operand"] or right in "([\"'"):
        return None
    if not (before["operand"] or left in ")]\"'"):
        return None
    if token.group() in _IN_PROSE:
        if not (_TERM.fullmatch(left) and _TERM.fullmatch(right.lstrip("-!"))):
            return None
        # Dates and telephone numbers: 5/6/2020 and 5-6-2020.
        around = {other.group() for other in tokens[max(0, place - 2) : place + 3 : 4]}
        if not spaces[0] and token.group() in around:
            return None
    return left.lower(), right.lower()


OPERATORS = Rule("operators", "the operators differ", english_only=False, find=_operators)
