"""What the latest lookups came to, for prompts that come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from langcache.engine.storage import Scope
from langcache_mockserver.domain.lookup import characters_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from langcache.engine.feedback import Feedback
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.domain.lookup import Lookup, LookupResult

_MOST_RESULTS = 1024
_MOST_ENTRIES = 8  # of one result
_MOST_CHARACTERS = 16_384  # of the texts of these
_MOST_CHARACTERS_IN_ALL = 4 << 20

_Key: TypeAlias = "tuple[str, Hashable]"  # a cache and a lookup


class _Known(NamedTuple):
    scope: Scope
    version: object
    feedback: Feedback
    result: LookupResult
    characters: int


class RememberedResults:
    """The results of the latest lookups, as long as the entries of their caches do not change.

    Nothing is remembered of a storage that does not know whether its entries change, nor in a cache
    with reports of users, nor after a verifier has failed.

    Not thread-safe: for the event loop.

    Args:
        storage: The storage of the entries.
        model_id: The embedding model of the entries.
    """

    def __init__(self, storage: StorageBackend, model_id: str) -> None:
        self._storage = storage
        self._model_id = model_id
        self._known: dict[_Key, _Known] = {}
        self._characters = 0  # of all of them

    def recall(self, cache_id: str, lookup: Lookup) -> LookupResult | None:
        """Return the result of a lookup if it is known; nobody may change what it has."""
        key = _key(cache_id, lookup)
        known = self._known.get(key)
        if known is None:
            return None
        version = self._storage.version(known.scope)
        if known.version is not version or known.feedback.may_have_reports():
            self._forget(key)
            return None
        return known.result

    def version(self, cache_id: str) -> object | None:
        """Return the version of a cache's entries, which `keep` needs from before the lookup."""
        return self._storage.version(Scope(cache_id, self._model_id))

    def keep(
        self,
        cache_id: str,
        lookup: Lookup,
        version: object | None,
        feedback: Feedback,
        result: LookupResult,
    ) -> None:
        """Remember a result, in place of the one that has been known longest.

        Args:
            cache_id: The cache.
            lookup: The lookup.
            version: The version of the cache's entries before the lookup.
            feedback: The reports of the cache.
            result: The result.
        """
        if version is None or result.failed or feedback.may_have_reports():
            return
        entries = [hit.entry for hit in result.hits]
        if not entries and result.best is not None:
            entries.append(result.best.match.entry)
        if len(entries) > _MOST_ENTRIES:
            return
        characters = len(lookup.prompt) + sum(map(characters_of, entries))
        if characters > _MOST_CHARACTERS:
            return
        key, scope = _key(cache_id, lookup), Scope(cache_id, self._model_id)
        if key in self._known:
            self._forget(key)
        self._known[key] = _Known(scope, version, feedback, result, characters)
        self._characters += characters
        while len(self._known) > _MOST_RESULTS or self._characters > _MOST_CHARACTERS_IN_ALL:
            self._forget(next(iter(self._known)))

    def _forget(self, key: _Key) -> None:
        self._characters -= self._known.pop(key).characters


def _key(cache_id: str, lookup: Lookup) -> _Key:
    if lookup.attributes is None:
        return cache_id, lookup
    return cache_id, (lookup._replace(attributes=None), frozenset(lookup.attributes.items()))
