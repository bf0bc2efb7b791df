"""Sessions of browsers: signed cookies, so that no process has to remember them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME_SECONDS = 8 * 3600
"""How long a session lasts."""

_SESSION = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})\.([0-9a-f]{32})\.([0-9a-f]{64})")


class Sessions:
    """Makes and reads sessions.

    A session is a text for a cookie: when it ends, the SHA-256 of the token that its caller gave,
    and a signature. It works in all processes that have the same secret. What the token may do is
    looked up at each request, so a session ends with its key.

    Args:
        secret: What the signing key is made of.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(secret.encode(), b"sessions of the page", "sha256")
        self._clock = clock

    def begin(self, digest: str) -> str:
        """Return a new session.

        Args:
            digest: The SHA-256 of the caller's token, in hexadecimal digits.
        """
        ends_at = int(self._clock()) + LIFETIME_SECONDS
        session = f"{ends_at}.{digest}.{secrets.token_hex(16)}"
        return f"{session}.{self._sign('session', session)}"

    def digest(self, session: str) -> str | None:
        """Return the SHA-256 of the token of a session; None if it is forged or has ended."""
        match = _SESSION.fullmatch(session)
        if match is None:
            return None
        signed, _, signature = session.rpartition(".")
        if not hmac.compare_digest(signature, self._sign("session", signed)):
            return None
        return match[2] if int(match[1]) > self._clock() else None

    def change_token(self, session: str) -> str:
        """Return what a request of this session must show before it may change anything."""
        return self._sign("change", session)

    def may_change(self, session: str, token: str) -> bool:
        """Return whether a request of this session has shown its token."""
        return hmac.compare_digest(token.encode(), self.change_token(session).encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose} {text}".encode(), hashlib.sha256).hexdigest()
