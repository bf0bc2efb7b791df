"""What the operations do: LangCache semantics on an embedder and a storage backend."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, NamedTuple

from langcache.engine.storage import CacheEntry
from langcache_mockserver.reformulate import reformulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend


class Query(NamedTuple):
    """What a search asks for, besides the prompt.

    Attributes:
        threshold: The least similarity of a semantic match, `(1 + cosine) / 2`; None is the
            server's default.
        strategies: What to try, `exact` or `semantic`, in order of priority: what an earlier
            strategy finds comes first, and the later ones fill up with what isn't there yet.
        attributes: Only entries that have all of these match.
        max_results: How many entries to return at most.
    """

    threshold: float | None = None
    strategies: Sequence[str] = ("semantic",)
    attributes: Mapping[str, str] | None = None
    max_results: int = 1


class Found(NamedTuple):
    """An entry that a search found.

    Attributes:
        entry: The entry.
        similarity: How near it is to the prompt, `(1 + cosine) / 2`; 1 for an exact match.
        strategy: The strategy that found it, `exact` or `semantic`.
    """

    entry: CacheEntry
    similarity: float
    strategy: str


class Caches:
    """The caches of a server; one exists as soon as it is named.

    All methods are synchronous and safe to call from several threads at once. Each cache is a
    namespace of the storage, so entries of one are never seen through another.

    Args:
        embedder: Turns prompts into vectors.
        storage: Keeps the entries; it must live by the same clock.
        default_threshold: The least similarity of a semantic match where a search names none.
        clock: Gives the time in seconds since the epoch.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        storage: StorageBackend,
        default_threshold: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._embedder = embedder
        self._storage = storage
        self._default_threshold = default_threshold
        self._clock = clock

    def check(self) -> None:
        """Raise what the storage raises when it can't be used."""
        self._storage.namespace_size("")

    def set(
        self,
        cache_id: str,
        prompt: str,
        response: str,
        attributes: Mapping[str, str],
        ttl_millis: float | None,
    ) -> str:
        """Store an entry, in place of the one with the same prompt and attributes if there is one.

        Args:
            cache_id: The cache.
            prompt: The prompt that the entry answers.
            response: The response to give back.
            attributes: Names and values to filter by.
            ttl_millis: How long the entry lives, in milliseconds; None is for ever.

        Returns:
            The id of the entry.
        """
        entry_id = entry_id_of(prompt, attributes)
        embedding = self._embedder.embed([prompt])[0]
        now = self._clock()
        self._storage.store(
            CacheEntry(
                id=entry_id,
                prompt=prompt,
                response=response,
                embedding=embedding,
                namespace=cache_id,
                embedding_model_id=self._embedder.model_id,
                attributes=attributes,
                created_at=now,
                updated_at=now,
                expires_at=None if ttl_millis is None else now + ttl_millis / 1000,
            )
        )
        return entry_id

    def search(self, cache_id: str, prompt: str, query: Query) -> list[Found]:
        """Find entries for a prompt; best first within a strategy."""
        found: dict[str, Found] = {}
        for strategy in dict.fromkeys(query.strategies):
            if len(found) >= query.max_results:
                break
            find = self._exact if strategy == "exact" else self._semantic
            # max_results of each are enough to fill up: some of them may be known already, but
            # no more of them than there are already.
            for match in find(cache_id, prompt, query):
                found.setdefault(match.entry.id, match)
        return list(found.values())[: query.max_results]

    def converse(
        self, cache_id: str, prompt: str, context: Sequence[str], query: Query
    ) -> tuple[str, list[Found]]:
        """Find entries for a prompt that may refer to what was said before.

        Args:
            cache_id: The cache.
            prompt: The prompt.
            context: The earlier prompts of the conversation, oldest first.
            query: What else the search asks for.

        Returns:
            The reformulated prompt that found the entries, or the last one tried, and the entries.
        """
        actual_prompt, found = prompt, list[Found]()
        for actual_prompt in reformulate(prompt, context):
            found = self.search(cache_id, actual_prompt, query)
            if found:
                break
        return actual_prompt, found

    def delete(self, cache_id: str, entry_id: str) -> bool:
        """Delete an entry by its id; return whether it was there."""
        return self._storage.delete(cache_id, [entry_id]) > 0

    def delete_by_attributes(self, cache_id: str, attributes: Mapping[str, str]) -> int:
        """Delete the entries that have all these attributes, with none all; return how many."""
        return self._storage.delete_by_attributes(cache_id, attributes)

    def flush(self, cache_id: str) -> None:
        """Delete all entries of a cache."""
        self._storage.invalidate_namespace(cache_id)

    def _exact(self, cache_id: str, prompt: str, query: Query) -> list[Found]:
        entries = self._storage.find_exact(
            prompt,
            cache_id,
            self._embedder.model_id,
            "",
            limit=query.max_results,
            attributes=query.attributes,
        )
        return [Found(entry, 1.0, "exact") for entry in entries]

    def _semantic(self, cache_id: str, prompt: str, query: Query) -> list[Found]:
        matches = self._storage.search_top(
            self._embedder.embed([prompt])[0],
            cache_id,
            self._embedder.model_id,
            "",
            self._default_threshold if query.threshold is None else query.threshold,
            limit=query.max_results,
            attributes=query.attributes,
        )
        return [Found(match.entry, match.similarity, "semantic") for match in matches]


def entry_id_of(prompt: str, attributes: Mapping[str, str]) -> str:
    """Return the id of an entry, 32 hexadecimal digits that follow from what it answers.

    Without attributes it is the MD5 of the prompt, as in the hosted service; with attributes, the
    MD5 of a JSON array of the prompt and the sorted attributes, so that no two sets of attributes
    are spelled alike.
    """
    identity = prompt
    if attributes:
        identity = json.dumps([prompt, sorted(attributes.items())], ensure_ascii=False)
    return hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()
