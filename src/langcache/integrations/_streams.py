"""Streams that are stored when they have ended well."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from langcache.answers import Answer, AnswerCache, Lookup

__all__ = ["Recording", "arecorded", "recorded", "release_at_aclose", "release_at_close"]

_T = TypeVar("_T")
_T_contra = TypeVar("_T_contra", contravariant=True)


class Recording(Protocol, Generic[_T_contra]):
    """Collects the events of a stream. No method raises an exception.

    Attributes:
        is_complete: Whether the last event has come; False if the events do not tell.
    """

    @property
    def is_complete(self) -> bool: ...

    def add(self, event: _T_contra) -> None:
        """Take the next event."""
        ...

    def answer(self) -> Answer | None:
        """Return the answer in the events, which are all of them; None if it is not stored."""
        ...


def recorded(
    cache: AnswerCache, lookup: Lookup[Any], recording: Recording[_T], events: Iterator[_T]
) -> Generator[_T, None, None]:
    """Return a stream of the same events, which is stored as soon as it is known to be complete.

    If its last event can be told, that is before the event is passed on, because many readers stop
    there. Otherwise it is at the end of the stream.
    """
    stream = _recorded(cache, lookup, recording, events)
    _release_at_end(stream, cache, lookup)
    return stream


def arecorded(
    cache: AnswerCache, lookup: Lookup[Any], recording: Recording[_T], events: AsyncIterator[_T]
) -> AsyncGenerator[_T, None]:
    """Asynchronous twin of `recorded`."""
    stream = _arecorded(cache, lookup, recording, events)
    _release_at_end(stream, cache, lookup)
    return stream


def _recorded(
    cache: AnswerCache, lookup: Lookup[Any], recording: Recording[_T], events: Iterator[_T]
) -> Generator[_T, None, None]:
    is_kept = False
    try:
        for event in events:
            recording.add(event)
            if not is_kept and recording.is_complete:
                is_kept = True
                _keep(cache, lookup, recording)
            yield event
        if not is_kept:
            _keep(cache, lookup, recording)
    finally:
        cache.release(lookup)


async def _arecorded(
    cache: AnswerCache, lookup: Lookup[Any], recording: Recording[_T], events: AsyncIterator[_T]
) -> AsyncGenerator[_T, None]:
    is_kept = False
    try:
        async for event in events:
            recording.add(event)
            if not is_kept and recording.is_complete:
                is_kept = True
                await _akeep(cache, lookup, recording)
            yield event
        if not is_kept:
            await _akeep(cache, lookup, recording)
    finally:
        cache.release(lookup)


def _keep(cache: AnswerCache, lookup: Lookup[Any], recording: Recording[Any]) -> None:
    answer = recording.answer()
    if answer is not None:
        cache.keep(lookup, answer)


async def _akeep(cache: AnswerCache, lookup: Lookup[Any], recording: Recording[Any]) -> None:
    answer = recording.answer()
    if answer is not None:
        await cache.akeep(lookup, answer)


def release_at_close(response: Any, stream: Any, cache: AnswerCache, lookup: Lookup[Any]) -> None:
    """Let other calls wait no longer for a stream when its HTTP response is closed.

    Every stream and helper of a client calls its `close`; they have no other place in common.

    Args:
        response: The response. At its end, the stream closes it itself, while it is running.
        stream: The stream that `recorded` has made of its events.
        cache: The cache.
        lookup: The lookup of the call.
    """
    close_response = response.close

    def close() -> None:
        if not stream.gi_running:
            cache.release(lookup)
        close_response()

    response.close = close


def release_at_aclose(response: Any, stream: Any, cache: AnswerCache, lookup: Lookup[Any]) -> None:
    """Asynchronous twin of `release_at_close`."""
    close_response = response.aclose

    async def aclose() -> None:
        if not stream.ag_running:
            cache.release(lookup)
        await close_response()

    response.aclose = aclose


def _release_at_end(stream: Any, cache: AnswerCache, lookup: Lookup[Any]) -> None:
    """Let other calls wait no longer for a stream that nobody begins to read."""
    weakref.finalize(stream, cache.release, lookup).atexit = False
