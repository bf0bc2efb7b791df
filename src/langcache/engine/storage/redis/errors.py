"""Errors of Redis that are both errors of a storage and errors of redis-py."""

from redis import exceptions

from langcache.engine.storage.errors import StorageError, StorageFullError

__all__ = [
    "RedisFullError",
    "RedisNoAnswerError",
    "RedisStorageError",
    "RedisUnreachableError",
]


class RedisStorageError(StorageError, exceptions.RedisError):
    """Redis refuses, or something else is wrong with it."""


class RedisUnreachableError(StorageError, exceptions.ConnectionError):
    """There is no connection to Redis."""


class RedisNoAnswerError(StorageError, exceptions.TimeoutError):
    """Redis does not answer in time."""


class RedisFullError(StorageFullError, exceptions.RedisError):
    """Redis is out of memory."""
