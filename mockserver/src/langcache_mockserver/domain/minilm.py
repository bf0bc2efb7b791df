"""The default embedder, which the servers of a process share."""

from __future__ import annotations

import functools
import threading

from langcache.engine.embedders import MiniLMEmbedder

_lock = threading.Lock()


def shared_minilm() -> MiniLMEmbedder:
    """Return the MiniLM embedder of this process; the first call loads it.

    Raises:
        ImportError: onnxruntime, tokenizers or langcache-minilm is not installed.
    """
    with _lock:  # with `functools.cache` alone, two threads could load it at once
        return _load()


@functools.cache
def _load() -> MiniLMEmbedder:
    return MiniLMEmbedder()
