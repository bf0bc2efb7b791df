"""The storage backend on Redis; it needs the extra `redis`."""

from importlib.util import find_spec

if find_spec("redis") is None:
    raise ImportError(
        'RedisStorage needs the extra redis; see "Install" in the README'
    ) from ModuleNotFoundError("No module named 'redis'", name="redis")

from langcache.engine.storage.redis.backend import RedisStorage

__all__ = ["RedisStorage"]
