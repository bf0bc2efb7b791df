"""Who may call: any non-empty bearer token in development, keys with grants under strict rules."""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langcache_mockserver.controls.availability import is_local
from langcache_mockserver.domain.registry import Access, digest_of
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import ProblemError, unauthorized
from langcache_mockserver.http.request import bearer_token, header_values, path_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from langcache_mockserver.domain.rate_limits import RateLimits
    from langcache_mockserver.domain.registry import CacheSettings, Key, Registry
    from langcache_mockserver.domain.sessions import Sessions
    from langcache_mockserver.domain.worker_threads import SharedCall

_MISSING = {
    Access.READ: "to read from this cache",
    Access.WRITE: "to write to this cache",
    Access.FULL: "to manage this cache",
    Access.CONSOLE: "to look into this cache",
}


SESSION_COOKIE = "langcache_session"
"""The cookie with the session of a browser."""

_SAFE_METHODS = frozenset({"GET", "HEAD"})


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
        sessions: The sessions of browsers that have signed in to the console.
        refresh: Reads the registry's records again if they have changed.
    """

    strict: bool
    registry: Registry
    rate_limits: RateLimits
    admin_digest: str
    has_console_key: bool
    sessions: Sessions
    refresh: SharedCall

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
            await self.refresh()
        if not self.strict:
            exchange.cache_id = path_id(request, "cacheId")
            return self.registry.cache(exchange.cache_id)
        return await self._open_declared(request, digest_of(exchange.key), needed)

    async def _open_declared(self, request: Request, digest: str, needed: Access) -> CacheSettings:
        """Let a key in under strict rules; see `open_cache`."""
        exchange = exchange_of(request)
        key = await self._known_key(digest)
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

    async def open_proxy(self, request: Request, token: str, cache_id: str) -> None:
        """Let the sender of a request to a model in; note the key in the exchange.

        Args:
            request: The request.
            token: The key of this server that the request has.
            cache_id: The cache that keeps the answers. The key must be allowed to write to it.

        Raises:
            ProblemError: 401, if the key is unknown; 403, if it lacks the grant; 429, if it calls
                too often.
        """
        exchange_of(request).key = token
        if self.registry.is_stale():
            await self.refresh()
        key = await self._known_key(digest_of(token))
        if key.access(cache_id) < Access.WRITE:
            raise ProblemError(403, f"the key has no grant {_MISSING[Access.WRITE]}")

    async def open_console(self, request: Request, needed: Access) -> CacheSettings | None:
        """Let the caller of a console operation on a cache in; note the cache in the exchange.

        Where the console demands the admin token, a key with the needed grant does as well under
        strict rules. A browser that has signed in shows its session instead. Where the console
        demands no token, what needs `Access.CONSOLE` is for requests from this machine only.

        Returns:
            The cache if it is declared, as it always is under strict rules.

        Raises:
            ProblemError: As by `open_cache`; 403, too, if a session lacks the token for changes.
        """
        if self.has_console_key:
            digest = self.console_caller(request)
            if not self.is_admin(digest):
                if self.strict:
                    if self.registry.is_stale():
                        await self.refresh()
                    if not session_of(request):
                        exchange_of(request).key = bearer_token(request)
                    return await self._open_declared(request, digest, needed)
                raise _not_admin()
        elif needed is Access.CONSOLE and not is_local(request.scope):
            raise _not_local()
        if self.registry.is_stale():
            await self.refresh()
        cache_id = exchange_of(request).cache_id = path_id(request, "cacheId")
        cache = self.registry.cache(cache_id)
        if cache is None and self.strict:
            await self.read_records()
            cache = self.registry.cache(cache_id)
            if cache is None:
                raise ProblemError(404, "there is no cache of this id")
        return cache

    async def enter_console(self, request: Request) -> Callable[[str], bool]:
        """Let the caller of a console operation on no cache in.

        Returns:
            A function that tells whether the caller may look into the cache of an id.

        Raises:
            ProblemError: As by `open_console`; 403, if the key may look into no cache.
        """
        if not self.has_console_key:
            if not is_local(request.scope):
                raise _not_local()
            return _any_cache
        digest = self.console_caller(request)
        if self.is_admin(digest):
            return _any_cache
        if not self.strict:
            raise _not_admin()
        if self.registry.is_stale():
            await self.refresh()
        key = await self._known_key(digest)
        if not _may_look(key):
            raise ProblemError(403, "the key has no grant to look into a cache")
        return lambda cache_id: key.access(cache_id) >= Access.CONSOLE

    async def may_sign_in(self, digest: str) -> bool:
        """Return whether the token with a SHA-256 opens the console in a browser."""
        if self.is_admin(digest):
            return True
        if not self.strict:
            return False
        await self.read_records()
        key = self.registry.key_of_digest(digest)
        return key is not None and _may_look(key)

    async def read_records(self) -> None:
        """Read what other processes may have changed of caches and keys, if there are any."""
        if self.registry.is_shared:
            await self.refresh()

    def check_admin(self, request: Request) -> None:
        """Check that a request has the admin token.

        Raises:
            ProblemError: 401, if it does not.
        """
        if not self.is_admin(digest_of(bearer_token(request))):
            raise _not_admin()

    def check_console_admin(self, request: Request) -> None:
        """Check that a request may use what the console has for admins only.

        Raises:
            ProblemError: As by `open_console`.
        """
        if self.has_console_key and not self.is_admin(self.console_caller(request)):
            raise _not_admin()

    def console_caller(self, request: Request) -> str:
        """Return the SHA-256 of the token of a request: its bearer token, or that of its session.

        Raises:
            ProblemError: 401, if there is none; 403, if a session wants to change something
                without the token for changes, as requests from other sites do.
        """
        session = session_of(request)
        if header_values(request.scope, b"authorization") or not session:
            return digest_of(bearer_token(request))
        digest = self.sessions.digest(session)
        if digest is None:
            raise unauthorized("the session is over")
        if request.method not in _SAFE_METHODS:
            given = header_values(request.scope, b"x-csrf-token")
            if len(given) != 1 or not self.sessions.may_change(session, given[0].decode("latin-1")):
                raise ProblemError(403, "the X-CSRF-Token header must be that of the session")
        return digest

    def is_admin(self, digest: str) -> bool:
        """Return whether a SHA-256 is that of the admin token."""
        return hmac.compare_digest(digest, self.admin_digest)

    async def _known_key(self, digest: str) -> Key:
        key = self.registry.key_of_digest(digest)
        if key is None:
            await self.read_records()
            key = self.registry.key_of_digest(digest)
        if key is None:
            raise unauthorized("the API key is unknown")
        if key.rate_limit is not None:
            wait = self.rate_limits.take(key.id, key.rate_limit)
            if wait > 0:
                requests, seconds = key.rate_limit
                detail = f"the key may send {requests} requests in {seconds:g} seconds"
                raise ProblemError(429, detail, headers={"Retry-After": str(math.ceil(wait))})
        return key


def session_of(request: Request) -> str:
    """Return the session that the cookie of a request has, or ""."""
    return request.cookies.get(SESSION_COOKIE, "")


def _may_look(key: Key) -> bool:
    return max(key.grants.values(), default=Access.NONE) >= Access.CONSOLE


def _any_cache(_cache_id: str) -> bool:
    return True


def _not_admin() -> ProblemError:
    return unauthorized("the token is not the admin token of this server")


def _not_local() -> ProblemError:
    return unauthorized("without an admin token, this is for direct requests from this machine")
