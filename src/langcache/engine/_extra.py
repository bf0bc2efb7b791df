"""Raises a clear ImportError without the extra `engine`. Imported before all else."""

from importlib.util import find_spec

# MiniLMEmbedder imports onnxruntime and tokenizers when it is created.
for name in ("numpy", "onnxruntime", "tokenizers"):
    if find_spec(name) is None:
        raise ImportError(
            'langcache.engine needs the extra engine; see "Install" in the README', name=name
        ) from ModuleNotFoundError(f"No module named {name!r}", name=name)
