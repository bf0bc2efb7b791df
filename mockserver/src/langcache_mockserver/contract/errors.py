"""What the check of a rule raises when the rule does not hold or cannot be checked."""

from __future__ import annotations


class DepartureError(Exception):
    """A rule that does not hold.

    Args:
        expected: What the contract says.
        got: What was seen instead.
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}; got {got}")
        self.expected = expected
        self.got = got


class FailureError(DepartureError):
    """A request that the service failed to answer, or answered with a 5xx: no rule allows that."""


class NotCheckedError(Exception):
    """A rule that can't be checked here; the text says why."""


def require(holds: bool, expected: str, got: object) -> None:
    """Say that a rule does not hold, unless it does."""
    if not holds:
        raise DepartureError(expected, str(got))
