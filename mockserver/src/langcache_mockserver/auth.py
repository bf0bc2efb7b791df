"""Who may call: any non-empty bearer token, in development."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langcache_mockserver.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

_BEARER = re.compile(r"bearer +([\x21-\x7e]+)", re.IGNORECASE)


def authenticate(request: Request) -> str:
    """Return the API key that a request carries.

    Raises:
        ProblemError: 401, where the `Authorization` header is missing, given twice, or anything but
            `Bearer <key>` with a key of visible ASCII characters.
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        raise _refusal("the Authorization header is missing")
    if len(headers) > 1:
        raise _refusal(
            f"the Authorization header must be given once, is given {len(headers)} times"
        )
    match = _BEARER.fullmatch(headers[0])
    if match is None:
        raise _refusal(
            "the Authorization header must be 'Bearer <key>' with a key that is not empty"
        )
    return match[1]


def _refusal(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})
