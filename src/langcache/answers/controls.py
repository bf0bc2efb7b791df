"""What holds for the calls of a block: the names of its scope, and whether it uses the cache."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["Controls", "controls_of", "use_controls"]


@dataclass(frozen=True, slots=True)
class Controls:
    """What holds for a call.

    Attributes:
        bypass: Whether the cache is neither read nor written.
        scope: Names and values that must be equal for calls to share answers.
    """

    bypass: bool = False
    scope: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


_DEFAULT = Controls()
# By the id of the cache, which lives at least as long as the block.
_current: ContextVar[Mapping[int, Controls]] = ContextVar("_current", default=MappingProxyType({}))


def controls_of(cache: object) -> Controls:
    """Return what holds for the calls of a cache in the current thread or task."""
    return _current.get().get(id(cache), _DEFAULT)


@contextlib.contextmanager
def use_controls(
    cache: object, *, bypass: bool | None = None, scope: Mapping[str, Any] | None = None
) -> Generator[None]:
    """Use controls of a cache in the block, on top of those that hold already."""
    known = controls_of(cache)
    changed = replace(
        known,
        bypass=known.bypass if bypass is None else bypass,
        scope={**known.scope, **(scope or {})},
    )
    token = _current.set({**_current.get(), id(cache): changed})
    try:
        yield
    finally:
        _current.reset(token)
