"""The journal: the requests so far and their outcomes, for tests to verify."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from langcache_mockserver.controls.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Unpack

JOURNAL_SIZE = 1000
"""How many requests a journal keeps. Above it, the oldest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One request and its outcome.

    Attributes:
        time: When its response ended, in seconds since the epoch, by the server's clock.
        duration_millis: How long its response took, in milliseconds of real time.
        request_id: The id that its response carries.
        operation: The contract's `operationId`, or "" if no operation has this path and method.
        method: The HTTP method.
        path: The path, percent-encoded as it came, without the query.
        cache_id: The id of the cache in the path, or "".
        key: The API key, masked by `masked`; "" if there was none or it was not looked at.
        status: The HTTP status of the response; None if there was none.
        outcome: The outcome of a search: `hit`, `rejected`, `near_miss` or `miss`; "" for
            other operations.
        fault: The id of the fault that struck it, or None.
        request_body: The first 64 KiB of its body if bodies are kept, else None.
        response_body: The first 64 KiB of the response's body if bodies are kept, else None.
    """

    time: float
    duration_millis: float
    request_id: str
    operation: str
    method: str
    path: str
    cache_id: str
    key: str
    status: int | None
    outcome: str
    fault: str | None
    request_body: str | None = field(default=None, repr=False)
    response_body: str | None = field(default=None, repr=False)


class JournalFilter(TypedDict, total=False):
    """A filter of requests; a member that is left out matches all.

    Attributes:
        operation: The operation.
        cache_id: The id of the cache.
        status: The HTTP status of the response.
        outcome: The outcome of the search.
        key: The API key, not masked.
        fault: The id of the fault that struck it.
        since: The earliest end of its response, in seconds since the epoch, by the server's clock.
    """

    operation: str
    cache_id: str
    status: int
    outcome: str
    key: str
    fault: str
    since: float


class Journal:
    """The last requests of a server, oldest first, except those for the test controls.

    Thread-safe.

    Attributes:
        bodies: Whether to keep the bodies of requests and responses under `/v1/`; False at first.
            They contain prompts and responses.

    Args:
        size: The number of requests to keep.
    """

    def __init__(self, size: int = JOURNAL_SIZE) -> None:
        self.bodies = False
        self._entries: deque[JournalEntry | Callable[[], JournalEntry]] = deque(maxlen=size)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[JournalEntry]:
        with self._lock:
            entries = [each() if callable(each) else each for each in self._entries]
            self._entries = deque(entries, self._entries.maxlen)
            return iter(entries)

    def add(self, entry: JournalEntry | Callable[[], JournalEntry]) -> None:
        """Add a request: its entry, or what makes it as soon as somebody reads the journal."""
        with self._lock:
            self._entries.append(entry)

    def find(self, **wanted: Unpack[JournalFilter]) -> list[JournalEntry]:
        """Return the requests that match a filter, oldest first."""
        since = wanted.pop("since", None)
        if "key" in wanted:
            wanted["key"] = masked(wanted["key"])
        return [
            entry
            for entry in self
            if (since is None or entry.time >= since)
            and all(getattr(entry, name) == value for name, value in wanted.items())
        ]

    def count(self, **wanted: Unpack[JournalFilter]) -> int:
        """Return the number of requests that match a filter."""
        return len(self.find(**wanted))

    def verify(self, times: int, **wanted: Unpack[JournalFilter]) -> None:
        """Check the number of requests that match a filter: `journal.verify(2, operation="set")`.

        Raises:
            AssertionError: There are more or fewer. It lists the requests that came.
        """
        found = self.count(**wanted)
        if found != times:
            shown: dict[str, object] = {**wanted}
            if "key" in wanted:
                shown["key"] = masked(wanted["key"])
            came = "".join(f"\n  {_line(entry)}" for entry in self) or " none"
            raise AssertionError(
                f"expected {times} requests of {shown}, found {found}; came:{came}"
            )

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._entries.clear()


def _line(entry: JournalEntry) -> str:
    name = entry.operation or f"{entry.method} {entry.path}"
    notes = [entry.outcome, entry.fault or ""]
    return " ".join([name, entry.cache_id, str(entry.status), *filter(None, notes)])
