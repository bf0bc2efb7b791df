"""The findings of a check, for people and for machines."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass
from enum import Enum


class Outcome(str, Enum):
    """The outcome of checking a rule.

    Attributes:
        OK: It holds.
        DEPARTS: It does not hold.
        NOTE: It does not hold, but may well be none of the service's rules.
        NOT_CHECKED: It could not be checked.
    """

    OK = "ok"
    DEPARTS = "departs"
    NOTE = "note"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one rule.

    Attributes:
        rule: The rule's name, such as `search.max-results`.
        statement: What it says.
        outcome: Whether it holds.
        expected: What the contract demands if the rule does not hold, else "".
        got: What was seen instead, else "".
        reason: Why it was not checked, else "".
    """

    rule: str
    statement: str
    outcome: Outcome
    expected: str = ""
    got: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """Return the finding in a few lines."""
        lines = [f"{self.outcome.value:<12} {self.rule}: {self.statement}"]
        if self.reason:
            lines.append(f"why: {self.reason}")
        if self.expected:
            lines += [f"expected: {self.expected}", f"got: {self.got}"]
        wrapped = (
            textwrap.fill(
                line,
                100,
                initial_indent="" if at == 0 else " " * 15,
                subsequent_indent=" " * (13 if at == 0 else 17),
                break_on_hyphens=False,
            )
            for at, line in enumerate(lines)
        )
        return "\n".join(wrapped)


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of a check of a LangCache.

    Attributes:
        url: The base URL of the service.
        cache_id: The cache.
        findings: One for each rule, in the order in which they were checked.
    """

    url: str
    cache_id: str
    findings: tuple[Finding, ...]

    @property
    def departures(self) -> tuple[Finding, ...]:
        """The rules that do not hold."""
        return self.of(Outcome.DEPARTS)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """The rules that do not hold, but may not be rules of the service."""
        return self.of(Outcome.NOTE)

    @property
    def not_checked(self) -> tuple[Finding, ...]:
        """The rules that could not be checked."""
        return self.of(Outcome.NOT_CHECKED)

    def of(self, outcome: Outcome) -> tuple[Finding, ...]:
        """Return the findings of one outcome."""
        return tuple(finding for finding in self.findings if finding.outcome is outcome)

    def __str__(self) -> str:
        """Return the findings as text, with the number of each outcome."""
        counts = (f"{len(self.of(outcome))} {outcome.value}" for outcome in Outcome)
        return "\n".join(
            [
                f"{self.url}, cache {self.cache_id}",
                *map(str, self.findings),
                f"{len(self.findings)} rules: {', '.join(counts)}",
            ]
        )

    def to_json(self) -> str:
        """Return the report as a JSON object: `url`, `cacheId`, `findings`, and `counts`."""
        report = {
            "url": self.url,
            "cacheId": self.cache_id,
            "counts": {outcome.value: len(self.of(outcome)) for outcome in Outcome},
            "findings": [
                {name: value for name, value in asdict(finding).items() if value != ""}
                for finding in self.findings
            ],
        }
        return json.dumps(report, indent=2)
