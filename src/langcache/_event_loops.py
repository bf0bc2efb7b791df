"""Values that belong to one event loop each, and are closed when it ends."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Awaitable, Callable

T = TypeVar("T")

_MOST_DROPPED = 16


class PerLoop(Generic[T]):
    """A value for each event loop, such as a client with its connections.

    A loop is an event loop of asyncio, or the token of a run of trio. A value is closed in its
    loop: when the loop ends (`asyncio.run`, `trio.run` and their like close the asynchronous
    generators that are left, and each value is held by one), or when this object is gone. The value
    of a loop that was closed in another way is dropped when the next loop comes.

    Nothing here takes a lock. A loop calls the methods in its own thread.

    Args:
        close: Closes a value.
    """

    def __init__(self, close: Callable[[T], Awaitable[object]]) -> None:
        self._close = close
        self._values: dict[Any, tuple[T, AsyncGenerator[None]]] = {}
        self._dropped = 0

    def get(self, loop: Any, make: Callable[[], T]) -> T:
        """Return the value of the running event loop; the first call makes it."""
        known = self._values.get(loop)
        if known is not None:
            return known[0]
        self._drop_closed()
        value = make()
        holder = _hold(weakref.ref(self), loop, self._close, value)
        # The first step, which does not wait, makes the generator known to the loop.
        with contextlib.suppress(StopIteration):
            holder.asend(None).send(None)
        self._values[loop] = value, holder
        return value

    def loops(self) -> list[Any]:
        """Return the loops that have a value."""
        return list(self._values)

    async def aclose(self, loop: Any) -> None:
        """Close the value of the running event loop, if it has one."""
        known = self._values.pop(loop, None)
        if known is not None:
            await known[1].aclose()

    def forget(self, loop: Any) -> None:
        """Drop the value of a loop. The collector of garbage closes its sockets."""
        self._values.pop(loop, None)

    def _drop_closed(self) -> None:
        for loop in self.loops():
            if hasattr(loop, "is_closed") and loop.is_closed():
                self.forget(loop)
                self._dropped += 1
        # Sockets of a closed loop can only be closed by the collector, which does not know how
        # scarce they are.
        if self._dropped >= _MOST_DROPPED:
            self._dropped = 0
            gc.collect()


async def _hold(
    owner: weakref.ref[PerLoop[Any]],
    loop: Any,
    close: Callable[[T], Awaitable[object]],
    value: T,
) -> AsyncGenerator[None]:
    process = os.getpid()
    try:
        yield
    finally:
        present = owner()
        if present is not None:
            present.forget(loop)
        # In a forked process, closing could end the connections of its parent.
        if os.getpid() == process:
            await close(value)


def running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of asyncio that the caller is in, or None."""
    # Importing asyncio takes about 8 ms; a program that makes only blocking calls does not need it.
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
