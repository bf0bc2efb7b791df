"""Explanations of calls of wrapped clients: the call is made, and stopped when it looks up."""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.answers.request import Request

__all__ = ["intercept", "request_of_call"]

_METHODS = ("create", "parse")
_explained: ContextVar[object] = ContextVar("_explained", default=None)


class _StoppedError(BaseException):
    """Carries the request out of the call."""

    def __init__(self, request: Request | None) -> None:
        super().__init__()
        self.request = request


def intercept(cache: object, request: Request | None) -> None:
    """Stop the call here if it is only to be explained. Doors call it before they look up."""
    if _explained.get() is cache:
        raise _StoppedError(request)


def request_of_call(
    cache: object, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Request | None:
    """Return the request that a call of a wrapped client would look up.

    Raises:
        TypeError: The call looks up nothing.
    """
    post = getattr(getattr(call, "__self__", None), "_post", None)
    if getattr(post, "langcache", None) is not cache or call.__name__ not in _METHODS:
        raise TypeError("call: must be a cached function or a cached method of a wrapped client")
    token = _explained.set(cache)
    try:
        result = call(*args, **kwargs)
        if inspect.iscoroutine(result):
            try:
                result.send(None)  # it looks up before it waits for anything
            finally:
                result.close()
    except _StoppedError as stopped:
        return stopped.request
    finally:
        _explained.reset(token)
    return None
