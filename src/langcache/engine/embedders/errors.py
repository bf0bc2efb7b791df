"""What goes wrong in an embedder through no fault of its caller's arguments."""

from __future__ import annotations

__all__ = ["EmbedderError"]


class EmbedderError(Exception):
    """An embedder has no vectors for the texts: its endpoint failed, or they are no vectors.

    The message is one line, without any text that was to be embedded and without any key.

    Attributes:
        status: HTTP status of the endpoint's answer; None when there was no answer, or the failure
            is another one.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
