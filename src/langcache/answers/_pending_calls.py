"""The model calls in progress: concurrent calls with the same question share one of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

from langcache._event_loops import running_asyncio_loop
from langcache.engine._locks import fork_safe_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.answers._stores import StoredAnswer

_SWEEP_AT = 1024


class PendingCall:
    """A model call in progress.

    Attributes:
        call_id: The id of the call.
        leader: The thread or asyncio task that makes the call.
        started_at: When it started, on the monotonic clock.
        is_done: Whether it has ended.
        answer: The answer, from the model or the cache; None as long as there is none.
    """

    __slots__ = ("_ended", "_lock", "answer", "call_id", "is_done", "leader", "started_at")

    def __init__(self, call_id: str, leader: asyncio.Task[Any] | int) -> None:
        self.call_id: str = call_id
        self.leader: asyncio.Task[Any] | int = leader
        self.started_at: float = time.monotonic()
        self.is_done: bool = False
        self.answer: StoredAnswer | None = None
        self._lock = threading.RLock()  # the garbage collector may end the call inside of it
        # What others wait for. Most calls have an answer before another one asks for it.
        self._ended: Future[None] | None = None

    def resolve(self, answer: StoredAnswer | None) -> None:
        """Give the answer to all waiters, unless they have one already."""
        with self._lock:
            if self.is_done:
                return
            self.answer = answer
            self.is_done = True
            ended = self._ended
        if ended is not None:
            _finish(ended)

    def _end(self) -> Future[None]:
        with self._lock:
            if self._ended is None:
                self._ended = Future()
                self._ended.set_running_or_notify_cancel()  # so that no waiter can cancel it
                if self.is_done:
                    _finish(self._ended)
            return self._ended

    def wait(self, seconds: float) -> StoredAnswer | None:
        """Return the answer, or None when there is none within a number of seconds."""
        if running_asyncio_loop() is not None:
            return None  # blocking here would stop the loop that may have to make the call
        with contextlib.suppress(FutureTimeoutError):
            self._end().result(max(seconds, 0))
        return self.answer

    async def await_(self, seconds: float) -> StoredAnswer | None:
        """Asynchronous twin of `wait`; it also ends when the leader's task ends."""
        leader = self.leader
        ends: set[asyncio.Future[Any]] = {asyncio.wrap_future(self._end())}
        if isinstance(leader, asyncio.Task) and leader.get_loop() is asyncio.get_running_loop():
            ends.add(leader)
        await asyncio.wait(ends, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        if isinstance(leader, asyncio.Task) and leader.done():
            self.resolve(None)
        return self.answer


class PendingCalls:
    """The model calls in progress, by the id of their question.

    The end of a call may not be reported: of one that is cancelled, or of a stream that nobody
    reads on. So waiters give up after `seconds`.

    The garbage collector may end a call, when it finds a stream that nobody has read to the end,
    and it runs in any thread, even in the one that has the lock here. So `finish` and `release`
    never wait for the lock. If it is taken, the thread that has it does their work.

    Args:
        seconds: The longest time to wait for another call's answer.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._lock = fork_safe_lock()
        self._process = os.getpid()
        self._by_question: dict[str, PendingCall] = {}
        self._question_ids: dict[str, str] = {}
        self._ends: deque[tuple[Callable[[str], None], str]] = deque()

    def join(self, question_id: str, call_id: str) -> PendingCall | None:
        """Return the call to wait for, or None: then the caller has become the leader."""
        try:
            with self._lock:
                self._do_ends()  # one of them may be of the caller's earlier call
                return self._join(question_id, call_id)
        finally:
            self._end()

    def _join(self, question_id: str, call_id: str) -> PendingCall | None:
        me = _current_task() or threading.get_ident()
        if self._process != os.getpid():  # the calls of the parent do not end in this process
            self._process = os.getpid()
            self._by_question.clear()
            self._question_ids.clear()
        pending = self._by_question.get(question_id)
        # A leader that asks again has given up its earlier call.
        if pending and pending.leader != me and not self._is_over(pending):
            return pending
        if pending:
            self._drop(question_id, pending)
        if len(self._by_question) >= _SWEEP_AT:
            for each, old in list(self._by_question.items()):
                if self._is_over(old):
                    self._drop(each, old)
        self._by_question[question_id] = PendingCall(call_id, me)
        self._question_ids[call_id] = question_id
        return None

    def resolve(self, question_id: str, answer: StoredAnswer) -> None:
        """Give an answer to all waiters, and to those that join before `finish`."""
        with self._lock:
            pending = self._by_question.get(question_id)
            if pending:
                pending.resolve(answer)
        self._end()

    def settle(self, question_id: str, answer: StoredAnswer) -> None:
        """Give an answer from the storage to all waiters, and forget the call for it."""
        with self._lock:
            pending = self._by_question.get(question_id)
            if pending:
                pending.resolve(answer)
                self._drop(question_id, pending)
        self._end()

    def finish(self, question_id: str) -> None:
        """Forget the call for a question; its answer is in the storage now."""
        self._ends.append((self._finish, question_id))
        self._end()

    def release(self, call_id: str) -> None:
        """Stop the wait for a call that has ended."""
        self._ends.append((self._release, call_id))
        self._end()

    def _end(self) -> None:
        """Do what `finish` and `release` have asked for, unless another one has the lock."""
        while self._ends and self._lock.acquire(blocking=False):
            try:
                self._do_ends()
            finally:
                self._lock.release()

    def _do_ends(self) -> None:
        while self._ends:
            end, name = self._ends.popleft()
            end(name)

    def _finish(self, question_id: str) -> None:
        pending = self._by_question.get(question_id)
        if pending:
            self._drop(question_id, pending)

    def _release(self, call_id: str) -> None:
        question_id = self._question_ids.get(call_id)
        pending = self._by_question.get(question_id) if question_id else None
        # A call that has an answer is forgotten by `finish`, when the answer is stored.
        if question_id and pending and not pending.is_done:
            self._drop(question_id, pending)

    def _is_over(self, pending: PendingCall) -> bool:
        if time.monotonic() - pending.started_at > self.seconds:
            return True
        if pending.is_done:
            return pending.answer is None
        # It may belong to an event loop that has ended.
        return isinstance(pending.leader, asyncio.Task) and pending.leader.done()

    def _drop(self, question_id: str, pending: PendingCall) -> None:
        del self._by_question[question_id]
        self._question_ids.pop(pending.call_id, None)
        pending.resolve(None)


def _finish(ended: Future[None]) -> None:
    with contextlib.suppress(InvalidStateError):
        ended.set_result(None)


def _current_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task() if running_asyncio_loop() is not None else None
