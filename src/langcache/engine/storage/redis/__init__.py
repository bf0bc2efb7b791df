"""The storage backend on Redis; it needs the extra `redis`."""

from importlib.util import find_spec

if find_spec("redis") is None:
    raise ImportError(
        'to keep entries in Redis, install the extra: pip install "langcache[redis]"'
    ) from ModuleNotFoundError("No module named 'redis'", name="redis")

from langcache.engine.storage.redis.backend import RedisStorage

__all__ = ["RedisStorage"]
