"""The verifiers, which the servers of a process share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from langcache.engine.verify import create_verifier

if TYPE_CHECKING:
    from langcache.engine.verify import Verifier

VERIFIERS = ("off", "rules", "model", "auto")
"""The names of the verifiers, and `off` for none."""

_lock = threading.Lock()
_made: dict[str, Verifier | None] = {"off": None}


def shared_verifier(name: str) -> Verifier | None:
    """Return the verifier of a name, or None for `off`; the first call of each name makes it.

    Raises:
        ImportError: onnxruntime, tokenizers or langcache-minilm-pair is not installed.
        ValueError: There is no verifier of this name.
    """
    with _lock:  # so that two threads do not load a model at once
        if name not in _made:
            _made[name] = create_verifier(name)
        return _made[name]


def is_loaded(name: str) -> bool:
    """Return whether the verifier of a name has been made."""
    return name in _made
