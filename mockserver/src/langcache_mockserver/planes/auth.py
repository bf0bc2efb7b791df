"""Who may call: any non-empty bearer token in development, keys with grants under strict rules."""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langcache_mockserver.domain.registry import Access, digest_of
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import ProblemError, unauthorized
from langcache_mockserver.http.request import bearer_token, path_id

if TYPE_CHECKING:
    from starlette.requests import Request

    from langcache_mockserver.domain.rate_limits import RateLimits
    from langcache_mockserver.domain.registry import CacheSettings, Key, Registry
    from langcache_mockserver.domain.worker_threads import WorkerThreads

_MISSING = {
    Access.READ: "to read from this cache",
    Access.WRITE: "to write to this cache",
    Access.FULL: "to manage this cache",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Decides who may do what.

    Attributes:
        strict: Whether the service's rules hold: only declared caches, only keys with grants.
        registry: The declared caches and the keys.
        rate_limits: How often each key may call.
        admin_digest: The SHA-256 of the admin token, in hexadecimal digits.
        has_console_key: Whether the console demands the admin token: somebody chose it, or was told
            it at the start.
        workers: The threads that read the registry's records.
    """

    strict: bool
    registry: Registry
    rate_limits: RateLimits
    admin_digest: str
    has_console_key: bool
    workers: WorkerThreads

    async def open_cache(self, request: Request, needed: Access) -> CacheSettings | None:
        """Let the caller of an operation on a cache in; note key and cache in the exchange.

        Only those who have the needed grant can learn whether a cache exists.

        Args:
            request: The request; its path has the cache's id.
            needed: What a key must be allowed to do with the cache under strict rules.

        Returns:
            The cache if it is declared, as it always is under strict rules.

        Raises:
            ProblemError: 401, if there is no key or it is unknown; 429, if it calls too often; 400,
                if the id is malformed; 403, if the key lacks the grant; 404, if the cache is not
                declared.
        """
        exchange = exchange_of(request)
        exchange.key = bearer_token(request)
        if self.registry.is_stale():
            await self.workers.run(self.registry.refresh)
        if not self.strict:
            exchange.cache_id = path_id(request, "cacheId")
            return self.registry.cache(exchange.cache_id)
        key = await self._known_key(exchange.key)
        exchange.cache_id = path_id(request, "cacheId")
        if key.access(exchange.cache_id) < needed:
            raise ProblemError(403, f"the key has no grant {_MISSING[needed]}")
        cache = self.registry.cache(exchange.cache_id)
        if cache is None:
            await self.read_records()
            cache = self.registry.cache(exchange.cache_id)
        if cache is None:
            raise ProblemError(404, "there is no cache of this id")
        return cache

    async def open_console(self, request: Request, needed: Access) -> CacheSettings | None:
        """Let the caller of a console operation on a cache in; note the cache in the exchange.

        Where the console demands the admin token, a key with the needed grant does as well under
        strict rules.

        Returns:
            The cache if it is declared, as it always is under strict rules.

        Raises:
            ProblemError: As by `open_cache`.
        """
        if self.has_console_key and not self._is_admin(request):
            if self.strict:
                return await self.open_cache(request, needed)
            raise _not_admin()
        if self.registry.is_stale():
            await self.workers.run(self.registry.refresh)
        cache_id = exchange_of(request).cache_id = path_id(request, "cacheId")
        cache = self.registry.cache(cache_id)
        if cache is None and self.strict:
            await self.read_records()
            cache = self.registry.cache(cache_id)
            if cache is None:
                raise ProblemError(404, "there is no cache of this id")
        return cache

    async def read_records(self) -> None:
        """Read what other processes may have changed of caches and keys, if there are any."""
        if self.registry.is_shared:
            await self.workers.run(self.registry.refresh)

    def check_admin(self, request: Request) -> None:
        """Check that a request has the admin token.

        Raises:
            ProblemError: 401, if it does not.
        """
        if not self._is_admin(request):
            raise _not_admin()

    def _is_admin(self, request: Request) -> bool:
        digest = digest_of(bearer_token(request))
        return hmac.compare_digest(digest, self.admin_digest)

    async def _known_key(self, token: str) -> Key:
        key = self.registry.key(token)
        if key is None:
            await self.read_records()
            key = self.registry.key(token)
        if key is None:
            raise unauthorized("the API key is unknown")
        if key.rate_limit is not None:
            wait = self.rate_limits.take(key.id, key.rate_limit)
            if wait > 0:
                requests, seconds = key.rate_limit
                detail = f"the key may send {requests} requests in {seconds:g} seconds"
                raise ProblemError(429, detail, headers={"Retry-After": str(math.ceil(wait))})
        return key


def _not_admin() -> ProblemError:
    return unauthorized("the token is not the admin token of this server")
