"""What the check of a rule raises when the rule does not hold or cannot be checked."""

from __future__ import annotations


class DepartureError(Exception):
    """A rule that does not hold.

    Args:
        expected: What the contract demands.
        got: What the service did instead.
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}; got {got}")
        self.expected = expected
        self.got = got


class FailureError(DepartureError):
    """A request without a response, or with a 5xx, which no rule allows."""


class NotCheckedError(Exception):
    """A rule that cannot be checked here; the text has the reason."""


def require(holds: bool, expected: str, got: object) -> None:
    """Raise `DepartureError` unless a rule holds."""
    if not holds:
        raise DepartureError(expected, str(got))
