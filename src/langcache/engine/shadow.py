"""Shadow mode: what a cache would have served, beside the real response."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from langcache.engine._locks import fork_safe_lock

if TYPE_CHECKING:
    from langcache.engine.verify.base import Verdict

__all__ = ["PendingLookups", "ShadowLookup"]

_MOST_PENDING = 1000


@dataclass(frozen=True, slots=True)
class ShadowLookup:
    """What a cache in shadow mode would have served. The texts are not part of the repr.

    Attributes:
        prompt: The prompt that was asked.
        cached_prompt: The prompt of the candidate.
        cached_response: The response that would have been served.
        response: The response that was stored for the prompt instead.
        similarity: The similarity of the candidate, (1 + cosine) / 2, in [0, 1].
        verdict: What the checks decided. A candidate that they turned down is recorded, too.
        recorded_at: When the lookup was made, in seconds since the epoch.
    """

    prompt: str = field(repr=False)
    cached_prompt: str = field(repr=False)
    cached_response: str = field(repr=False)
    response: str = field(repr=False)
    similarity: float
    verdict: Verdict
    recorded_at: float


class PendingLookups:
    """Lookups whose real response is not known yet: the last 1,000. Thread-safe."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._lookups: OrderedDict[str, ShadowLookup] = OrderedDict()

    def add(self, lookup: ShadowLookup) -> None:
        """Keep a lookup, in place of an earlier one of the same prompt."""
        with self._lock:
            self._lookups.pop(lookup.prompt, None)
            self._lookups[lookup.prompt] = lookup
            if len(self._lookups) > _MOST_PENDING:
                self._lookups.popitem(last=False)

    def complete(self, prompt: str, response: str) -> ShadowLookup | None:
        """Return the lookup of a prompt with its real response, once; None when there is none."""
        with self._lock:
            lookup = self._lookups.pop(prompt, None)
        return lookup and replace(lookup, response=response)
