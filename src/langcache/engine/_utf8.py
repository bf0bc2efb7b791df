"""Texts as bytes: UTF-8 that also holds lone surrogates, which a `str` may have."""

from __future__ import annotations


def encoded(text: str) -> bytes:
    """Return a text in UTF-8, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """Return the text that `encoded` made the bytes of."""
    return data.decode("utf-8", "surrogatepass")
