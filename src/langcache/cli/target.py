"""A cache that the commands work on: what it can do, and what can go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "DONE",
    "INTERRUPTED",
    "NOTHING",
    "UNREACHABLE",
    "USAGE",
    "Row",
    "RowError",
    "Target",
    "TargetError",
    "reason_of",
]

DONE, NOTHING, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
"""The exit statuses: see `langcache --help`."""


class Row(NamedTuple):
    """An entry to store.

    Attributes:
        line: The line of the file that it begins at, from 1.
        prompt: The prompt.
        response: The response.
        attributes: Names and values to filter by.
        ttl_millis: How long it lives, in milliseconds; None for what the cache has.
    """

    line: int
    prompt: str
    response: str
    attributes: dict[str, str]
    ttl_millis: int | None = None


class RowError(NamedTuple):
    """A row of a file that is not stored, and why."""

    line: int
    problem: str


class TargetError(Exception):
    """A server or a storage cannot be used. The message holds no secret and no prompt.

    Args:
        message: What is wrong.
        status: The exit status of the command.
        passing: Whether it may work in a moment.
    """

    def __init__(self, message: str, status: int = UNREACHABLE, *, passing: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.passing = passing


def reason_of(error: BaseException) -> str:
    """Return why a server cannot be reached: what the system says, or else the kind of error.

    The message of an HTTP error is not used, as it may repeat the URL and its password.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


class Target(Protocol):
    """What the commands do with a cache. Every method may raise a `TargetError`.

    Attributes:
        name: What it is called in messages: no secret.
        place: What tells it from every other target, also no secret.
        parallel: How many calls of `store` may be under way at once.
        together: How many rows `store` takes.
    """

    name: str
    place: str
    parallel: int
    together: int

    def search(
        self,
        prompt: str,
        *,
        threshold: float | None,
        attributes: dict[str, str],
        limit: int,
        verifier: str | None,
    ) -> dict[str, Any]:
        """Return what a search comes to and why, as the console's `explain` writes it."""
        ...

    def store(self, rows: Sequence[Row]) -> list[RowError]:
        """Store rows and return those that are not stored."""
        ...

    def set(self, row: Row) -> str:
        """Store one entry and return its id."""
        ...

    def delete(self, entry_ids: Sequence[str]) -> int:
        """Delete entries and return how many there were."""
        ...

    def delete_by_attributes(self, attributes: dict[str, str]) -> int:
        """Delete the entries that have attributes and return how many there were."""
        ...

    def flush(self) -> None:
        """Delete all entries."""
        ...

    def export(self) -> Iterator[dict[str, Any]]:
        """Yield all entries, as the console exports them."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return numbers."""
        ...

    def close(self) -> None:
        """Release connections and files."""
        ...
