"""The error of an embedder that cannot embed."""

from __future__ import annotations

__all__ = ["EmbedderError"]


class EmbedderError(Exception):
    """An embedder failed: its endpoint or function failed, or returned something invalid.

    The message is one line. It contains neither the texts nor an API key.

    Attributes:
        status: HTTP status of the endpoint's response; None for any other failure.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
