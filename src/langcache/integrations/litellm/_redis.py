"""Which Redis is meant: by a URL, by its parts, or by the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import quote

_DEFAULT_PORT = "6379"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """What the caller says of a Redis; LiteLLM's names and environment variables.

    Attributes:
        redis_url: A whole URL, or None.
        host: Its host, or None for the environment's `REDIS_HOST`.
        port: Its port, or None for the environment's `REDIS_PORT`, or 6379.
        password: Its password, or None for the environment's `REDIS_PASSWORD`, or none.
    """

    redis_url: str | None = field(default=None, repr=False)
    host: str | None = None
    port: str | int | None = None
    password: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        """Return whether anything is said."""
        return any(
            each is not None for each in (self.redis_url, self.host, self.port, self.password)
        )

    def url(self) -> str:
        """Return the URL of the Redis; what is not said is taken from the environment.

        Without host and URL, that is `REDIS_URL`, or else made of `REDIS_HOST`, `REDIS_PORT` and
        `REDIS_PASSWORD`.

        Raises:
            TypeError: A part is no str (or int, for the port).
            ValueError: There is neither URL nor host, there are both, or the port is none.
        """
        for name in ("redis_url", "host", "password"):
            part: object = getattr(self, name)
            if part is not None and not isinstance(part, str):
                raise TypeError(f"{name}: must be a str, got {type(part).__name__}")
        if self.redis_url is not None:
            if any(each is not None for each in (self.host, self.port, self.password)):
                raise ValueError("redis_url: must not be given with host, port or password")
            return self.redis_url
        if not self and os.environ.get("REDIS_URL"):
            return os.environ["REDIS_URL"]
        host = self.host or os.environ.get("REDIS_HOST")
        if not host:
            raise ValueError(
                "host: must be given for a Redis, or redis_url,"
                " or the environment's REDIS_HOST or REDIS_URL"
            )
        port = str(
            os.environ.get("REDIS_PORT") or _DEFAULT_PORT if self.port is None else self.port
        )
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError(f"port: must be from 1 to 65535, got {len(port)} characters")
        password = self.password or os.environ.get("REDIS_PASSWORD") or ""
        user = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{user}{f'[{host}]' if ':' in host else host}:{port}"
