"""A bounded memory of verdicts."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from langcache.engine._locks import fork_safe_lock
from langcache.engine._utf8 import encoded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langcache.engine.verify.base import Verdict

__all__ = ["VerdictMemory"]


class VerdictMemory:
    """The verdicts on the most recently used pairs of prompts; thread-safe.

    A pair is kept as a digest, so that no prompt stays in memory.

    Args:
        limit: How many verdicts to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()
        self._lock = fork_safe_lock()

    def has_all(self, prompt: str, candidates: Iterable[str]) -> bool:
        """Whether there is a verdict for each candidate now."""
        keys = [_key(prompt, candidate) for candidate in candidates]
        with self._lock:
            return all(key in self._verdicts for key in keys)

    def get(self, prompt: str, candidate: str) -> Verdict | None:
        """Return the verdict on a pair, if there is one."""
        key = _key(prompt, candidate)
        with self._lock:
            verdict = self._verdicts.get(key)
            if verdict is not None:
                self._verdicts.move_to_end(key)
            return verdict

    def put(self, prompt: str, candidate: str, verdict: Verdict) -> None:
        """Keep the verdict on a pair, and drop the least recently used ones above the limit."""
        key = _key(prompt, candidate)
        with self._lock:
            self._verdicts[key] = verdict
            self._verdicts.move_to_end(key)
            while len(self._verdicts) > self._limit:
                self._verdicts.popitem(last=False)


def _key(prompt: str, candidate: str) -> bytes:
    one, other = encoded(prompt), encoded(candidate)
    return hashlib.blake2b(b"%d:%b%b" % (len(one), one, other), digest_size=16).digest()
