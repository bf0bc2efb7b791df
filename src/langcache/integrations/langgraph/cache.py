"""LangGraph's cache for the results of nodes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langcache.answers.answer import Answer
from langcache.answers.cache import AnswerCache
from langcache.answers.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # LangGraph is not installed where types are checked.
    class BaseCache:
        """What LangGraph asks for the results of nodes."""

        serde: Any

        def __init__(self, *, serde: Any = None) -> None: ...

else:
    try:
        from langgraph.cache.base import BaseCache
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("langgraph"):
            raise
        raise ImportError(
            'langcache.integrations.langgraph needs the extra langgraph; see "Install" in the'
            " README"
        ) from error

__all__ = ["LangCacheNodeCache"]

_DOOR = "langgraph.node"
_LABEL = "langgraph_namespace"
# What a node writes that has failed, or waits. Releases before 1.2 give that to a cache, too.
_UNFINISHED = ("__error__", "__interrupt__")

Namespace: TypeAlias = tuple[str, ...]
FullKey: TypeAlias = tuple[Namespace, str]


class LangCacheNodeCache(BaseCache):
    """Keeps the results of nodes that have a cache policy, where an `AnswerCache` keeps answers.

    LangGraph makes a digest of a node's input, so a result is found by the same input only. The
    policy's `ttl` holds, or else that of the `AnswerCache`.

    Args:
        cache: Where the results are; by default an `AnswerCache` in memory.
        serde: Serializes the results, as in LangGraph's own caches.
    """

    def __init__(self, cache: AnswerCache | None = None, *, serde: Any = None) -> None:
        super().__init__(serde=serde)
        self.cache: AnswerCache = AnswerCache() if cache is None else cache

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """Return the results that are known, by their keys."""
        found: dict[FullKey, Any] = {}
        for key in keys:
            lookup = self.cache.look_up(_request(key), self._result)
            # LangGraph does not say when a node has failed, so no other call may wait for it.
            self.cache.release(lookup)
            if lookup.value is not None:
                found[key] = lookup.value[0]
        return found

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """Asynchronous twin of `get`."""
        found: dict[FullKey, Any] = {}
        for key in keys:
            lookup = await self.cache.alook_up(_request(key), self._result)
            self.cache.release(lookup)
            if lookup.value is not None:
                found[key] = lookup.value[0]
        return found

    def set(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        """Store results, each with its TTL in seconds, or None."""
        for key, (result, ttl) in pairs.items():
            self.cache.store(_request(key), self._answer(result), ttl=ttl)

    async def aset(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        """Asynchronous twin of `set`."""
        for key, (result, ttl) in pairs.items():
            await self.cache.astore(_request(key), self._answer(result), ttl=ttl)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Delete the results of these namespaces, or all.

        Raises:
            ValueError: The cache stores its answers in a LangCache service.
        """
        if namespaces is None:
            self.cache.invalidate(door=_DOOR)
            return
        for namespace in namespaces:
            self.cache.invalidate(**{"door": _DOOR, _LABEL: _spelled(namespace)})

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Asynchronous twin of `clear`."""
        await asyncio.to_thread(self.clear, namespaces)

    def _answer(self, result: Any) -> Answer:
        try:
            kind, data = self.serde.dumps_typed(result)
        except Exception:  # noqa: BLE001 - no error of the cache may fail a node
            return Answer(ending="failed")
        ending = "failed" if _is_unfinished(result) else "complete"
        return Answer([kind, base64.b64encode(data).decode()], ending=ending)

    def _result(self, answer: Answer) -> tuple[Any]:
        kind, data = answer.value
        return (self.serde.loads_typed((kind, base64.b64decode(data))),)


def _is_unfinished(result: Any) -> bool:
    """Return whether the writes of a node tell that it has not finished."""
    if not isinstance(result, (list, tuple, deque)):
        return False
    for write in cast("Sequence[Any]", result):
        if isinstance(write, (list, tuple)):
            channel, *_ = cast("Sequence[Any]", write) or [None]
            if channel in _UNFINISHED:
                return True
    return False


def _request(key: FullKey) -> Request:
    namespace, digest = key
    return Request(
        door=_DOOR,
        parameters=[list(namespace), digest],
        labels={_LABEL: _spelled(namespace)},
    )


def _spelled(namespace: Namespace) -> str:
    return json.dumps(list(namespace))
