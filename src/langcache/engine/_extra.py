"""A clear word to whoever imports the engine without its extra; imported before all else."""

from importlib.util import find_spec

# onnxruntime and tokenizers are imported by the embedder that needs them, when it is made.
for name in ("numpy", "onnxruntime", "tokenizers"):
    if find_spec(name) is None:
        raise ImportError(
            'to use langcache.engine, install the extra: pip install "langcache[engine]"'
        ) from ModuleNotFoundError(f"No module named {name!r}", name=name)
