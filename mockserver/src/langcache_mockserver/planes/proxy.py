"""The parts of the caching proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langcache.answers.lookups import Lookups
from langcache.engine.verify.defaults import default_similarity
from langcache_mockserver.domain.key_digests import KeyDigests
from langcache_mockserver.domain.verifiers import shared_verifier
from langcache_mockserver.http.forwarding import Forwarder

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine.embedders import Embedder
    from langcache.engine.storage import StorageBackend
    from langcache_mockserver.domain.registry import CacheSettings
    from langcache_mockserver.domain.upstreams import ProxySettings

_VERIFIER = "auto"
_TTL_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The parts of the caching proxy.

    Attributes:
        settings: How it works.
        lookups: The cache.
        forwarder: Sends requests to upstreams.
        key_digests: Digests of API keys.
    """

    settings: ProxySettings
    lookups: Lookups
    forwarder: Forwarder
    key_digests: KeyDigests

    async def aclose(self) -> None:
        """Close the connections to the upstreams, and end the threads of the cache."""
        await self.forwarder.aclose()
        self.lookups.close()


def make_proxy(
    settings: ProxySettings,
    cache: CacheSettings | None,
    storage: StorageBackend,
    embedder: Embedder,
    clock: Callable[[], float],
) -> Proxy:
    """Make the caching proxy.

    Args:
        settings: How it works.
        cache: The declared cache that keeps the answers, or None for one of the proxy's own.
        storage: Where that cache is.
        embedder: Embeds the questions.
        clock: Returns the time in seconds since the epoch; that of the storage.
    """
    verifier = (cache.verify if cache else None) or _VERIFIER
    ttl = _TTL_SECONDS
    threshold = default_similarity(verifier)
    if cache is not None:
        ttl = cache.default_ttl_millis / 1000
        threshold = threshold if cache.default_threshold is None else cache.default_threshold
    return Proxy(
        settings=settings,
        lookups=Lookups(
            storage,
            shared_verifier(verifier),
            threshold=threshold,
            budget=settings.budget_seconds,
            ttl=ttl if ttl > 0 else None,
            name=settings.cache_id,
            embedder=embedder,
            single_flight=settings.timeout_seconds,
            clock=clock,
        ),
        forwarder=Forwarder(settings.timeout_seconds),
        key_digests=KeyDigests(storage),
    )
