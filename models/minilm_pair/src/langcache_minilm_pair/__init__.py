"""A pair model as int8 ONNX with its tokenizer: may one answer serve both of two prompts?

The model maps two prompts to one logit. Inputs `input_ids` and `token_type_ids`, both int64 of
shape (1, tokens): `[CLS] a [SEP] b [SEP]` with the types 0 for a and 1 for b, at most 512 tokens.
Output `logit`, float32 of shape (1,). It needs onnxruntime 1.22 or later.

The tokenizer is a `tokenizers` file that encodes a pair so; it neither cuts nor pads.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CALIBRATION",
    "MAX_TOKENS",
    "MODEL_ID",
    "SHA256",
    "WEIGHTS_SHA256",
    "model_path",
    "tokenizer_path",
    "verify",
]

MODEL_ID: Final = "minilm-pair-int8"
"""Names these weights at this precision."""

MAX_TOKENS: Final = 512
"""Tokens of both prompts and the three special ones that the model can read."""

CALIBRATION: Final = (0.559, 0.595)
"""Factor and summand: the probability is the logistic function of `factor * logit + summand`."""

SHA256: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model.onnx": "18b01bda8df03f7e6d303862bb4d6f8a894fed0efb3f594648119ab1809ebea7",
        "tokenizer.json": "5fd1c882abbd30517dced455a2c9768945ec726b96727927e4959348d9de550b",
    }
)
"""SHA-256 of each file, in hexadecimal, by file name."""

WEIGHTS_SHA256: Final = "0a59e059ac667cec2a35548e6d0674f2a86b6a05f6fa894c84b9412de8c97159"
"""SHA-256 of the trained weights that the model was made of."""

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
