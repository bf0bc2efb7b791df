"""Digests of API keys, which tell keys apart without telling what they are."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langcache.engine.storage import StorageBackend

_COLLECTION = "secrets of the server"
_NAME = "digests of API keys"


class KeyDigests:
    """HMACs of API keys, with a secret that the storage keeps.

    So digests stay the same after a restart, and in all processes that share the storage.

    Args:
        storage: Keeps the secret. The first server makes it.
    """

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage
        self._empty_digest: hmac.HMAC | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the secret is here, so that `digest` does not block."""
        return self._empty_digest is not None

    def digest(self, key: bytes) -> str:
        """Return the HMAC-SHA256 of a key in hexadecimal digits.

        Raises:
            StorageError: The secret cannot be read.
        """
        if self._empty_digest is None:
            self._empty_digest = hmac.new(self._shared_secret(), digestmod=hashlib.sha256)
        # A copy takes less time than a new one.
        digest = self._empty_digest.copy()
        digest.update(key)
        return digest.hexdigest()

    def _shared_secret(self) -> bytes:
        while (secret := self._storage.record(_COLLECTION, _NAME)) is None:
            # If another server is faster, its secret counts.
            self._storage.replace_record(_COLLECTION, _NAME, None, secrets.token_hex(32))
        return secret.encode()
