"""Rules of the TTL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import NotCheckedError, require
from langcache_mockserver.contract.probe import EXACT, SEMANTIC
from langcache_mockserver.contract.rule import rule

if TYPE_CHECKING:
    from langcache_mockserver.contract.probe import Probe

_TTL_MILLIS = 1_500
_WAIT_SECONDS = 2.0


@rule("ttl.expires")
def expires(probe: Probe) -> None:
    """An entry is found until its TTL has passed and never after; others stay."""
    if not probe.target.wait:
        raise NotCheckedError("it takes a wait of two seconds, which is not allowed")
    prompt, other = (probe.unique("What is the time, {}?") for _ in range(2))
    kept = probe.store(other)
    stored = probe.store(prompt, ttl_millis=_TTL_MILLIS)
    # One search, so that a slow service has a chance to answer in time.
    early = [each.id for each in probe.search(prompt, EXACT)]
    require(stored in early, "the entry before its TTL has passed", "none")
    probe.sleep(_WAIT_SECONDS)
    for strategy in (EXACT, SEMANTIC):
        late = [each.id for each in probe.search(prompt, strategy, max_results=10)]
        require(stored not in late, "no entry after its TTL", f"the entry by {strategy[0]}")
    found = [each.id for each in probe.search(other, EXACT)]
    require(kept in found, "the entry of a longer TTL", "none")


RULES = [expires]
