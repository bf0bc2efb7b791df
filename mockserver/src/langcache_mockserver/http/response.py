"""Responses in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import to_json
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping


class JSONResponse(Response):
    """Like Starlette's `JSONResponse`, but faster.

    Args:
        content: The value to write as JSON; infinities and NaN become null.
        status_code: The HTTP status.
        headers: More headers, by name.
    """

    media_type = "application/json"

    def __init__(
        self, content: object, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status_code = status_code
        self.background = None
        self.body = to_json(content, inf_nan_mode="null")
        if headers is not None:
            self.init_headers(headers)
        else:
            self.raw_headers = [
                (b"content-length", str(len(self.body)).encode()),
                (b"content-type", b"application/json"),
            ]
