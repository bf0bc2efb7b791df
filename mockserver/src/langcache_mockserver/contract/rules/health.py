"""Rules of the health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import require
from langcache_mockserver.contract.rule import rule

if TYPE_CHECKING:
    from langcache_mockserver.contract.probe import Probe


@rule("health.cache")
def of_cache(probe: Probe) -> None:
    """The health of a cache is a 200 that says that it is ok."""
    answer = probe.send("health").must_be(200)
    require(answer.member("ok", bool) is True, "ok", "not ok")


@rule("health.service")
def of_service(probe: Probe) -> None:
    """The probes of the service answer 200 without a key."""
    for operation in ("serviceHealth", "serviceLiveness", "serviceReadiness"):
        probe.send(operation, authorization=None).must_be(200)


RULES = [of_cache, of_service]
