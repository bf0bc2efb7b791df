"""Answers in JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping

# To make an encoder takes as long as to encode an answer, so there is one for all of them.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class JSONAnswer(JSONResponse):
    """A `JSONResponse` as Starlette makes it, in less time."""

    @override
    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        if headers is not None:
            super().init_headers(headers)
            return
        self.raw_headers = [
            (b"content-length", str(len(self.body)).encode()),
            (b"content-type", b"application/json"),
        ]

    @override
    def render(self, content: object) -> bytes:
        return _encode(content).encode()
