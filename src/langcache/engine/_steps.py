"""Operations that run synchronously or asynchronously.

An operation is a generator that makes all decisions and yields each call that may block. Two short
drivers make the calls, so that the synchronous and the asynchronous form decide alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

_P = ParamSpec("_P")
_T = TypeVar("_T")

# A tuple, because making one takes less time than any other object.
Step: TypeAlias = tuple[
    Callable[..., Any], Callable[..., Awaitable[Any]], tuple[Any, ...], dict[str, Any]
]
"""A call that may block: the method, its asynchronous twin, and the arguments of either."""

Steps: TypeAlias = Generator[Step, Any, _T]
"""An operation whose result is a `_T`."""


def call(
    method: Callable[_P, _T],
    twin: Callable[_P, Awaitable[_T]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> Steps[_T]:
    """Call a method or, in an asynchronous run, its twin."""
    return cast("_T", (yield method, twin, args, kwargs))


def run(steps: Steps[_T]) -> _T:
    """Run an operation in the caller's thread and return its result."""
    result = None
    while True:
        try:
            method, _, args, kwargs = steps.send(result)
        except StopIteration as stop:
            return cast("_T", stop.value)
        result = method(*args, **kwargs)


async def arun(steps: Steps[_T]) -> _T:
    """Run an operation with the asynchronous twins and return its result."""
    result = None
    while True:
        try:
            _, twin, args, kwargs = steps.send(result)
        except StopIteration as stop:
            return cast("_T", stop.value)
        result = await twin(*args, **kwargs)
