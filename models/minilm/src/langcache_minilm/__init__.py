"""all-MiniLM-L6-v2 as an int8 ONNX model with its tokenizer: files, and where they are.

The model maps token ids to one sentence embedding. Inputs `input_ids` and `attention_mask`, both
int64 of shape (batch, tokens); output `sentence_embedding`, float32 of shape (batch, 384), rows of
unit length. It needs onnxruntime 1.22 or later.

The tokenizer is a `tokenizers` file which adds the special tokens, cuts at 256 tokens, and does
not pad.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DIMENSIONS",
    "MAX_TOKENS",
    "MODEL_ID",
    "SHA256",
    "model_path",
    "tokenizer_path",
    "verify",
]

MODEL_ID: Final = "all-MiniLM-L6-v2-int8"
"""Names these weights at this precision; vectors of different ids must not be compared."""

DIMENSIONS: Final = 384
"""Length of an embedding."""

MAX_TOKENS: Final = 256
"""Tokens of a text which count, the two special ones included; the rest is cut off."""

SHA256: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model.onnx": "473714f6e2eb022f80b824dfccd764bf13f816a465d121c502bdaa83ce1e0fd4",
        "tokenizer.json": "71a31309bdd802f1a40845b0aceb02fb4cf6f4b81c712ae33aaff676df227115",
    }
)
"""SHA-256 of each file, in hexadecimal, by file name."""

_DIRECTORY: Final = Path(__file__).parent


def model_path() -> Path:
    """Return where the ONNX model is."""
    return _DIRECTORY / "model.onnx"


def tokenizer_path() -> Path:
    """Return where the tokenizer is."""
    return _DIRECTORY / "tokenizer.json"


def verify() -> None:
    """Check that the files are the ones this package was made with; takes about 20 ms.

    Raises:
        ValueError: A file's SHA-256 is not the one in `SHA256`.
        OSError: A file cannot be read.
    """
    for name, expected in SHA256.items():
        actual = hashlib.sha256((_DIRECTORY / name).read_bytes()).hexdigest()
        if actual != expected:
            raise ValueError(f"{name}: SHA-256 is {actual}, expected {expected}")
