"""Labels of metrics whose values callers choose: so many of them, and no more."""

from __future__ import annotations

OTHER = "other"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Labels:
    """The first so many values keep their names; all later ones are `other`.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, value: str) -> str:
        """Return the label of a value."""
        if value not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value

    def known(self) -> set[str]:
        """Return the values that have labels of their own."""
        return self._known.copy()


def method_label(method: str) -> str:
    """Return the label of an HTTP method."""
    return method if method in _METHODS else OTHER
