"""The storage backends that LiteLLM's settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.storage.create import create_storage, is_redis_url, is_storage_name

if TYPE_CHECKING:
    from langcache.engine import StorageBackend
    from langcache.integrations.litellm._redis import RedisAddress


def open_storage(
    storage: str,
    redis: RedisAddress,
    *,
    max_entries: int | None = None,
    max_bytes: int | None = None,
) -> StorageBackend:
    """Return the storage backend that a string names.

    Args:
        storage: "memory", "sqlite:PATH", "redis" or a Redis URL.
        redis: The address to use for "redis".
        max_entries: The largest number of entries in memory or SQLite; None for no limit.
        max_bytes: The most bytes of memory that they may take; None for no limit.

    Raises:
        ValueError: The string names no storage, or the address is incomplete.
        TypeError: A part of the address has the wrong type.
        ImportError: The extra `redis` is not installed.
    """
    if redis and storage != "redis":
        raise ValueError('storage: must be "redis" or left out with a Redis address')
    if storage == "redis":
        url = redis.url()
        from langcache.engine import RedisStorage  # needs the extra

        return RedisStorage(url=url)
    if is_storage_name(storage) or is_redis_url(storage):
        return create_storage(storage, max_entries=max_entries, max_bytes=max_bytes)
    raise ValueError(
        'storage: must be "memory", "sqlite:PATH", "redis", a Redis URL, a StorageBackend or a'
        f" LangCache client, got a string of {len(storage)} characters"
    )
