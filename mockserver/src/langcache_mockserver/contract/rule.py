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
    """How sure it is that every LangCache keeps a rule.

    Attributes:
        CERTAIN: Not to keep it is a departure.
        STRICT: Only a service that knows its caches, keys and attributes keeps it: a departure
            where the target is strict, else a note.
        UNCERTAIN: Written nowhere, or seen once only: not to keep it is worth a note.
    """

    CERTAIN = "certain"
    STRICT = "strict"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the contract.

    Attributes:
        name: Its name, such as `search.max-results`.
        statement: What it says, in one sentence.
        check: Raises `DepartureError` where the rule does not hold, `NotCheckedError` where it
            can't be checked.
        certainty: What it means that it does not hold.
        destructive: Whether checking it deletes entries that the check has not written.
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
