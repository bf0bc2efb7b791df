"""The storage backend on Redis; it needs the extra `redis`."""

from importlib.util import find_spec

if find_spec("redis") is None:
    raise ImportError(
        'RedisStorage needs the extra redis; see "Install" in the README'
    ) from ModuleNotFoundError("No module named 'redis'", name="redis")

from langcache.engine.storage.redis.backend import RedisStorage
from langcache.engine.storage.redis.migration import Migration

__all__ = ["Migration", "RedisStorage"]
