"""Operations that run synchronously or asynchronously.

An operation is a generator that makes all decisions and yields each call that may block. Two short
drivers make the calls, so that the synchronous and the asynchronous form decide alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar, cast

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Step(NamedTuple):
    """A call that may block, in both forms."""

    run: Callable[[], Any]
    arun: Callable[[], Awaitable[Any]]


Steps: TypeAlias = Generator[Step, Any, _T]
"""An operation whose result is a `_T`."""


def call(
    method: Callable[_P, _T],
    twin: Callable[_P, Awaitable[_T]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> Steps[_T]:
    """Call a method or, in an asynchronous run, its twin."""
    step = Step(partial(method, *args, **kwargs), partial(twin, *args, **kwargs))
    return cast("_T", (yield step))


def run(steps: Steps[_T]) -> _T:
    """Run an operation in the caller's thread and return its result."""
    result = None
    while True:
        try:
            step = steps.send(result)
        except StopIteration as stop:
            return cast("_T", stop.value)
        result = step.run()


async def arun(steps: Steps[_T]) -> _T:
    """Run an operation with the asynchronous twins and return its result."""
    result = None
    while True:
        try:
            step = steps.send(result)
        except StopIteration as stop:
            return cast("_T", stop.value)
        result = await step.arun()
