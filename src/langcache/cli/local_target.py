"""A cache in a storage of this machine, for the commands."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from datetime import datetime, timezone
from functools import reduce
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langcache.cli.target import USAGE, RowError, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langcache.cli.target import Row
    from langcache.engine import FilterExpression, SemanticCache
    from langcache.engine.storage import CacheEntry, StorageBackend

_TOGETHER = 64
_PAGE = 500
_SQLITE = "sqlite:"
_CREDENTIALS = re.compile("//[^@/]*@")


def open_storage(name: str, *, creates: bool = False) -> StorageBackend:
    """Open a storage of this machine.

    Args:
        name: "sqlite:PATH" or the URL of a Redis.
        creates: Whether to create a file that does not exist.

    Raises:
        TargetError: The name is wrong, the storage cannot be opened, or a package is missing.
    """
    try:
        from langcache.engine.storage import StorageError
        from langcache.engine.storage.create import create_storage, is_storage_name
    except ImportError as error:
        raise without_engine(error) from None
    if name == "memory" or not is_storage_name(name):
        # The name is not repeated, as it may contain a password.
        raise TargetError("--storage: must be sqlite:PATH or the URL of a Redis", USAGE)
    path = name.removeprefix(_SQLITE)
    if path != name and not creates and not Path(path).exists():
        raise TargetError(f"{path}: cannot be opened (no such file)")
    try:
        return create_storage(name)
    except (ImportError, ValueError) as error:
        raise TargetError(f"--storage: {_plain(error)}", USAGE) from None
    except StorageError as error:
        raise TargetError(str(error)) from None


def without_engine(error: ImportError) -> TargetError:
    """Return the error of a command that cannot import the engine."""
    message = 'needs the extra engine; see "Install" in the README'
    return TargetError(f"--storage: {message} ({error.name})", USAGE)


class LocalTarget:
    """A `SemanticCache` on a storage.

    Args:
        storage: The name of the storage, as `open_storage` takes it.
        name: The name of the cache.
        embedder: The name of the embedder.
        attribute_names: The attributes that will be used. A cache that declares no fields yet gets
            these, as tags.
        verifier: The name of the verifier; None for none.
        creates: Whether to create a file that does not exist.

    Raises:
        TargetError: The storage cannot be opened, or a package is missing.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        embedder: str,
        attribute_names: Sequence[str],
        verifier: str | None,
        *,
        creates: bool,
    ) -> None:
        self.parallel: int = max(1, min(4, os.cpu_count() or 1))
        self.together = _TOGETHER
        self.name: str = f"{storage if storage.startswith(_SQLITE) else 'redis'} {name}"
        self.place: str = f"{_place(storage)} {name} {embedder}"
        self._storage = open_storage(storage, creates=creates)
        from langcache.engine import SemanticCache
        from langcache.engine.cache import FIELDS_COLLECTION
        from langcache.engine.storage import StorageError

        self._error = StorageError
        try:
            known = self._storage.record(FIELDS_COLLECTION, name)
            if known is None:
                self._fields = dict.fromkeys(attribute_names, "tag")
            else:
                self._fields = cast("dict[str, str]", json.loads(known))
            fields = [{"name": each, "type": kind} for each, kind in self._fields.items()]
            self._cache: SemanticCache = SemanticCache(
                name,
                vectorizer=embedder,
                filterable_fields=fields,
                storage=self._storage,
                verifier=verifier,
            )
            if known is None and not fields:
                # Looking at a cache must not decide which fields it has.
                self._storage.set_record(FIELDS_COLLECTION, name, None)
        except StorageError as error:
            self.close()
            raise TargetError(str(error)) from None
        except (ImportError, ValueError) as error:
            self.close()
            raise TargetError(_plain(error), USAGE) from None

    def search(
        self,
        prompt: str,
        *,
        threshold: float | None,
        attributes: dict[str, str],
        limit: int,
        verifier: str | None,
    ) -> dict[str, Any]:
        """Return what a search comes to and why."""
        del verifier  # the cache has it
        problem = self._problem(attributes)
        if problem is not None:
            raise TargetError(problem, USAGE)
        from langcache.engine.embedders import EmbedderError
        from langcache.engine.explanation import as_json

        try:
            expression = self._expression(attributes)
            explanation = self._cache.explain(
                prompt,
                num_candidates=limit,
                filter_expression=expression,
                distance_threshold=None if threshold is None else 2 * (1 - threshold),
            )
        except (self._error, EmbedderError) as error:
            raise TargetError(str(error)) from None
        except ValueError as error:
            raise TargetError(str(error), USAGE) from None
        return as_json(explanation, id_of=lambda key: key.rpartition(":")[2])

    def store(self, rows: Sequence[Row]) -> list[RowError]:
        """Store rows and return those that are not stored."""
        errors: list[RowError] = []
        good: list[dict[str, Any]] = []
        for row in rows:
            item = self._item(row)
            if isinstance(item, str):
                errors.append(RowError(row.line, item))
            else:
                good.append(item)
        self._store(good)
        return errors

    def set(self, row: Row) -> str:
        """Store one entry and return its id."""
        item = self._item(row)
        if isinstance(item, str):
            raise TargetError(item, USAGE)
        (key,) = self._store([item])
        return key.rpartition(":")[2]

    def _item(self, row: Row) -> dict[str, Any] | str:
        """Return what `store_many` takes for a row, or what is wrong with the row."""
        problem = self._problem(row.attributes)
        if problem is not None:
            return problem
        if not row.prompt:
            return "prompt: must not be empty"
        item: dict[str, Any] = {"prompt": row.prompt, "response": row.response}
        if row.attributes:
            item["filters"] = {
                name: _number(value) if self._fields[name] == "numeric" else value
                for name, value in row.attributes.items()
            }
        if row.ttl_millis is not None:
            from langcache.engine._checks import checked_ttl

            try:
                item["ttl"] = checked_ttl(max(1, (row.ttl_millis + 500) // 1000))
            except ValueError as error:
                return str(error)
        return item

    def _store(self, items: list[dict[str, Any]]) -> list[str]:
        from langcache.engine.embedders import EmbedderError

        try:
            return self._cache.store_many(items)
        except (self._error, EmbedderError) as error:
            raise TargetError(str(error)) from None

    def _problem(self, attributes: dict[str, str]) -> str | None:
        for name, value in attributes.items():
            if name not in self._fields:
                has = ", ".join(sorted(self._fields)) or "none"
                return f"attributes: must be fields that the cache declares ({has}), got {name!r}"
            if self._fields[name] == "numeric" and _number(value) is None:
                return f"attributes: {name} must be a number"
        return None

    def _expression(self, attributes: dict[str, str]) -> FilterExpression | None:
        """Return the filter that entries with these attributes pass; a text has their words."""
        from langcache.engine import Num, Tag, Text

        clauses: list[FilterExpression] = []
        for name, value in attributes.items():
            number = _number(value)
            if self._fields[name] == "numeric" and number is not None:
                clauses.append(Num(name) == number)
            elif self._fields[name] == "text":
                clauses.append(Text(name) == value)
            else:
                clauses.append(Tag(name) == value)
        return reduce(lambda left, right: left & right, clauses) if clauses else None

    def delete(self, entry_ids: Sequence[str]) -> int:
        """Delete entries and return how many there were."""
        ids = [entry_id.removeprefix(f"{self._cache.name}:") for entry_id in entry_ids]
        try:
            there = [each for each in ids if self._storage.get(self._cache.name, each) is not None]
            self._cache.drop(ids=there)
        except self._error as error:
            raise TargetError(str(error)) from None
        return len(there)

    def delete_by_attributes(self, attributes: dict[str, str]) -> int:
        """Delete the entries that have attributes and return how many there were."""
        pairs = [
            [(name, form) for form in self._stored_forms(name, value)]
            for name, value in attributes.items()
        ]
        try:
            return sum(
                self._storage.delete_by_attributes(self._cache.name, dict(stored))
                for stored in product(*pairs)
            )
        except self._error as error:
            raise TargetError(str(error)) from None

    def _stored_forms(self, name: str, value: str) -> set[str]:
        """Return the texts as which a value may be stored: 5 and 5.0 are the same number."""
        number = _number(value) if self._fields.get(name) == "numeric" else None
        if number is None:
            return {value}
        forms = {repr(number), repr(float(number))}
        return forms | {repr(int(number))} if number == int(number) else forms

    def flush(self) -> None:
        """Delete all entries."""
        try:
            self._cache.clear()
        except self._error as error:
            raise TargetError(str(error)) from None

    def export(self) -> Iterator[dict[str, Any]]:
        """Yield all entries, as a server's console exports them."""
        cursor: str | None = ""
        try:
            while cursor is not None:
                entries, cursor = self._storage.list_entries(
                    self._cache.name, cursor=cursor, limit=_PAGE
                )
                yield from map(_exported, entries)
        except self._error as error:
            raise TargetError(str(error)) from None

    def stats(self) -> dict[str, Any]:
        """Return how many entries the cache has, and how many bytes they take."""
        try:
            return {
                "entries": self._storage.namespace_size(self._cache.name),
                "bytes": self._storage.namespace_bytes(self._cache.name),
                "fields": sorted(self._fields),
            }
        except self._error as error:
            raise TargetError(str(error)) from None

    def close(self) -> None:
        """Close the storage."""
        self._storage.close()


def _number(text: str) -> float | None:
    """Return the number that a text says, an int if it is whole; None if a cache cannot keep it."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    try:
        return int(text)
    except ValueError:
        return number


def _place(storage: str) -> str:
    """Return what tells a storage from others: no relative path, and no user or password."""
    if storage.startswith(_SQLITE):
        return f"{_SQLITE}{Path(storage.removeprefix(_SQLITE)).absolute()}"
    return hashlib.sha256(_CREDENTIALS.sub("//", storage, 1).encode()).hexdigest()


def _plain(error: Exception) -> str:
    return str(error).removeprefix("storage: ")


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exported(entry: CacheEntry) -> dict[str, Any]:
    from langcache.engine.expiry import millis_left

    return {
        "id": entry.id,
        "prompt": entry.prompt,
        "response": entry.response,
        "attributes": dict(entry.attributes),
        "createdAt": _moment(entry.created_at),
        "updatedAt": _moment(entry.updated_at),
        "ttlMillis": millis_left(entry.expires_at, time.time()),
    }
