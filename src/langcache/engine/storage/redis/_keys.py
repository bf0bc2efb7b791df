"""Names of the keys in Redis, and tokens that stand for texts of any kind.

With the prefix `_langcache` and the namespace `ns`:

    _langcache:e:{ns}:ID   hash: an entry, see `_codec`
    _langcache:n:{ns}      hash: `epoch`, a random text made with the namespace; `seq`, the number
                           of the last change; `format`, see `_codec`; for each scope `d` + scope,
                           its dimensions, and `c` + scope, its members
    _langcache:o:{ns}      sorted set: members by the number of the change that stored them
    _langcache:t:{ns}      sorted set: recently removed members by the number of their removal
    _langcache:x:{ns}      sorted set: members by their expiry, those that have one
    _langcache:r:NAME      hash: a collection of records
    _langcache:v384:2      search index over the entries of 384 dimensions, of the second format

A member is a scope's token followed by an entry's id. All keys of a namespace share its hash tag,
so they are in one slot of a cluster and one script can change them together.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from langcache.engine._utf8 import decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_LENGTH = 32
_LONGEST_KEPT = 100

DEFAULT_PREFIX = "_langcache"
"""What keys begin with by default.

It begins with an underscore so that no other library's keys begin like ours, as those of a cache of
RedisVL named "langcache" would, and its index does not cover them.
"""

FORMER_PREFIX = "langcache"
"""The default prefix of earlier versions."""

LATEST = 1e15
"""The latest time, in seconds, that every server can index."""


class NamespaceKeys(NamedTuple):
    """The keys of a namespace; the first four are what every script is given."""

    state: bytes
    members: bytes
    removed: bytes
    expiries: bytes
    entry_prefix: bytes

    def entry(self, entry_id: str) -> bytes:
        """Return the key of an entry."""
        return self.entry_prefix + encoded(entry_id)


class Keys:
    """The names of all keys under a prefix.

    Args:
        prefix: What every key begins with, before a colon.

    Raises:
        TypeError: The prefix is not a str.
        ValueError: The prefix is empty or has a brace, which would move the hash tag.
    """

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"prefix: must be a str, got {type(prefix).__name__}")
        if not prefix or "{" in prefix or "}" in prefix:
            raise ValueError("prefix: must be a text that is not empty and has no braces")
        self._prefix = encoded(prefix)
        self.entries: bytes = self._prefix + b":e:{"

    def of(self, namespace: str) -> NamespaceKeys:
        """Return the keys of a namespace."""
        return _namespace_keys(self._prefix, namespace)

    def of_tag(self, hash_tag: bytes) -> NamespaceKeys:
        """Return the keys of the namespace with a hash tag."""
        return _tagged_keys(self._prefix, hash_tag)

    def namespace_of(self, hash_tag: bytes) -> str:
        """Return the namespace whose keys have a hash tag."""
        return "" if hash_tag == b"%" else decoded(unquote_to_bytes(hash_tag))

    def records(self, collection: str) -> bytes:
        """Return the key of a collection of records."""
        return self._prefix + b":r:" + encoded(collection)

    def index(self, dimensions: int) -> bytes:
        """Return the name of the search index over vectors of so many dimensions."""
        return _index_name(self._prefix, dimensions)

    def dimensions_of(self, index: bytes) -> int | None:
        """Return the dimensions of the vectors in an index; None if it is none of ours."""
        number = index.removeprefix(self._prefix + b":v").removesuffix(b":2")
        return int(number) if number.isdigit() and index == self.index(int(number)) else None

    def is_first_index(self, name: bytes) -> bool:
        """Return whether an index is one of the first format."""
        number = name.removeprefix(self._prefix + b":v")
        return number.isdigit() and name != number

    def records_pattern(self) -> bytes:
        """Return a pattern for SCAN that matches the keys of all collections of records."""
        return literal(self._prefix) + b":r:*"

    def namespaces_pattern(self) -> bytes:
        """Return a pattern for SCAN that matches the `state` keys of all namespaces."""
        return self._pattern(b"n")

    def entries_pattern(self) -> bytes:
        """Return a pattern for SCAN that matches all other keys of all namespaces."""
        return self._pattern(b"[eotx]")

    def _pattern(self, kind: bytes) -> bytes:
        return literal(self._prefix) + b":" + kind + b":{*"


@lru_cache(maxsize=1024)
def _namespace_keys(prefix: bytes, namespace: str) -> NamespaceKeys:
    # Redis ignores an empty hash tag. No quoted text is a lone "%".
    quoted = quote_from_bytes(encoded(namespace), safe="").encode()
    return _tagged_keys(prefix, quoted or b"%")


@lru_cache(maxsize=64)
def _index_name(prefix: bytes, dimensions: int) -> bytes:
    return b"%b:%b:2" % (prefix, vector_field(dimensions))


def _tagged_keys(prefix: bytes, hash_tag: bytes) -> NamespaceKeys:
    tag = b":{" + hash_tag + b"}"
    state, members, removed, expiries, entry = (
        prefix + b":" + kind + tag for kind in (b"n", b"o", b"t", b"x", b"e")
    )
    return NamespaceKeys(state, members, removed, expiries, entry + b":")


def literal(text: bytes) -> bytes:
    """Return a pattern for SCAN that matches just a text."""
    return re.sub(rb"([*?\[\]\\^-])", rb"\\\1", text)


def hash_tag(key: bytes) -> bytes:
    """Return the part of a namespace's key that determines its slot."""
    return key[key.index(b"{") + 1 : key.index(b"}")]


@lru_cache(maxsize=64)
def vector_field(dimensions: int) -> bytes:
    """Return the name of the field for vectors of so many dimensions.

    Each width has a name of its own, so that an index contains vectors of one width only.
    """
    return b"v%d" % dimensions


def token(*texts: str) -> bytes:
    """Return a token for some texts: a letter and 31 hexadecimal digits of their SHA-256.

    The query engine splits, folds and parses the texts of tags, but not these tokens.
    """
    hashed = hashlib.sha256()
    for text in texts:
        data = encoded(text)
        hashed.update(b"%d:" % len(data))
        hashed.update(data)
    return b"h" + hashed.hexdigest()[: TOKEN_LENGTH - 1].encode()


def repeated_token(*texts: str) -> bytes:
    """Return the token of some texts that come again and again: that of short ones is kept."""
    return (_kept_token if sum(map(len, texts)) <= _LONGEST_KEPT else token)(*texts)


_kept_token = lru_cache(maxsize=4096)(token)


def attribute_tokens(attributes: Mapping[str, str] | None) -> list[bytes]:
    """Return a token for each attribute's name and value."""
    return [repeated_token(name, value) for name, value in (attributes or {}).items()]
