"""Faults: requests that go wrong on purpose, and how."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, get_args

from langcache_mockserver.controls.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Unpack

Operation: TypeAlias = Literal[
    "set", "search", "conversationalSearch", "deleteQuery", "deleteById", "flush", "health"
]
"""The operations of the data plane, by the contract's `operationId`; `health` is a cache's."""

Damage: TypeAlias = Literal["reset", "truncated", "malformed"]
"""How a fault can break a response on its way:

- `reset`: the connection is reset; nothing of the response arrives;
- `truncated`: the connection is closed after half of the body, short of its Content-Length;
- `malformed`: half of the body is sent as if it were all, so it is not JSON.
"""

_CHOICES = {"operation": get_args(Operation), "damage": get_args(Damage)}
_MAX_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Requests that go wrong on purpose, and how.

    A request matches if operation, cache and key match; None matches all. `nth`, `probability` and
    `times` then decide which of the matching requests the fault strikes.

    A struck request waits for `latency`. Then it gets a response with `status`, or is carried out.
    Then `damage` or `drip_bytes` changes the response. So a connection that is reset without a
    status is like one on which the acknowledgement got lost.

    Attributes:
        operation: The operation.
        cache_id: The id of the cache.
        key: The API key. `Faults` keeps only a part of its SHA-256.
        nth: Strike only the n-th matching request, counted from 1.
        probability: Strike a matching request with this probability, 0 to 1.
        seed: The seed of the fault's own random numbers, so that a run can be repeated.
        times: The number of requests to strike before the fault removes itself; None for no limit.
            A fault with `nth` removes itself after that request.
        status: The HTTP status of the response, 400 to 599; its body is the contract's problem.
        detail: The `detail` of that problem.
        retry_after: The Retry-After header of that response, in seconds.
        latency: How long the response waits, in seconds, up to 3600.
        drip_bytes: Send the body in pieces of this many bytes.
        drip_interval: The time before each piece, in seconds, up to 3600.
        damage: How the response is broken on its way.

    Raises:
        ValueError: A value is invalid, or the fault has no effect.
    """

    operation: Operation | None = None
    cache_id: str | None = None
    key: str | None = field(default=None, repr=False)
    nth: int | None = None
    probability: float | None = None
    seed: int = 0
    times: int | None = None
    status: int | None = None
    detail: str = "a fault that was asked for"
    retry_after: int | None = None
    latency: float = 0.0
    drip_bytes: int | None = None
    drip_interval: float = 0.1
    damage: Damage | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            _require(self, name, f"be one of {', '.join(choices)}", choices.__contains__)
        for name in ("nth", "times", "drip_bytes"):
            _require(self, name, "be at least 1", lambda value: value >= 1)
        for name in ("latency", "drip_interval"):
            _require(self, name, "be from 0 to 3600", lambda value: 0 <= value <= _MAX_SECONDS)
        _require(self, "probability", "be from 0 to 1", lambda value: 0 <= value <= 1)
        _require(self, "status", "be from 400 to 599", lambda value: 400 <= value <= 599)
        _require(self, "retry_after", "be at least 0", lambda value: value >= 0)
        if self.retry_after is not None and self.status is None:
            raise ValueError("retry_after: must be set with a status")
        if self.nth is not None and (self.times, self.probability) != (None, None):
            raise ValueError("nth: must not be set with times or probability")
        if self.damage is not None and self.drip_bytes is not None:
            raise ValueError("damage: must not be set with drip_bytes")
        if not (self.status or self.latency or self.drip_bytes or self.damage):
            rule = "must be set unless latency, drip_bytes or damage is"
            raise ValueError(f"status: {rule}")


class FaultOptions(TypedDict, total=False):
    """The arguments of `Fault`; see there."""

    operation: Operation | None
    cache_id: str | None
    key: str | None
    nth: int | None
    probability: float | None
    seed: int
    times: int | None
    status: int | None
    detail: str
    retry_after: int | None
    latency: float
    drip_bytes: int | None
    drip_interval: float
    damage: Damage | None


class ActiveFault:
    """A fault that is active.

    Attributes:
        id: Its name, such as `fault-1`.
        fault: The fault, without the key.
        masked_key: A part of the SHA-256 of the key that it strikes, or None for all keys.
        matched: The number of requests that matched.
        struck: The number of requests that it struck.
    """

    def __init__(self, id: str, fault: Fault) -> None:
        self.id = id
        self.fault = replace(fault, key=None)
        self.masked_key = None if fault.key is None else masked(fault.key)
        self.matched = 0
        self.struck = 0
        self._random = random.Random(fault.seed)  # noqa: S311 - not for secrets

    @property
    def is_used_up(self) -> bool:
        """Whether it has struck as often as it should."""
        times = 1 if self.fault.nth is not None else self.fault.times
        return times is not None and self.struck >= times

    def strikes(self, operation: str, cache_id: str, key: str) -> bool:
        """Count a request if it matches, and return whether the fault strikes it."""
        fault = self.fault
        if (
            fault.operation not in (None, operation)
            or fault.cache_id not in (None, cache_id)
            or self.masked_key not in (None, masked(key))
        ):
            return False
        self.matched += 1
        if fault.nth is not None and self.matched != fault.nth:
            return False
        if fault.probability is not None and self._random.random() >= fault.probability:
            return False
        self.struck += 1
        return True


class Faults:
    """The faults of a server, in the order in which they were added.

    At most one fault strikes a request: the first that matches. Later ones do not count the
    request. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[ActiveFault] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._active)

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(self._active.copy())

    def add(self, **options: Unpack[FaultOptions]) -> ActiveFault:
        """Add a fault: `faults.add(operation="search", status=503, retry_after=1, times=2)`.

        Args:
            options: The arguments of `Fault`.

        Returns:
            The active fault, which counts requests.

        Raises:
            ValueError: As `Fault` raises it.
        """
        fault = Fault(**options)
        with self._lock:
            self._added += 1
            active = ActiveFault(f"fault-{self._added}", fault)
            self._active.append(active)
        return active

    def remove(self, fault_id: str) -> bool:
        """Remove a fault by its id, and return whether it was there."""
        with self._lock:
            left = [each for each in self._active if each.id != fault_id]
            found = len(left) < len(self._active)
            self._active = left
        return found

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._active = []

    def strike(self, operation: str, cache_id: str, key: str) -> ActiveFault | None:
        """Count a request, and return the fault that strikes it, or None."""
        if not self._active:
            return None
        with self._lock:
            for active in self._active:
                if active.strikes(operation, cache_id, key):
                    if active.is_used_up:
                        self._active = [each for each in self._active if each is not active]
                    return active
        return None


def _require(fault: Fault, name: str, rule: str, holds: Callable[[Any], bool]) -> None:
    value = getattr(fault, name)
    if value is not None and not holds(value):
        raise ValueError(f"{name}: must {rule}, got {value!r}")
