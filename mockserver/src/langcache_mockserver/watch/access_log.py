"""The access log: one line per request, without keys, prompts and bodies."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langcache_mockserver.http.exchange import Exchange

LOGGER = "langcache_mockserver.access"

_log = logging.getLogger(LOGGER)

_MOST_ID_CHARACTERS = 128  # of an id that was not used; a used id is not longer


class AccessLog:
    """An observer that logs each exchange with the logger `langcache_mockserver.access`.

    Text from the client is escaped as in JSON, so that a line is always one line of ASCII and
    nobody can forge one.

    Args:
        form: `text` for lines of `name=value`, `json` for lines of JSON objects.
    """

    def __init__(self, form: str) -> None:
        self._format = _as_json if form == "json" else _as_text

    def __call__(self, exchange: Exchange) -> None:
        """Log an exchange that is over."""
        fields: dict[str, object] = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "request_id": exchange.request_id,
            "asked_id": exchange.asked_id[:_MOST_ID_CHARACTERS],
            "client": exchange.client,
            "method": exchange.method,
            "path": exchange.path,
            "operation": exchange.operation,
            "cache_id": exchange.cache_id,
            "status": exchange.status,
            "duration_ms": round(exchange.seconds * 1000, 3),
            "bytes_in": exchange.bytes_in,
            "bytes_out": exchange.bytes_out,
            "outcome": exchange.outcome,
        }
        _log.info("%s", self._format(fields))


def start_access_log() -> None:
    """Write the access log to standard error, without prefixes and whatever the log level."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(logging.INFO)


def _as_json(fields: dict[str, object]) -> str:
    return json.dumps(fields)


def _as_text(fields: dict[str, object]) -> str:
    return " ".join(f"{name}={_plain(value)}" for name, value in fields.items())


def _plain(value: object) -> str:
    """Write a value without quotes if it has no spaces, quotes or equals signs."""
    text = json.dumps(value)
    bare = text[1:-1]
    if isinstance(value, str) and bare and not set(bare) & {" ", '"', "=", "\\"}:
        return bare
    return text
