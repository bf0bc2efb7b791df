"""all-MiniLM-L6-v2 as an int8 ONNX model with its tokenizer: files, and where they are.

The model maps token ids to sentence embeddings. Input `input_ids`, int64 of shape (batch, tokens):
texts of one length, not padded. Output `sentence_embedding`, float32 of shape (batch, 384), rows
of unit length. It needs onnxruntime 1.22 or later.

The tokenizer is a `tokenizers` file which adds the special tokens, cuts at 512 tokens, and does
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
    "PREVIOUS_MODEL_IDS",
    "SHA256",
    "model_path",
    "tokenizer_path",
    "verify",
]

MODEL_ID: Final = "all-MiniLM-L6-v2-int8-static"
"""Names these weights at this precision; vectors of different ids must not be compared."""

PREVIOUS_MODEL_IDS: Final = ("all-MiniLM-L6-v2-int8",)
"""The ids of earlier versions of this package, oldest first. Their vectors must be made anew."""

DIMENSIONS: Final = 384
"""Length of an embedding."""

MAX_TOKENS: Final = 512
"""Tokens of a text which count, the two special ones included; the rest is cut off."""

SHA256: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model.onnx": "091e0a5532531485281cf069a7c6e94581993b6de80b842586eda078993d3bfa",
        "tokenizer.json": "99e552efd3b68340ef1b1106ea152526659a9c525992f008fe4c182a5a587234",
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
