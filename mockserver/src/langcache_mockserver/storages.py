"""Where a server keeps its entries, by what the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.storage import InMemoryStorage, SQLiteStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine.storage import StorageBackend

STORAGES = "memory, sqlite:PATH"
"""The forms that the setting has, for messages."""

_SQLITE = "sqlite:"


def is_storage(setting: str) -> bool:
    """Return whether the setting has one of the forms."""
    return setting == "memory" or (setting.startswith(_SQLITE) and len(setting) > len(_SQLITE))


def open_storage(setting: str, clock: Callable[[], float]) -> StorageBackend:
    """Return the storage that a setting names; it lives by the clock.

    Raises:
        StorageError: It can't be opened.
    """
    if setting.startswith(_SQLITE):
        return SQLiteStorage(setting[len(_SQLITE) :], clock=clock)
    return InMemoryStorage(clock=clock)
