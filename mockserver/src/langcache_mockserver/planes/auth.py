"""Who may call: any non-empty bearer token in development, keys with grants under strict rules."""

from __future__ import annotations

import hmac
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langcache_mockserver.domain.registry import Access, digest_of
from langcache_mockserver.http.call import call_of
from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.validation import decode_id, header_values
from langcache_mockserver.planes.service import in_worker, service_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from langcache_mockserver.domain.rate_limits import RateLimits
    from langcache_mockserver.domain.registry import CacheSettings, Key, Registry

_BEARER = re.compile(rb"bearer +([\x21-\x7e]+)", re.IGNORECASE)

_MISSING = {
    Access.READ: "to read from this cache",
    Access.WRITE: "to write to this cache",
    Access.FULL: "to manage this cache",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """What decides who may do what.

    Attributes:
        strict: Whether the service's rules hold: only declared caches, only keys with grants.
        registry: The caches and keys that are declared.
        rate_limits: How often each key may ask.
        admin_digest: The SHA-256 of the admin token, in hexadecimal digits.
    """

    strict: bool
    registry: Registry
    rate_limits: RateLimits
    admin_digest: str


async def open_cache(request: Request, needed: Access) -> CacheSettings | None:
    """Let the caller of an operation on a cache in; `call_of` tells which cache and key it is.

    Whether a cache exists is told only to those who have the grant that they need.

    Args:
        request: The request; its path has the cache's id.
        needed: What a key must be allowed to do with the cache under strict rules.

    Returns:
        The cache, if it is declared, and it always is under strict rules.

    Raises:
        ProblemError: 401, where there is no key or it is unknown; 429, where it asks too often;
            400, where the id is malformed; 403, where the key lacks the grant; 404, where the
            cache isn't declared.
    """
    call = call_of(request)
    call.key = authenticate(request)
    gate = service_of(request).gate
    if gate.registry.is_stale():
        await in_worker(request, gate.registry.refresh)
    if not gate.strict:
        call.cache_id = _cache_id(request)
        return gate.registry.cache(call.cache_id)
    key = await _known_key(request, gate, call.key)
    call.cache_id = _cache_id(request)
    if key.access(call.cache_id) < needed:
        raise ProblemError(403, f"the key has no grant {_MISSING[needed]}")
    cache = gate.registry.cache(call.cache_id)
    if cache is None:
        await read_records(request)
        cache = gate.registry.cache(call.cache_id)
    if cache is None:
        raise ProblemError(404, "there is no cache of this id")
    return cache


async def read_records(request: Request) -> None:
    """Read what other processes may have changed of caches and keys, if there are any."""
    registry = service_of(request).gate.registry
    if registry.shared:
        await in_worker(request, registry.refresh)


def authenticate(request: Request) -> str:
    """Return the API key that a request carries.

    Raises:
        ProblemError: 401, where the `Authorization` header is missing, given twice, or anything but
            `Bearer <key>` with a key of visible ASCII characters.
    """
    headers = header_values(request.scope, b"authorization")
    if not headers:
        raise _refusal("the Authorization header is missing")
    if len(headers) > 1:
        raise _refusal(
            f"the Authorization header must be given once, is given {len(headers)} times"
        )
    match = _BEARER.fullmatch(headers[0])
    if match is None:
        raise _refusal(
            "the Authorization header must be 'Bearer <key>' with a key that is not empty"
        )
    return match[1].decode()


def authenticate_admin(request: Request) -> None:
    """Check that a request carries the admin token.

    Raises:
        ProblemError: 401, where it doesn't.
    """
    digest = digest_of(authenticate(request))
    if not hmac.compare_digest(digest, service_of(request).gate.admin_digest):
        raise _refusal("the token is not the admin token of this server")


def _cache_id(request: Request) -> str:
    return decode_id(request.path_params["cache_id"], "cacheId")


async def _known_key(request: Request, gate: Gate, token: str) -> Key:
    key = gate.registry.key(token)
    if key is None:
        await read_records(request)
        key = gate.registry.key(token)
    if key is None:
        raise _refusal("the API key is unknown")
    if key.rate_limit is not None:
        wait = gate.rate_limits.take(key.id, key.rate_limit)
        if wait > 0:
            requests, seconds = key.rate_limit
            detail = f"the key may send {requests} requests in {seconds:g} seconds"
            raise ProblemError(429, detail, headers={"Retry-After": str(math.ceil(wait))})
    return key


def _refusal(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})
