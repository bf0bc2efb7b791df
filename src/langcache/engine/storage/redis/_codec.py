"""An entry as the fields of a Redis hash.

    prompt, response, model, context   texts in UTF-8
    attributes, metadata               JSON; no `metadata` when there is none
    v384                               the vector: 384 float32 numbers, little-endian
    times                              created, updated, expires in seconds; the last may be "None"
    bytes                              what `entry_bytes` says, for sums
    sum                                a digest of all the above and the id, to find damage by
    scope, exact, tags                 tokens of the scope, the folded prompt and the attributes
    created, updated, expires          the times as numbers, in a range that every server can index
    words, n0 to n31                   tokens and numbers of the attributes, see `_conditions`

The scripts add `seq` and `first`: the numbers of the changes that stored the entry last and first.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from langcache.engine._utf8 import decoded, encoded
from langcache.engine.expiry import finite_or_none
from langcache.engine.same_prompt import folded
from langcache.engine.storage._metadata import metadata_json
from langcache.engine.storage.base import check_embedding, entry_bytes
from langcache.engine.storage.entry import CacheEntry, Scope
from langcache.engine.storage.redis._conditions import filter_fields
from langcache.engine.storage.redis._keys import LATEST, attribute_tokens, token, vector_field

if TYPE_CHECKING:
    from collections.abc import Mapping


Fields: TypeAlias = "dict[bytes, bytes]"

FORMAT = b"2"
"""The version of the format, which a namespace has if all its entries have these fields.

