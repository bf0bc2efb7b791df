"""OpenAI's `POST /v1/embeddings`."""

from __future__ import annotations

import base64
import hashlib
import json
import struct

from .answer import input_tokens


def body_of(request, answer):
    """Return the body of the answer: a vector that depends on the model and the input."""
    texts = request["input"]
    if isinstance(texts, str) or (texts and isinstance(texts[0], int)):
        texts = [texts]
    tokens = input_tokens(request)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(request, text)}
            for index, text in enumerate(texts)
        ],
        "model": request["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(request, text):
    digest = hashlib.shake_128(json.dumps([request["model"], text]).encode())
    size = request.get("dimensions") or 8
    values = [byte / 256 for byte in digest.digest(size)]  # each of them exact in 32 bits
    if request.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack(f"<{size}f", *values)).decode()
    return values
