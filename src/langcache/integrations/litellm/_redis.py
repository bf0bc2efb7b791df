"""The address of a Redis: a URL, its parts, or environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import quote

_DEFAULT_PORT = "6379"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The address of a Redis, with LiteLLM's names for arguments and environment variables.

    Attributes:
        redis_url: The URL, or None.
        host: The host; None for `REDIS_HOST` of the environment.
        port: The port; None for `REDIS_PORT` of the environment, or 6379.
        password: The password; None for `REDIS_PASSWORD` of the environment, or no password.
    """

    redis_url: str | None = field(default=None, repr=False)
    host: str | None = None
    port: str | int | None = None
    password: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        """Return whether any part is given."""
        return any(
            each is not None for each in (self.redis_url, self.host, self.port, self.password)
        )

    def url(self) -> str:
        """Return the URL of the Redis. Missing parts are taken from the environment.

        When no part is given, `REDIS_URL` takes precedence over `REDIS_HOST`, `REDIS_PORT` and
        `REDIS_PASSWORD`.

        Raises:
            TypeError: A part is not a str (the port: a str or int).
            ValueError: There is neither a URL nor a host, the URL comes with other parts, or the
                port is out of range.
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
                "host: is required for Redis, unless redis_url or the environment variable"
                " REDIS_URL or REDIS_HOST is given"
            )
        port = str(
            os.environ.get("REDIS_PORT") or _DEFAULT_PORT if self.port is None else self.port
        )
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError(f"port: must be from 1 to 65535, got {len(port)} characters")
        password = self.password or os.environ.get("REDIS_PASSWORD") or ""
        user = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{user}{f'[{host}]' if ':' in host else host}:{port}"
