"""A typed SDK for LangCache semantic caches.

    from langcache import LangCache

    with LangCache(server_url=..., cache_id=..., api_key=...) as cache:
        cache.set(prompt="How does semantic caching work?", response="It compares meanings.")
        hit = cache.search(prompt="Explain semantic caching")

`langcache.engine` (extra `engine`) is the semantic cache itself, as a library. `AnswerCache` and
`wrap` (extra `engine`) put it in front of other libraries; see `langcache.answers`.

Names are imported on first use, so the engine and the server do not load an HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langcache._version import __version__

if TYPE_CHECKING:
    from langcache import errors, hooks, httpclient, models, types, utils
    from langcache._runtime.raw import RawResponse
    from langcache.answers import AnswerCache as AnswerCache
    from langcache.answers import wrap as wrap
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

VERSION: str = __version__

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

_HOMES = {
    # Not in `__all__`, because they need an extra.
    "AnswerCache": "answers",
    "wrap": "answers",
    "UNSET": "types",
    "AsyncHttpClient": "httpclient",
    "BackoffStrategy": "utils",
    "DefaultAioHttpClient": "httpclient",
    "DefaultAsyncHttpClient": "httpclient",
    "DefaultHttpClient": "httpclient",
    "HttpClient": "httpclient",
    "LangCache": "sdk",
    "OptionalNullable": "types",
    "RawResponse": "_runtime.raw",
    "RetryConfig": "utils",
}
_SUBMODULES = {"errors", "hooks", "httpclient", "models", "types", "utils"}


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
