"""Searches that have come in at the same time, done together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from langcache_mockserver.planes.service import in_worker

if TYPE_CHECKING:
    from starlette.requests import Request

    from langcache_mockserver.domain.caches import Answer, Caches, Query

UNDER_WAY = "langcache_mockserver.under_way"
"""The ASGI state of whoever serves the application: a collection as large as the requests are many
that have come and aren't answered yet."""

_ENOUGH = 64  # searches; more together would not make each any faster


class GatheredSearches:
    """Answers in one go all the searches that are there at a time.

    Under load these are many, and together they take half the time, or at 10,000 entries a fifth.
    One that fails fails alone.

    Args:
        caches: What answers them.
    """

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        # The searches to be done in the event loop.
        self._gathering: _Batch | None = None
        # For each cache, the searches at work in a thread, and those that are to be the next.
        self._at_work: dict[str, _Batch] = {}
        self._next: dict[str, _Batch] = {}

    async def search(self, request: Request, cache_id: str, prompt: str, query: Query) -> Answer:
        """Find entries for a prompt, as `Caches.search`, where that `is_quick`.

        Args:
            request: The request that asks for it.
            cache_id: The cache.
            prompt: The prompt.
            query: What else the search asks for; the one strategy `semantic`.
        """
        if _is_alone(request):
            return self._caches.search(cache_id, prompt, query)
        search = _Search(cache_id, prompt, query)
        batch = self._gathering
        if batch is None:
            batch = self._gathering = _Batch(search)
            await self._answer_gathered(batch)
        else:
            batch.searches.append(search)
            await batch.done.wait()
        return search.answer or self._caches.search(cache_id, prompt, query)

    async def _answer_gathered(self, batch: _Batch) -> None:
        """Answer searches as soon as the event loop has no more of them at hand."""
        try:
            count = 0
            while count < len(batch.searches) < _ENOUGH:
                count = len(batch.searches)
                await checkpoint()
            if len(batch.searches) > 1:
                self._answer(batch.searches)
        finally:
            self._gathering = None
            batch.done.set()

    async def search_in_worker(
        self, request: Request, cache_id: str, prompt: str, query: Query
    ) -> Answer:
        """Find entries for a prompt, as `Caches.search`, in one of the worker threads.

        Args:
            request: The request that asks for it.
            cache_id: The cache.
            prompt: The prompt, whose vector is known.
            query: What else the search asks for; the one strategy `semantic`.
        """
        search = _Search(cache_id, prompt, query)
        batch = self._next.get(cache_id)
        if batch is None:
            batch = self._next[cache_id] = _Batch(search)
            await self._answer_in_worker(request, cache_id, batch)
        else:
            batch.searches.append(search)
            await batch.done.wait()
        return search.answer or await in_worker(
            request, self._caches.search, cache_id, prompt, query
        )

    async def _answer_in_worker(self, request: Request, cache_id: str, batch: _Batch) -> None:
        """Answer a batch of searches in one cache, after the batch before it.

        The searches that come while that is at work have company thus.
        """
        try:
            before = self._at_work.get(cache_id)
            await (checkpoint() if before is None else before.done.wait())
            del self._next[cache_id]
            self._at_work[cache_id] = batch
            await in_worker(request, self._answer, batch.searches)
        finally:
            for batches in (self._next, self._at_work):
                if batches.get(cache_id) is batch:
                    del batches[cache_id]
            batch.done.set()

    def _answer(self, searches: list[_Search]) -> None:
        """Answer searches, unless one of them fails."""
        try:
            answers = self._caches.search_together(
                [(each.cache_id, each.prompt, each.query) for each in searches]
            )
        except Exception:  # noqa: BLE001 - each finds out by itself whether it is to blame
            return
        for search, answer in zip(searches, answers, strict=True):
            search.answer = answer


def _is_alone(request: Request) -> bool:
    """Return whether it is sure that there is no other request."""
    under_way = request.scope.get("state", {}).get(UNDER_WAY)
    return under_way is not None and len(under_way) == 1


class _Search:
    """A search that waits for its answer; None is that there is none yet."""

    __slots__ = ("answer", "cache_id", "prompt", "query")

    def __init__(self, cache_id: str, prompt: str, query: Query) -> None:
        self.cache_id = cache_id
        self.prompt = prompt
        self.query = query
        self.answer: Answer | None = None


class _Batch:
    """Searches to be done together; `done` is set when that has been tried."""

    def __init__(self, search: _Search) -> None:
        self.searches = [search]
        self.done = anyio.Event()
