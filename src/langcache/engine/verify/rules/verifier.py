"""The verifier that asks the rules."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from langcache.engine.verify.base import Verdict
from langcache.engine.verify.rules.antonyms import ANTONYMS
from langcache.engine.verify.rules.code import CODE
from langcache.engine.verify.rules.identifiers import IDENTIFIERS
from langcache.engine.verify.rules.labels import ENUMERATIONS, LABELS
from langcache.engine.verify.rules.names import NAMES
from langcache.engine.verify.rules.negation import NEGATION
from langcache.engine.verify.rules.numbers import DATES, NUMBERS, UNITS
from langcache.engine.verify.rules.operators import OPERATORS
from langcache.engine.verify.rules.opposites import OPPOSITES
from langcache.engine.verify.rules.order import DIRECTION, WORD_ORDER
from langcache.engine.verify.rules.quotations import QUOTATIONS
from langcache.engine.verify.rules.reading import Reading
from langcache.engine.verify.rules.substitutes import OWNERS, PROPER_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langcache.engine.verify.rules.base import Rule

__all__ = ["RULES", "RuleVerifier"]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            NUMBERS, UNITS, DATES, IDENTIFIERS, OPERATORS, CODE, QUOTATIONS, ENUMERATIONS, LABELS,
            NEGATION, ANTONYMS, OPPOSITES, OWNERS, PROPER_NAMES, WORD_ORDER, DIRECTION, NAMES,
        )
    }
)  # fmt: skip
"""All rules, by their names."""


class RuleVerifier:
    """Turns down candidates that differ from the prompt in a number, a negation and the like.

    A rule knows nothing of the meaning; it costs microseconds. Rules that know English words are
    asked about English prompts only, and the verdict says so when they were not asked.

    Args:
        rules: The names of the rules to ask, from `RULES`; None for all.

    Raises:
        ValueError: There is no rule of one of these names.
    """

    def __init__(self, rules: Iterable[str] | None = None) -> None:
        names = list(RULES) if rules is None else list(dict.fromkeys(rules))
        if unknown := [name for name in names if name not in RULES]:
            raise ValueError(
                f"rules: must be names from {', '.join(RULES)}; got {', '.join(unknown)}"
            )
        self._rules = tuple(RULES[name] for name in names)
        self._has_english = any(rule.english_only for rule in self._rules)

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that are asked."""
        return tuple(rule.name for rule in self._rules)

    @property
    def model_id(self) -> str:
        """The name of this verifier and of its rules."""
        return "rules" if len(self._rules) == len(RULES) else f"rules({','.join(self.rules)})"

    def verify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge cached prompts against the one that was asked."""
        asked = Reading(prompt)
        return [self._judge(asked, Reading(candidate)) for candidate in candidates]

    async def averify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge as `verify` does; it takes microseconds."""
        return self.verify(prompt, candidates)

    def _judge(self, asked: Reading, cached: Reading) -> Verdict:
        english = not self._has_english or (asked.is_english and cached.is_english)
        for rule in self._rules:
            if rule.english_only and not english:
                continue
            details = rule.find(asked, cached)
            if details is not None:
                return Verdict(accepted=False, reason=rule.reason, check=rule.name, details=details)
        return _NO_OBJECTION if english else _LANGUAGE_FREE


_NO_OBJECTION = Verdict(accepted=True, reason="no rule objects", check="rules")
_LANGUAGE_FREE = Verdict(
    accepted=True,
    reason="no rule objects; rules about English words were not asked",
    check="rules",
)
