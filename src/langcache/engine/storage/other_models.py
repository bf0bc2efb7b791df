"""Entries of another embedding model than the one in use, which no search finds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langcache.engine.storage.base import StorageBackend

__all__ = ["NO_MODEL", "count_of_others", "size_of_others", "warn_of_other_models"]

NO_MODEL = "none"
"""The model of entries that have no embedding; they are found by their ids."""

# Those that an earlier release has stored are the oldest.
_OLDEST = 100
_MOST_COUNTED = 10_000

_logger = logging.getLogger("langcache.engine")


def size_of_others(sizes: Mapping[str, int], model_id: str) -> int:
    """Return how many entries no search finds, of those of some models."""
    return sum(size for model, size in sizes.items() if model not in (model_id, NO_MODEL))


def count_of_others(storage: StorageBackend, namespace: str, model_id: str) -> int:
    """Return how many entries of a namespace are of another model, so that no search finds them.

    In a storage that is shared, it looks at the 100 oldest entries, and if there are any among
    them, at 10,000.

    Raises:
        StorageError: The storage cannot be used.
    """

    def count(oldest: int) -> int:
        return size_of_others(storage.model_sizes(namespace, oldest=oldest), model_id)

    return count(_MOST_COUNTED) if count(_OLDEST) else 0


def warn_of_other_models(storage: StorageBackend, namespace: str, model_id: str) -> int:
    """Say how many entries `count_of_others` has found, if there are any; return the number.

    Raises:
        StorageError: The storage cannot be used.
    """
    waiting = count_of_others(storage, namespace, model_id)
    if not waiting:
        return 0
    more = storage.is_shared and waiting >= _MOST_COUNTED
    _logger.warning(
        "%s%d entries of %r are of another embedding model than %r and are not found: "
        "`langcache migrate` embeds those of earlier releases anew",
        "at least " if more else "",
        waiting,
        namespace,
        model_id,
    )
    return waiting
