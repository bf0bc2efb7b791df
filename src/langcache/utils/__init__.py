"""Configuration of a client: retries and logging."""

from langcache.utils.logger import Logger
from langcache.utils.retries import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "Logger", "RetryConfig"]
