"""One call of the model for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langcache.integrations.litellm._stores import Found

_MANY = 1024


class Flight:
    """A call of the model under way.

    Attributes:
        answer: What the model answers, or the cache; None when nothing came of the call.
        call_id: LiteLLM's id of the call.
        leader: The thread or asyncio task that makes the call.
        since: When it began, on the monotonic clock.
    """

    def __init__(self, call_id: str, leader: asyncio.Task[Any] | int) -> None:
        self.answer: Future[Found | None] = Future()
        self.answer.set_running_or_notify_cancel()  # nobody who waits may cancel it
        self.call_id: str = call_id
        self.leader: asyncio.Task[Any] | int = leader
        self.since: float = time.monotonic()

    def land(self, answer: Found | None) -> None:
        """Hand the answer to all who wait, unless they have one."""
        with contextlib.suppress(InvalidStateError):
            self.answer.set_result(answer)


class Flights:
    """The calls of the model under way, by what they ask.

    LiteLLM tells a cache of misses and answers, and a logger of the ends of calls. A call that is
    cancelled is reported nowhere; those who wait for it go on after `seconds` at the latest.

    Args:
        seconds: The longest time to wait for another's call.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._lock = threading.Lock()
        self._by_request: dict[str, Flight] = {}
        self._by_call: dict[str, str] = {}

    def join(self, request_id: str, call_id: str) -> Flight | None:
        """Return the flight to wait for, or None: then the caller has the lead."""
        me = _who()
        with self._lock:
            flight = self._by_request.get(request_id)
            # Who asks again in the same thread or task has given up the call before.
            if flight and flight.leader != me and not self._is_over(flight):
                return flight
            if flight:
                self._drop(request_id, flight)
            if len(self._by_request) >= _MANY:
                for each, old in list(self._by_request.items()):
                    if self._is_over(old):
                        self._drop(each, old)
            self._by_request[request_id] = Flight(call_id, me)
            self._by_call[call_id] = request_id
            return None

    def answer(self, request_id: str, answer: Found) -> None:
        """Hand an answer to all who wait and to those who come before `finish`."""
        with self._lock:
            flight = self._by_request.get(request_id)
            if flight:
                flight.land(answer)

    def finish(self, request_id: str) -> None:
        """Forget the flight of a request; its answer can be found in the storage now."""
        with self._lock:
            flight = self._by_request.get(request_id)
            if flight:
                self._drop(request_id, flight)

    def release(self, call_id: str) -> None:
        """Let those who wait for a call go on, for it has ended."""
        with self._lock:
            request_id = self._by_call.get(call_id)
            flight = self._by_request.get(request_id) if request_id else None
            # An answer that is on its way to the storage is forgotten by `finish`.
            if request_id and flight and not flight.answer.done():
                self._drop(request_id, flight)

    def _is_over(self, flight: Flight) -> bool:
        ended = flight.answer.done() and flight.answer.result() is None
        return ended or time.monotonic() - flight.since > self.seconds

    def _drop(self, request_id: str, flight: Flight) -> None:
        del self._by_request[request_id]
        self._by_call.pop(flight.call_id, None)
        flight.land(None)


class Wait:
    """The wait for a flight's answer.

    Args:
        flight: The flight.
        seconds: How long to wait.
    """

    def __init__(self, flight: Flight, seconds: float) -> None:
        self._flight = flight
        self._seconds = max(seconds, 0)

    def wait(self) -> Found | None:
        """Return the answer, or None when there is none in time."""
        if _in_loop():
            return None  # to block here would stop the loop that may have to answer
        try:
            return self._flight.answer.result(self._seconds)
        except FutureTimeoutError:
            return None

    async def await_(self) -> Found | None:
        """Asynchronous twin of `wait`; it ends with the task that has the lead, too."""
        flight, leader = self._flight, self._flight.leader
        ends: set[asyncio.Future[Any]] = {asyncio.wrap_future(flight.answer)}
        if isinstance(leader, asyncio.Task) and leader.get_loop() is asyncio.get_running_loop():
            ends.add(leader)
        await asyncio.wait(ends, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        if isinstance(leader, asyncio.Task) and leader.done():
            flight.land(None)
        return flight.answer.result() if flight.answer.done() else None


def _who() -> asyncio.Task[Any] | int:
    return _task() or threading.get_ident()


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
