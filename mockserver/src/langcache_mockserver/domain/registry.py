"""The registry: caches and keys from the configuration or created while the server runs."""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import logging
import math
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from langcache.engine.storage import StorageFullError
from langcache_mockserver.domain.verifiers import VERIFIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from langcache.engine.storage import StorageBackend

_log = logging.getLogger("langcache_mockserver")

T = TypeVar("T")

ANY_CACHE = "*"
"""The cache id of a grant for all caches."""

_CACHES = "server caches"
_KEYS = "server keys"
_VERIFIERS = "server verifiers"
_REVISIONS = "server revisions"
_REVISION = "latest"  # changes with every change of the records
COLLECTIONS = (_CACHES, _KEYS, _VERIFIERS)
"""The collections of the storage with the records of what was created at run time."""

MOST_VERIFIERS = 1000
"""The largest number of caches that have a verifier set at run time."""

_MAX_AGE = 1.0  # seconds for which a change by another process may go unnoticed
_MAX_AGE_UNSAID = 10.0  # the same for a change without a new revision, by a process that died


class Access(enum.IntEnum):
    """What a key may do with a cache. Each level includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    FULL = 3
    CONSOLE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """A declared cache.

    Attributes:
        id: Its id.
        name: Its name.
        database_id: The database that its owner chose; the server has one storage for all.
        attributes: The names of the attributes that its entries may have.
        default_threshold: The similarity threshold, `(1 + cosine) / 2`, of semantic searches that
            do not set one; None for the server's default.
        default_ttl_millis: The TTL of entries stored without one, in milliseconds; -1 or 0 for no
            limit.
        search_strategies: Its strategies, `exact` or `semantic`. A search that sets none uses all
            of them, in this order.
        verify: The name of its verifier, or `off`, if the configuration sets it; else None.
        created_at: When it was created or its configuration was read, as `moment` writes it.
        configured: Whether the configuration declares it.
    """

    id: str
    name: str
    database_id: str = "default"
    attributes: tuple[str, ...] = ()
    default_threshold: float | None = None
    default_ttl_millis: int = -1
    search_strategies: tuple[str, ...] = ("semantic",)
    verify: str | None = None
    created_at: str
    configured: bool = False


class RateLimit(NamedTuple):
    """How many requests a key may send in how many seconds."""

    requests: int
    per_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without the token itself.

    Attributes:
        id: Its id, which is not a secret.
        name: Its name.
        digest: The SHA-256 of the token, in hexadecimal digits.
        grants: What it may do, by cache; `ANY_CACHE` for all caches.
        created_at: When it was created or its configuration was read, as `moment` writes it.
        rate_limit: Its rate limit, or None for no limit.
    """

    id: str
    name: str
    digest: str
    grants: dict[str, Access]
    created_at: str
    rate_limit: RateLimit | None = None

    def access(self, cache_id: str) -> Access:
        """Return what the key may do with a cache."""
        return max(self.grants.get(cache_id, Access.NONE), self.grants.get(ANY_CACHE, Access.NONE))


