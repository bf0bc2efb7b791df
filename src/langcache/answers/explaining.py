"""Explanations of calls: the call is made, and stopped when it looks up its answer."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, cast

from langcache._event_loops import running_asyncio_loop
from langcache.answers.controls import controls_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from langcache.answers.request import Request

__all__ = ["arequest_of_call", "intercept", "not_looked_up", "refuse", "request_of_call"]

_METHODS = ("create", "parse")
_explained: ContextVar[_Explained | None] = ContextVar("_explained", default=None)


class _StoppedError(BaseException):
    """Ends a call that is only to be explained."""


class _Explained:
    """A call that is to be explained.

    Attributes:
        cache: The cache that it may look up in.
        is_stopped: Whether it has been stopped, there or before.
        is_refused: Whether it was stopped because it was about to ask a model.
        request: What it was about to look up.
    """

    def __init__(self, cache: object) -> None:
        self.cache = cache
        self.is_stopped: bool = False
        self.is_refused: bool = False
        self.request: Request | None = None

    def stop(self, request: Request | None = None, *, is_refused: bool = False) -> NoReturn:
        """Stop the call. What it does after it was stopped does not count."""
        if not self.is_stopped:
            self.is_stopped = True
            self.is_refused = is_refused
            self.request = request
        raise _StoppedError

    def found(self) -> Request | None:
        """Return the request that was to be looked up.

        Raises:
            TypeError: The call has looked up nothing, or was about to ask a model.
        """
        if self.is_refused:
            raise TypeError(
                "call: must not ask a model before it looks up an answer in this cache; it first"
                " asks through another cache, which has no answer. If it may ask that model, bypass"
                " the other cache"
            )
        if not self.is_stopped:
            raise TypeError(f"{_REFUSED}, or look up an answer in this cache")
        return self.request


_REFUSED = "call: must be a cached function or a cached method of a wrapped client"


def intercept(cache: object, request: Request | None) -> None:
    """Stop the call here if it is only to be explained."""
    explained = _explained.get()
    if explained is not None and (explained.cache is cache or explained.is_stopped):
        explained.stop(request)


def not_looked_up(cache: object) -> None:
    """Stop the call here if it is only to be explained, and its answer is never in a cache."""
    intercept(cache, None)
    if not controls_of(cache).bypass:
        refuse()


def refuse(release: Callable[[], object] | None = None) -> None:
    """Stop the call here, before it asks a model, if it is only to be explained.

    Args:
        release: Called before, so that nobody waits for the answer to the call.
    """
    explained = _explained.get()
    if explained is not None:
        if release is not None:
            release()
        explained.stop(is_refused=True)


def request_of_call(
    cache: object, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Request | None:
    """Return the request that a call would look up.

    Raises:
        TypeError: The call looks up nothing.
    """
    _check(cache, call)
    with _explaining(cache) as explained:
        _begin(call(*args, **kwargs))
    return explained.found()


async def arequest_of_call(
    cache: object, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Request | None:
    """Asynchronous twin of `request_of_call`."""
    _check(cache, call)
    with _explaining(cache) as explained:
        if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call):
            result = call(*args, **kwargs)
        else:
            result = await asyncio.to_thread(call, *args, **kwargs)
        if _is_async(result):
            await _abegin(result)
        else:
            await asyncio.to_thread(_begin, result)
    return explained.found()


@contextmanager
def _explaining(cache: object) -> Generator[_Explained]:
    """Stop the call that is made in this block where it looks up in a cache."""
    explained = _Explained(cache)
    token = _explained.set(explained)
    try:
        yield explained
    # A framework may have made another exception of ours.
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)) or not explained.is_stopped:
            raise
    finally:
        _explained.reset(token)


def _check(cache: object, call: Callable[..., Any]) -> None:
    """Refuse a method of a provider's client that would reach the provider."""
    post = getattr(getattr(call, "__self__", None), "_post", None)
    if post is None:
        return
    if getattr(post, "langcache", None) is not cache or call.__name__ not in _METHODS:
        raise TypeError(_REFUSED)


def _is_async(result: Any) -> bool:
    return inspect.isawaitable(result) or inspect.isasyncgen(result) or _is_async_block(result)


def _is_async_block(result: Any) -> bool:
    return hasattr(cast("type[Any]", type(result)), "__aenter__")


def _begin(result: Any) -> None:
    """Make what a call has returned look up its answer, if it has not yet."""
    if inspect.isgenerator(result):
        next(result, None)
        result.close()
    elif not _is_async(result):
        return
    elif running_asyncio_loop() is None:
        asyncio.run(_abegin(result))
    elif inspect.iscoroutine(result):
        try:
            result.send(None)  # it may look up before it waits for anything
        finally:
            result.close()


async def _abegin(result: Any) -> None:
    if inspect.isawaitable(result):
        result = await result
    if _is_async_block(result):
        async with result:
            pass
    elif inspect.isasyncgen(result):
        await anext(result, None)
        await result.aclose()
