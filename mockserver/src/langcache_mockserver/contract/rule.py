"""Rules of the contract."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache_mockserver.contract.probe import Probe


class Certainty(Enum):
    """How certain it is that every LangCache keeps a rule.

    Attributes:
        CERTAIN: Breaking it is a departure.
        STRICT: Only a service that knows its caches, keys and attributes keeps it. Breaking it is a
            departure if the target is strict, else a note.
        UNCERTAIN: It is not documented, or was seen only once. Breaking it is a note.
    """

    CERTAIN = "certain"
    STRICT = "strict"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the contract.

    Attributes:
        name: Its name, such as `search.max-results`.
        statement: The rule in one sentence.
        check: Raises `DepartureError` if the rule does not hold, `NotCheckedError` if it cannot be
            checked.
        certainty: How certain the rule is.
        destructive: Whether its check deletes entries that the check did not write.
    """

    name: str
    statement: str
    check: Callable[[Probe], None]
    certainty: Certainty = Certainty.CERTAIN
    destructive: bool = False


def rule(
    name: str, certainty: Certainty = Certainty.CERTAIN, *, destructive: bool = False
) -> Callable[[Callable[[Probe], None]], Rule]:
    """Make a rule of a function that checks it; its docstring is the statement."""

    def make(check: Callable[[Probe], None]) -> Rule:
        statement = " ".join((inspect.getdoc(check) or "").split())
        return Rule(name, statement, check, certainty, destructive)

    return make
