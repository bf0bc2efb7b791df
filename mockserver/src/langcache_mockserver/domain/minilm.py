"""The default embedder, which the servers of a process share."""

from __future__ import annotations

import functools
import threading

from langcache.engine.embedders import MiniLMEmbedder
from langcache.engine.embedders._processors import usable_processors

_lock = threading.Lock()


def shared_minilm(processes: int = 1) -> MiniLMEmbedder:
    """Return the MiniLM embedder of this process; the first call loads it.

    Args:
        processes: How many processes of this server share the processors.

    Raises:
        ImportError: onnxruntime, tokenizers or langcache-minilm is not installed.
    """
    with _lock:  # with `functools.cache` alone, two threads could load it at once
        return _load(max(1, usable_processors() // processes))


@functools.cache
def _load(processors: int) -> MiniLMEmbedder:
    return MiniLMEmbedder(processors=processors)
