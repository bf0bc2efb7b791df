"""Where a server keeps its entries, by what the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.storage import InMemoryStorage, SQLiteStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine.storage import StorageBackend

STORAGES = "memory, sqlite:PATH, redis://HOST[:PORT][/DB]"
"""The forms that the setting has, for messages."""

_SQLITE = "sqlite:"
_REDIS = ("redis://", "rediss://", "unix://", "redis+sentinel://", "redis+cluster://")


def is_storage(setting: str) -> bool:
    """Return whether the setting has one of the forms."""
    return setting == "memory" or any(
        setting.startswith(scheme) and len(setting) > len(scheme) for scheme in (_SQLITE, *_REDIS)
    )


def is_shared(setting: str) -> bool:
    """Return whether several processes can use the storage that a setting names at once."""
    return setting.startswith(_REDIS)


def open_storage(setting: str, clock: Callable[[], float]) -> StorageBackend:
    """Return the storage that a setting names; it lives by the clock.

    Raises:
        ImportError: It needs a package that is not installed.
        StorageError: It can't be opened.
        ValueError: The URL is malformed.
    """
    if setting.startswith(_SQLITE):
        return SQLiteStorage(setting[len(_SQLITE) :], clock=clock)
    if setting.startswith(_REDIS):
        from langcache.engine.storage import RedisStorage

        return RedisStorage(url=setting, clock=clock)
    return InMemoryStorage(clock=clock)