def grants_of(allowed: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Access]:
    """Return grants from pairs of a cache, or `ANY_CACHE`, and the actions allowed on it.

    An action is `read`, `write`, `full` or `console`. If a cache comes more than once, the highest
    one counts.
    """
    grants: dict[str, Access] = {}
    for cache_id, actions in allowed:
        access = max(Access[action.upper()] for action in actions)
        grants[cache_id] = max(access, grants.get(cache_id, Access.NONE))
    return grants


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token, in hexadecimal digits. The token itself is not kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def moment(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as RFC 3339 in UTC with milliseconds."""
    time = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


class TooManyError(Exception):
    """There are as many of something as there may be."""


class Registry:
    """The caches and keys of a server.

    Lookups use dictionaries. Caches and keys created at run time are kept as records of the
    storage. If other processes may change these, `is_stale` tells when to call `refresh`.

    Args:
        storage: Keeps the records.
        caches: The caches of the configuration; each overrides a record with its id.
        keys: The keys of the configuration.
        monotonic: Returns the time in seconds since some moment.
        admin_digest: The SHA-256 of the admin token, which is never a key: a record of one with
            this token, from a time when the admin token was another, does not count.
    """

    def __init__(
        self,
        storage: StorageBackend,
        caches: Iterable[CacheSettings] = (),
        keys: Iterable[Key] = (),
        monotonic: Callable[[], float] = time.monotonic,
        admin_digest: str = "",
    ) -> None:
        self._storage = storage
        self._configured_caches = {cache.id: cache for cache in caches}
        self._configured_keys = {key.digest: key for key in keys}
        self._monotonic = monotonic
        self._admin_digest = admin_digest
        self._refused: set[str] = set()
        self.is_shared = storage.is_shared
        self._lock = threading.Lock()
        self._caches = self._configured_caches
        self._minted: dict[str, Key] = {}
        self._keys = self._configured_keys
        self._verifiers: dict[str, str] = {}
        self._read_at = self._all_read_at = -math.inf
        self._revision: str | None = None
        if not self.is_shared:  # else it may not be up yet, and the first request reads it
            self._read()

    def is_stale(self) -> bool:
        """Return whether another process may have changed records more than a second ago."""
        return self.is_shared and self._monotonic() - self._read_at > _MAX_AGE

    def refresh(self) -> None:
        """Read the records again if they have changed, unless a thread has done so since this call.

        Where they have not changed, that costs one record, however many there are.

        Raises:
            StorageError: The storage cannot be used.
        """
        asked_at = self._monotonic()
        with self._lock:
            if self._read_at > asked_at:
                return
            read_at = self._monotonic()
            if self.is_shared and read_at - self._all_read_at < _MAX_AGE_UNSAID:
                revision = self._storage.record(_REVISIONS, _REVISION)
                if revision == self._revision:
                    self._read_at = read_at
                    return
            self._read()

    def cache(self, cache_id: str) -> CacheSettings | None:
        """Return a declared cache, or None if there is none of this id."""
        return self._caches.get(cache_id)

    def caches(self) -> list[CacheSettings]:
        """Return all declared caches, those of the configuration first."""
        return list(self._caches.values())

    def verifier(self, cache_id: str) -> str | None:
        """Return the name of a cache's verifier, or `off`; None if it has none of its own."""
        cache = self._configured_caches.get(cache_id)
        return self._verifiers.get(cache_id) if cache is None else cache.verify

    def key(self, token: str) -> Key | None:
        """Return the key that a token is for, or None if it is unknown.

        The duration of this call reveals nothing about tokens: a caller cannot choose where the
        digest of a guess differs from others.
        """
        return self.key_of_digest(digest_of(token))

    def key_of_digest(self, digest: str) -> Key | None:
        """Return the key whose token has this SHA-256, or None if it is unknown."""
        key = self._keys.get(digest)
        same = hmac.compare_digest(digest, key.digest if key else "")
        return key if same else None

    def minted_keys(self) -> list[Key]:
        """Return the keys that were created at run time, oldest first."""
        return list(self._minted.values())

    def add_cache(self, cache: CacheSettings) -> None:
        """Add a cache; it exists when this returns.

        Raises:
            StorageError: The storage cannot be used. Nothing has changed then.
        """
        with self._lock:
            self._write(_CACHES, cache.id, _cache_to_json(cache))

    def change_cache(
        self, cache_id: str, change: Callable[[CacheSettings], CacheSettings | None]
    ) -> CacheSettings | None:
        """Change or remove a cache that the configuration does not declare; its entries stay.

        Args:
            cache_id: The cache.
            change: Takes the cache and returns the changed one, or None to remove it.

        Returns:
            The cache before the change, or None if it did not exist.

        Raises:
            StorageError: The storage cannot be used. Nothing has changed then.
        """
        with self._lock:
            cache = self._change(_CACHES, cache_id, change, _cache_from_json, _cache_to_json)
            if cache_id in self._verifiers and cache and cache_id not in self._caches:
                self._write(_VERIFIERS, cache_id, None)
            return cache

    def set_verifier(self, cache_id: str, name: str | None) -> None:
        """Give a cache that the configuration doesn't declare a verifier of its own.

        The cache need not be declared at all.

        Args:
            cache_id: The cache.
            name: The name of the verifier, or `off`; None for what the server has.

        Raises:
            StorageError: The storage can't be used. Nothing has changed then.
            TooManyError: There are `MOST_VERIFIERS` such caches.
        """
        with self._lock:
            self._read()
            is_new = name is not None and cache_id not in self._verifiers
            if is_new and len(self._verifiers) >= MOST_VERIFIERS:
                raise TooManyError
            self._write(_VERIFIERS, cache_id, None if name is None else {"verify": name})

    def add_key(self, key: Key) -> None:
        """Add a key; it is valid when this returns.

        Raises:
            StorageError: The storage cannot be used. Nothing has changed then.
        """
        with self._lock:
            self._write(_KEYS, key.id, _key_to_json(key))

    def change_key(self, key_id: str, change: Callable[[Key], Key | None]) -> Key | None:
        """Change or remove a key that was created at run time.

        When this returns, the key before the change is not valid any more.

        Args:
            key_id: The key.
            change: Takes the key and returns the changed one, or None to remove it.

        Returns:
            The key before the change, or None if it did not exist.

        Raises:
            StorageError: The storage cannot be used. Nothing has changed then.
        """
        with self._lock:
            return self._change(_KEYS, key_id, change, _key_from_json, _key_to_json)

    def _change(
        self,
        collection: str,
        key: str,
        change: Callable[[T], T | None],
        parse: Callable[[dict[str, Any]], T],
        write: Callable[[T], dict[str, Any]],
    ) -> T | None:
        """Change or remove a record, whatever other processes do to it, and return the former."""
        while (text := self._storage.record(collection, key)) is not None:
            former = parse(json.loads(text))
            changed = change(former)
            new = None if changed is None else json.dumps(write(changed))
            if self._storage.replace_record(collection, key, text, new):
                self._say_and_read()
                return former
        self._read()
        return None

    def _write(self, collection: str, key: str, value: dict[str, Any] | None) -> None:
        self._storage.set_record(collection, key, None if value is None else json.dumps(value))
        self._say_and_read()

    def _say_and_read(self) -> None:
        """Tell other processes of a change, and read all records."""
        if self.is_shared:
            try:
                self._storage.set_record(_REVISIONS, _REVISION, uuid.uuid4().hex)
            except StorageFullError:
                # What was removed is gone. To remove the revision takes no room, and tells as well.
                self._storage.set_record(_REVISIONS, _REVISION, None)
        self._read()

    def _read(self) -> None:
        read_at = self._monotonic()
        # Before the records, so that a change in the meantime is noticed the next time.
        revision = self._storage.record(_REVISIONS, _REVISION) if self.is_shared else None
        caches = _parse(self._storage.records(_CACHES), _cache_from_json)
        keys = _parse(self._storage.records(_KEYS), _key_from_json)
        verifiers = {
            cache_id: _verifier_from_json(json.loads(text))
            for cache_id, text in self._storage.records(_VERIFIERS).items()
        }
        # Other threads read these without the lock, so each is replaced at once.
        self._caches = self._configured_caches | {
            cache.id: cache for cache in caches if cache.id not in self._configured_caches
        }
        self._verifiers = verifiers
        self._minted = {key.id: key for key in keys}
        by_digest = {key.digest: key for key in keys}
        refused = by_digest.pop(self._admin_digest, None)
        if refused is not None and refused.id not in self._refused:
            self._refused.add(refused.id)  # said once
            _log.warning("the API key %s is not accepted: its token is the admin token", refused.id)
        self._keys = by_digest | self._configured_keys
        self._revision = revision
        self._read_at = self._all_read_at = read_at


def _parse(records: dict[str, str], make: Callable[[dict[str, Any]], T]) -> list[T]:
    """Return the objects of records, oldest first."""
    values = [json.loads(text) for text in records.values()]
    return [make(value) for value in sorted(values, key=itemgetter("created_at"))]


def _cache_to_json(cache: CacheSettings) -> dict[str, Any]:
    value = asdict(cache)
    del value["configured"], value["verify"]  # only a configured cache has them
    return value


def _cache_from_json(value: dict[str, Any]) -> CacheSettings:
    for name in ("attributes", "search_strategies"):
        value[name] = tuple(value[name])
    return CacheSettings(**value)


def _verifier_from_json(value: dict[str, Any]) -> str:
    name = value["verify"]
    if name not in VERIFIERS:
        raise ValueError(f"verify: must be one of {', '.join(VERIFIERS)}")
    return name


def _key_to_json(key: Key) -> dict[str, Any]:
    value = asdict(key)
    del value["rate_limit"]  # only configured keys have one
    return value


def _key_from_json(value: dict[str, Any]) -> Key:
    value["grants"] = {cache: Access(access) for cache, access in value["grants"].items()}
    return Key(**value)
