"""All test controls of one server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from langcache_mockserver.controls.clock import Clock, ClockError
from langcache_mockserver.controls.faults import Faults
from langcache_mockserver.controls.journal import Journal, JournalEntry
from langcache_mockserver.controls.masking import masked
from langcache_mockserver.controls.recording import Recording
from langcache_mockserver.controls.state import State
from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.request import decode_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.controls.faults import ActiveFault
    from langcache_mockserver.controls.state import Dump
    from langcache_mockserver.domain.lookups import Lookups
    from langcache_mockserver.domain.registry import Registry
    from langcache_mockserver.http.exchange import Exchange


_CACHE = re.compile("/v1/caches/([^/]+)/")

PREFIX = "/_mock/"
"""The prefix of the test controls' paths."""


@dataclass(slots=True)
class Interception:
    """What the test controls do to one exchange.

    Attributes:
        fault: The fault that strikes it, or None.
        bodies: The beginnings of its request's and its response's body, or None if they are not
            kept.
    """

    fault: ActiveFault | None = None
    bodies: tuple[bytearray, bytearray] | None = None


class Controls:
    """The test controls of one server.

    Attributes:
        faults: The faults to inject.
        journal: The requests so far.
        recording: Recorded responses of another LangCache.
        state: Seeds, dumps and loads what the server keeps.
        interceptions: The exchanges under way that faults may strike or whose bodies are kept.

    Args:
        embedder: Embeds prompts.
        storage: Keeps the entries and records.
        registry: The declared caches and keys.
        clock: Returns the server's time in seconds since the epoch.
        lookups: The latest lookups, or None if none are kept.
        max_body_bytes: The largest body of a request of the data plane.
    """

    def __init__(
        self,
        embedder: Embedder,
        storage: StorageBackend,
        registry: Registry,
        clock: Callable[[], float],
        lookups: Lookups | None = None,
        max_body_bytes: int = 1 << 20,
    ) -> None:
        self.faults = Faults()
        self.journal = Journal()
        self.recording = Recording(max_body_bytes)
        self.state = State(embedder, storage, registry, clock, lookups)
        self.interceptions: dict[Exchange, Interception] = {}
        self._clock = clock

    @property
    def clock(self) -> Clock:
        """The clock of the server.

        Raises:
            ClockError: The server was made with another clock, or a storage that may have its own.
        """
        if not isinstance(self._clock, Clock):
            raise ClockError(
                "the clock cannot be controlled: the server was made with a storage or another "
                "clock; pass a langcache_mockserver.Clock to both"
            )
        return self._clock

    def reset(self) -> None:
        """Bring everything back to its initial state; a recording goes on, a replay starts again.

        The initial state has no entries, only the caches and keys of the configuration, no faults,
        an empty journal without bodies, and the time of the system.
        """
        self.state.reset()
        self.reset_observation()

    def reset_observation(self) -> None:
        """Reset everything but entries, caches and keys."""
        self.faults.clear()
        self.journal.clear()
        self.journal.bodies = False
        self.recording.rewind()
        if isinstance(self._clock, Clock):
            self._clock.reset()

    def dump(self, cache_ids: Iterable[str] = (), *, vectors: bool = True) -> Dump:
        """Return the whole state: entries, records of the control plane, and the clock.

        Args:
            cache_ids: Caches to include besides those that the server knows. If several processes
                share the storage, it only knows the declared ones.
            vectors: Whether to include the vectors. Without them, `load` embeds the prompts again.
        """
        dump = self.state.dump(cache_ids, vectors=vectors)
        if isinstance(self._clock, Clock):
            dump["clock"] = {"now": self._clock(), "frozen": self._clock.frozen}
        return dump

    def load(self, dump: Dump) -> int:
        """Replace the whole state by that of a dump; the clock only if it was frozen.

        Returns:
            The number of entries in the dump, including those that have expired since.

        Raises:
            ClockError: The clock was frozen, and that of this server cannot be controlled.
            ValueError: The dump is invalid. Nothing has changed then.
        """
        dumped = dump.get("clock")
        if not dumped or not dumped["frozen"]:
            return self.state.load(dump, lambda: None)
        return self.state.load(dump, partial(self.clock.freeze, dumped["now"]))

    def observe(self, exchange: Exchange) -> None:
        """Add an exchange that is over to the journal, unless it is for the test controls."""
        interception = self.interceptions.pop(exchange, None)
        if not exchange.path.startswith(PREFIX):
            # Most are never read.
            self.journal.add(partial(_entry, exchange, interception, self._clock()))


def _entry(exchange: Exchange, interception: Interception | None, time: float) -> JournalEntry:
    """Return the entry of an exchange that was over at a time."""
    interception = interception or Interception()
    request_body, response_body = (
        (None, None)
        if interception.bodies is None
        else [_text(body) for body in interception.bodies]
    )
    return JournalEntry(
        time=time,
        duration_millis=exchange.seconds * 1000,
        request_id=exchange.request_id,
        operation=exchange.operation,
        method=exchange.method,
        path=exchange.path,
        cache_id=exchange.cache_id or _cache_in(exchange.path),
        key=masked(exchange.key),
        status=exchange.status or None,
        outcome=exchange.outcome,
        fault=interception.fault.id if interception.fault else None,
        request_body=request_body,
        response_body=response_body,
    )


def _cache_in(path: str) -> str:
    """Return the id of the cache in a path of the data plane, or "" if it has none."""
    match = _CACHE.match(path)
    try:
        return decode_id(match[1], "cacheId") if match else ""
    except ProblemError:
        return ""


def _text(body: bytearray) -> str:
    return body.decode(errors="replace")
