"""Storage backends by name, as settings give them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from langcache.engine.storage.memory import InMemoryStorage
from langcache.engine.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine.storage.base import StorageBackend

__all__ = ["create_storage", "is_redis_url", "is_storage_name"]

_SQLITE = "sqlite:"
_REDIS = (
    *("redis://", "redis+sentinel://", "redis+cluster://"),
    *("rediss://", "rediss+sentinel://", "rediss+cluster://"),
    "unix://",
)


def is_redis_url(name: str) -> bool:
    """Return whether a name is the URL of a Redis, whose entries several processes can share."""
    return name.startswith(_REDIS)


def is_storage_name(name: str) -> bool:
    """Return whether a name is "memory", "sqlite:PATH" or the URL of a Redis that says where."""
    return name == "memory" or any(
        name.startswith(scheme) and len(name) > len(scheme) for scheme in (_SQLITE, *_REDIS)
    )


def create_storage(
    name: str,
    *,
    clock: Callable[[], float] = time.time,
    max_entries: int | None = None,
    max_bytes: int | None = None,
) -> StorageBackend:
    """Return the storage backend of a name.

    Args:
        name: "memory"; "sqlite:PATH"; or the URL of a Redis, as `RedisStorage` takes it.
        clock: Returns the present moment, in seconds since the epoch.
        max_entries: As for `InMemoryStorage`. A Redis has limits of its own, and ignores this.
        max_bytes: The same.

    Raises:
        ImportError: It needs a package that is not installed.
        StorageError: The file of an `SQLiteStorage` is refused, or cannot be opened.
        ValueError: The name is none of these. The message does not repeat the name, which may
            contain a password.
    """
    if is_redis_url(name):
        from langcache.engine.storage.redis import RedisStorage  # needs the extra

        return RedisStorage(url=name, clock=clock)
    if not is_storage_name(name):
        raise ValueError(
            'storage: must be "memory", "sqlite:PATH" or the URL of a Redis,'
            f" got a string of {len(name)} characters"
        )
    return (
        InMemoryStorage(clock=clock, max_entries=max_entries, max_bytes=max_bytes)
        if name == "memory"
        else SQLiteStorage(
            name[len(_SQLITE) :], clock=clock, max_entries=max_entries, max_bytes=max_bytes
        )
    )
