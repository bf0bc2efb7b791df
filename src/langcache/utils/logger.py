"""The protocol of a logger."""

from __future__ import annotations

from typing import Any, Protocol


class Logger(Protocol):
    """Anything with the `debug` method of `logging.Logger`."""

    def debug(self, msg: str, /, *args: Any) -> None:
        """Log `msg % args` at level DEBUG."""
        ...
