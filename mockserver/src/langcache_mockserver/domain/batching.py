"""Batches: work that is asked for at the same time, done in one call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
from anyio import WouldBlock, move_on_after
from anyio.lowlevel import checkpoint

from langcache_mockserver.domain.overload import Backlog, OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langcache_mockserver.domain.worker_threads import WorkerThreads

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Does work in batches, in the event loop or in worker threads.

    The items that come while the batches of their key are at work form the next batch. If a batch
    fails, each of its items is done alone, so that only the one to blame fails. An item that would
    have to wait longer than work may wait for a thread is refused.

    Args:
        work: Takes items and returns a result for each, in their order. It blocks.
        workers: The threads.
        most_at_work: How many batches of one key are at work at once.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Sequence[Result]],
        workers: WorkerThreads,
        most_at_work: int,
    ) -> None:
        self._work = work
        self._workers = workers
        self._most_at_work = most_at_work
        self._backlog = Backlog(workers.max_wait, most_at_work)
        self._queues: dict[str, _Queue[Item, Result]] = {}

    async def submit(
        self, key: str, item: Item, *, in_loop: bool = False, alone: bool = False
    ) -> Result:
        """Return the result for an item.

        Args:
            key: Only items of the same key share a batch.
            item: The item.
            in_loop: Whether the work takes so little time that the event loop may do it.
            alone: Whether no other items can be about to come, so that it need not wait for them.

        Raises:
            OverloadedError: It would have to wait for too long, or has.
        """
        if in_loop and alone:
            return self._work([item])[0]
        if not in_loop:
            self._backlog.join()
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(self._most_at_work)
        batch = queue.open_batch
        place = 0
        if batch is None or len(batch.items) >= self._backlog.most_together:
            batch = queue.open_batch = _Batch(item)
            batch.waiting = int(not in_loop)
            await self._lead(key, queue, batch, in_loop=in_loop, alone=alone)
        else:
            place = len(batch.items)
            batch.items.append(item)
            batch.waiting += int(not in_loop)
            await batch.done.wait()
        if batch.is_refused:
            raise self._backlog.refusal()
        if batch.results is None:
            return (await self._call([item], in_loop=in_loop))[0]
        return batch.results[place]

    async def _lead(
        self,
        key: str,
        queue: _Queue[Item, Result],
        batch: _Batch[Item, Result],
        *,
        in_loop: bool,
        alone: bool,
    ) -> None:
        """Do a batch when its turn has come and the event loop has no more items for it."""
        queue.leaders += 1
        since = anyio.current_time()
        try:
            await self._take_turn(queue)
            try:
                count = 0
                while not alone and count < len(batch.items):
                    count = len(batch.items)
                    await checkpoint()
                queue.close(batch)
                self._begin(batch)
                waited = anyio.current_time() - since
                batch.results = await self._call(batch.items, in_loop=in_loop, waited=waited)
            finally:
                queue.turns.release()
        except OverloadedError:
            batch.is_refused = True
        except Exception:
            if len(batch.items) == 1:
                raise
        finally:
            self._begin(batch)
            queue.close(batch)
            queue.leaders -= 1
            if not queue.leaders:
                del self._queues[key]
            batch.done.set()

    async def _take_turn(self, queue: _Queue[Item, Result]) -> None:
        try:
            queue.turns.acquire_nowait()
        except WouldBlock:
            with move_on_after(self._workers.max_wait) as scope:
                await queue.turns.acquire()
            if scope.cancelled_caught:
                raise self._backlog.refusal() from None

    def _begin(self, batch: _Batch[Item, Result]) -> None:
        """Count the items of a batch as not waiting any more."""
        self._backlog.leave(batch.waiting)
        batch.waiting = 0

    async def _call(
        self, items: list[Item], *, in_loop: bool, waited: float = 0.0
    ) -> Sequence[Result]:
        if in_loop:
            return self._work(items)
        with self._backlog.doing(len(items)):
            return await self._workers.run_batch(partial(self._work, items), waited=waited)


class _Batch(Generic[Item, Result]):
    """Items to be done together; `done` is set when that has been tried.

    Attributes:
        items: The items.
        waiting: How many of them are counted as waiting.
        results: Their results, or None if there are none.
        is_refused: Whether they have waited for too long.
    """

    __slots__ = ("done", "is_refused", "items", "results", "waiting")

    def __init__(self, item: Item) -> None:
        self.items = [item]
        self.waiting = 0
        self.is_refused = False
        self.results: Sequence[Result] | None = None
        self.done = anyio.Event()


class _Queue(Generic[Item, Result]):
    """The batches of one key: the one that items can join, and how many are not done."""

    __slots__ = ("leaders", "open_batch", "turns")

    def __init__(self, most_at_work: int) -> None:
        self.open_batch: _Batch[Item, Result] | None = None
        self.turns = anyio.Semaphore(most_at_work, fast_acquire=True)
        self.leaders = 0

    def close(self, batch: _Batch[Item, Result]) -> None:
        if self.open_batch is batch:
            self.open_batch = None
