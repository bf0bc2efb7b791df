"""The threads that embed prompts: each takes more of those that wait as soon as it is free."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from anyio import move_on_after

from langcache_mockserver.domain.overload import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]

_IDLE_SECONDS = 5.0  # after which a thread ends

Poster: TypeAlias = "Callable[..., object]"
"""Calls a function soon in an event loop; any thread may call it."""


class EmbeddingThreads:
    """Threads that embed what requests ask for.

    A thread that is free takes a part of the prompts that wait: each call of the embedder takes
    some time beside the prompts, and those of one length take less time together, but another
    thread must find some, too. Equal ones are taken together, and the embedder embeds them once.
    The thread goes on with others without waiting for the event loop, which passes on the vectors
    meanwhile. If a call fails, each of its prompts is embedded alone, so that only the one to blame
    fails.

    A prompt that would have to wait too long is refused.

    Args:
        embed: Returns the vectors of some prompts, in their order; some may be equal. It blocks.
        count: How many threads there are at most.
        max_wait: How many seconds a prompt may wait for a thread; infinity for no limit.
    """

    def __init__(
        self, embed: Callable[[list[str]], Iterable[Vector]], count: int, max_wait: float = math.inf
    ) -> None:
        self._embed = embed
        self._count = count
        self._max_wait = max_wait
        self._backlog = Backlog(max_wait, count)
        # The condition protects the rest.
        self._changed = threading.Condition()
        self._waiting: deque[_Prompt] = deque()
        self._threads = 0
        self._idle = 0

    async def embed(self, text: str) -> Vector:
        """Return the vector of a prompt.

        Raises:
            OverloadedError: It would have to wait for too long, or has.
            Exception: What the embedder raised.
        """
        self._backlog.check(len(self._waiting))
        prompt = _Prompt(text, _poster())
        self._add(prompt)
        try:
            if self._max_wait < math.inf:
                with move_on_after(self._max_wait):
                    await prompt.done.wait()
                if prompt.is_waiting:
                    raise self._backlog.refusal()
            await prompt.done.wait()
        finally:
            prompt.is_waiting = False  # nobody asks for it any more
        if prompt.error is not None:
            raise prompt.error
        vector: Vector = prompt.vector
        return vector

    def _add(self, prompt: _Prompt) -> None:
        with self._changed:
            self._waiting.append(prompt)
            if len(self._waiting) <= self._idle or self._threads == self._count:
                self._changed.notify()
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="langcache-embedding", daemon=True).start()
        except RuntimeError:  # too many threads
            with self._changed:
                self._threads -= 1
                if not self._threads:
                    self._waiting.remove(prompt)
                    raise
                self._changed.notify()

    def _work(self) -> None:
        while prompts := self._take():
            started = time.monotonic()
            self._embed_all(prompts)
            taken = partial(self._backlog.did, len(prompts), time.monotonic() - started)
            for post in {prompt.post for prompt in prompts}:
                done = [prompt.done for prompt in prompts if prompt.post == post]
                with contextlib.suppress(RuntimeError):  # the event loop has ended
                    post(_set_all, taken, done)

    def _take(self) -> list[_Prompt]:
        """Return prompts to embed, in their order; none if the thread is to end."""
        with self._changed:
            while True:
                # Half of what a thread's share would be, as more may come.
                part = math.ceil(len(self._waiting) / (2 * self._count))
                prompts = self._take_some(min(math.floor(self._backlog.most_together), part))
                if prompts:
                    return prompts
                self._idle += 1
                is_woken = self._changed.wait(_IDLE_SECONDS)
                self._idle -= 1
                if not is_woken and not self._waiting:
                    self._threads -= 1
                    return []

    def _take_some(self, most: int) -> list[_Prompt]:
        """Take the first prompts out of those that wait, and all that are equal to one of them."""
        taken: list[_Prompt] = []
        left: deque[_Prompt] = deque()
        texts: set[str] = set()
        for prompt in self._waiting:
            if prompt.text in texts or len(texts) < most:
                if prompt.is_waiting:
                    texts.add(prompt.text)
                    prompt.is_waiting = False
                    taken.append(prompt)
            else:
                left.append(prompt)
        self._waiting = left
        return taken

    def _embed_all(self, prompts: Sequence[_Prompt]) -> None:
        """Embed prompts together, or each alone if that fails."""
        try:
            vectors = self._embed([prompt.text for prompt in prompts])
            for prompt, vector in zip(prompts, vectors, strict=True):
                prompt.vector = vector
        except Exception as error:  # noqa: BLE001 - the one who asked gets it
            if len(prompts) == 1:
                prompts[0].error = error
                return
            for prompt in prompts:
                self._embed_all([prompt])


class _Prompt:
    """A prompt that somebody waits for.

    Attributes:
        text: The prompt.
        post: Calls a function in the event loop of who waits.
        done: Set there when it has been embedded.
        is_waiting: Whether it waits for a thread, and somebody for it.
        vector: Its vector.
        error: Why it has none.
    """

    __slots__ = ("done", "error", "is_waiting", "post", "text", "vector")

    def __init__(self, text: str, post: Poster) -> None:
        self.text = text
        self.post = post
        self.done = anyio.Event()
        self.is_waiting = True
        self.vector: Any = None
        self.error: Exception | None = None


def _set_all(first: Callable[[], object], events: Iterable[anyio.Event]) -> None:
    first()
    for event in events:
        event.set()


def _poster() -> Poster:
    """Return what calls a function in the running event loop."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:  # the loop is trio's
        from trio.lowlevel import current_trio_token

        return current_trio_token().run_sync_soon
