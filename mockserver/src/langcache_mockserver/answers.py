"""Answers in JSON."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse
from typing_extensions import override

# To make an encoder takes as long as to encode an answer, so there is one for all of them.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class JSONAnswer(JSONResponse):
    """A `JSONResponse` as Starlette makes it, in less time."""

    @override
    def render(self, content: object) -> bytes:
        return _encode(content).encode()
