"""A typed SDK for LangCache semantic caches.

    from langcache import LangCache

    with LangCache(server_url=..., cache_id=..., api_key=...) as cache:
        cache.set(prompt="How does semantic caching work?", response="By meaning.")
        hit = cache.search(prompt="Explain semantic caching")

The cache itself, as a library to run inside a process, is :mod:`langcache.engine` (extra
``engine``).
"""

from langcache import errors, hooks, httpclient, models, types, utils
from langcache._runtime.raw import RawResponse
from langcache._version import __version__
from langcache.httpclient import (
    AsyncHttpClient,
    DefaultAioHttpClient,
    DefaultAsyncHttpClient,
    DefaultHttpClient,
    HttpClient,
)
from langcache.sdk import LangCache
from langcache.types import UNSET, OptionalNullable
from langcache.utils import BackoffStrategy, RetryConfig

VERSION = __version__

__all__ = [
    "UNSET",
    "VERSION",
    "AsyncHttpClient",
    "BackoffStrategy",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpClient",
    "DefaultHttpClient",
    "HttpClient",
    "LangCache",
    "OptionalNullable",
    "RawResponse",
    "RetryConfig",
    "__version__",
    "errors",
    "hooks",
    "httpclient",
    "models",
    "types",
    "utils",
]