The first format had no `created`, `words` and numbers of the attributes.
"""

VECTOR = np.dtype("<f4")
"""The numbers of a stored vector."""

_DECODER = json.JSONDecoder()
_OF_AN_ENTRY = (b"prompt", b"response", b"attributes", b"metadata", b"times", b"sum")


class DamagedError(Exception):
    """The fields of a hash are not those of an entry, or some are missing."""


class Stored(NamedTuple):
    """An entry that was read, and the numbers of the changes that stored it last and first."""

    entry: CacheEntry
    seq: int
    first: int


@lru_cache(maxsize=1024)
def scope_token(scope: Scope) -> bytes:
    """Return the token of a scope."""
    return token(*scope)


def prompt_token(prompt: str) -> bytes:
    """Return the token of a prompt, which all prompts that are the same have."""
    return token(folded(prompt))


def index_number(moment: float | None) -> bytes:
    """Return a time as a number for the index; None for never."""
    return repr(LATEST if moment is None else max(-LATEST, min(LATEST, float(moment)))).encode()


def fields_of(entry: CacheEntry) -> Fields:
    """Return the fields of an entry that has been checked.

    Raises:
        ValueError: The metadata is not JSON, or `created_at` is not a number.
    """
    if math.isnan(entry.created_at):
        raise ValueError(f"created_at: must be a number of seconds, got {entry.created_at}")
    expires_at = finite_or_none(entry.expires_at)
    expires_at = None if expires_at is None else float(expires_at)
    times = (float(entry.created_at), float(entry.updated_at), expires_at)
    vector = entry.embedding.astype(VECTOR, copy=False).tobytes()
    fields = {
        b"prompt": encoded(entry.prompt),
        b"response": encoded(entry.response),
        b"model": encoded(entry.embedding_model_id),
        b"context": encoded(entry.context_hash),
        b"attributes": json.dumps(dict(entry.attributes)).encode(),
        b"times": " ".join(map(repr, times)).encode(),
        vector_field(len(entry.embedding)): vector,
    }
    if entry.metadata is not None:
        fields[b"metadata"] = metadata_json(entry.metadata)
    fields[b"sum"] = _digest(entry.scope, entry.id, fields, vector)
    fields[b"bytes"] = b"%d" % entry_bytes(entry)
    fields[b"scope"] = scope_token(entry.scope)
    fields[b"exact"] = prompt_token(entry.prompt)
    fields.update(added_fields(entry))
    fields[b"updated"] = index_number(entry.updated_at)
    fields[b"expires"] = index_number(expires_at)
    if entry.attributes:
        fields[b"tags"] = b",".join(attribute_tokens(entry.attributes))
    return fields


def added_fields(entry: CacheEntry) -> Fields:
    """Return the fields that entries of the first format do not have."""
    return {b"created": index_number(entry.created_at), **filter_fields(entry.attributes)}


def stored_of(namespace: str, entry_id: str, fields: Mapping[bytes, bytes]) -> Stored:
    """Return the entry of the fields that were found under its key.

    Raises:
        DamagedError: They are not what `fields_of` returned for an entry of this namespace and id.
    """
    try:
        scope = Scope(namespace, decoded(fields[b"model"]), decoded(fields[b"context"]))
        if fields[b"scope"] != scope_token(scope):
            raise DamagedError
        entry = entry_of(scope, entry_id, _dimensions(fields), fields)
        return Stored(entry, int(fields[b"seq"]), int(fields[b"first"]))
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedError from error


def entry_of(
    scope: Scope,
    entry_id: str,
    dimensions: int,
    fields: Mapping[bytes, bytes],
) -> CacheEntry:
    """Return the entry of the fields that were found under its key, when its scope is known.

    Args:
        scope: The scope.
        entry_id: The entry's id.
        dimensions: The width of its vector.
        fields: The fields.

    Raises:
        DamagedError: They are not what `fields_of` returned for an entry of this scope and id.
    """
    try:
        vector = fields[vector_field(dimensions)]
        embedding = np.frombuffer(vector, VECTOR).astype(np.float32)
        is_whole = fields[b"sum"] == _digest(scope, entry_id, fields, vector)
        if not is_whole or len(embedding) != dimensions:
            raise DamagedError
        created_at, updated_at, expires_at = _times(fields[b"times"])
        attributes = fields[b"attributes"]
        metadata = fields.get(b"metadata")
        # The texts are as they were stored, so nothing follows the JSON.
        return CacheEntry(
            id=entry_id,
            prompt=decoded(fields[b"prompt"]),
            response=decoded(fields[b"response"]),
            embedding=embedding,
            namespace=scope.namespace,
            embedding_model_id=scope.embedding_model_id,
            context_hash=scope.context_hash,
            attributes={} if attributes == b"{}" else _DECODER.raw_decode(attributes.decode())[0],
            metadata=None if metadata is None else json.loads(metadata),
            created_at=created_at,
            updated_at=updated_at,
            expires_at=expires_at,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedError from error


def updated_at_of(fields: Mapping[bytes, bytes]) -> float:
    """Return when the entry of some fields was last stored or changed. Their `sum` is not checked.

    Raises:
        DamagedError: The times are missing or malformed.
    """
    try:
        return _times(fields[b"times"])[1]
    except (KeyError, ValueError) as error:
        raise DamagedError from error


def entry_fields(dimensions: int) -> tuple[bytes, ...]:
    """Return the fields that `entry_of` needs of an entry with so many dimensions."""
    return (*_OF_AN_ENTRY, vector_field(dimensions))


OUTLINE = (b"seq", b"scope", b"model", b"context", b"exact", b"times", b"attributes")
"""The fields that `outline_of` needs, besides the vector, which comes last."""


def outline_of(namespace: str, entry_id: str, values: list[bytes | None]) -> CacheEntry:
    """Return the outline of an entry: what a search needs of it.

    In place of the prompt it has the prompt's token, by which prompts can be compared; in place of
    the response, the number of the change that stored the entry, see `seq_of`.

    Raises:
        DamagedError: A field is missing or malformed.
    """
    try:
        seq, _, model_id, context_hash, exact, times, attributes, vector = map(_present, values)
        created_at, updated_at, expires_at = _times(times)
        embedding = np.frombuffer(vector, VECTOR).astype(np.float32)
        check_embedding(embedding)
        return CacheEntry(
            id=entry_id,
            prompt=exact.decode(),
            response=str(int(seq)),
            embedding=embedding,
            namespace=namespace,
            embedding_model_id=decoded(model_id),
            context_hash=decoded(context_hash),
            attributes=json.loads(attributes),
            created_at=created_at,
            updated_at=updated_at,
            expires_at=expires_at,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedError from error


def seq_of(outline: CacheEntry) -> int:
    """Return the number of the change that stored the entry of an outline."""
    return int(outline.response)


def _present(value: bytes | None) -> bytes:
    if value is None:
        raise DamagedError
    return value


def _times(text: bytes) -> tuple[float, float, float | None]:
    created_at, updated_at, expires_at = text.split()
    expiry = None if expires_at == b"None" else float(expires_at)
    return float(created_at), float(updated_at), expiry


def _dimensions(fields: Mapping[bytes, bytes]) -> int:
    """Return the width in the name of the vector's field."""
    return next((int(name[1:]) for name in fields if name[:1] == b"v" and name[1:].isdigit()), 0)


@lru_cache(maxsize=1024)
def _summed_scope(scope: Scope) -> bytes:
    """Return what the digest of an entry has of its scope."""
    model, context = encoded(scope.embedding_model_id), encoded(scope.context_hash)
    return b"%d:%b%d:%b" % (len(model), model, len(context), context)


def _digest(scope: Scope, entry_id: str, fields: Mapping[bytes, bytes], vector: bytes) -> bytes:
    prompt, response = fields[b"prompt"], fields[b"response"]
    attributes, metadata, times = fields[b"attributes"], fields.get(b"metadata"), fields[b"times"]
    summed = b"%b%d:%b%d:%b%b%d:%b%b%d:%b%d:%b" % (
        encoded(entry_id),
        *(len(prompt), prompt, len(response), response),
        *(_summed_scope(scope), len(attributes), attributes),
        b"-" if metadata is None else b"%d:%b" % (len(metadata), metadata),
        *(len(times), times, len(vector), vector),
    )
    return hashlib.blake2b(summed, digest_size=8).hexdigest().encode()
