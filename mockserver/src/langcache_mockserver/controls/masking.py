"""Masks API keys in listings, so that a key can be recognised but not read."""

from __future__ import annotations

import hashlib


def masked(key: str) -> str:
    """Return a name for a key that does not reveal it: part of its SHA-256; "" for no key."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()[:16]}" if key else ""
