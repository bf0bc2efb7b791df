"""The settings of a server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec

from langcache.engine.storage.create import is_redis_url, is_storage_name
from langcache_mockserver.domain.verifiers import VERIFIERS
from langcache_mockserver.http.relaxed_limits import LIMITS_FORMS, is_limits
from langcache_mockserver.http.request import is_loopback

STORAGES = "memory, sqlite:PATH, redis://HOST[:PORT][/DB]"
"""The forms of the setting `storage`, for messages."""

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")

UPSTREAM_URL = re.compile(r"https?://[^/?#@\s]+(/[^?#@\s]*)?")
"""The form of the URL of an upstream of the caching proxy."""

_CHOICES = {
    "verify": VERIFIERS,
    "test_controls": ("auto", "local", "on", "off"),
    "metrics": ("on", "off"),
    "access_log": ("off", "text", "json"),
    "otel": ("off", "on"),
    "log_level": LOG_LEVELS,
}
_LEAST = {
    "max_concurrency": 1,
    "max_wait_seconds": 0,
    "body_timeout_seconds": 1,
    "shutdown_seconds": 0,
    "embedding_cache": 0,
    "max_entries": 0,
    "max_bytes": 0,
}
_LOOKUPS_IN_DEVELOPMENT = 1000
_ORIGIN = re.compile(
    r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](?::[0-9]{1,5})?"
)
_HOST_NAME = re.compile(r"\*|[A-Za-z0-9._-]+")


class SettingsError(ValueError):
    """A setting that breaks its rule.

    Attributes:
        setting: The name of the setting in `Settings`.
        problem: The rule, and the value that breaks it.
    """

    def __init__(self, setting: str, rule: str, value: object) -> None:
        self.setting = setting
        self.problem = f"{rule}, got {value!r}"
        super().__init__(f"{setting}: {self.problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs.

    Attributes:
        host: The name or address to listen on.
        port: The TCP port to listen on, 0 to 65535; 0 for any free one.
        storage: Where entries are kept. `memory`: in the process, lost when it ends.
            `sqlite:PATH`: in memory and in a file, which is created if it does not exist.
            `redis://HOST[:PORT][/DB]`: in Redis.
        workers: The number of server processes, 1 or more. More than one need a storage that
            processes can share.
        default_threshold: The similarity threshold, `(1 + cosine) / 2`, of semantic searches that
            do not set one; 0 to 1.
        verify: What checks the matches of semantic searches before they are returned, for caches
            that do not set it: `off`; `rules`; `model` for the pair model; or `auto` for rules and
            then the model.
        strict: Whether the service's own rules hold: only declared caches and attributes, only keys
            with grants. A configuration file turns them on, too.
        config: The path of a configuration file (YAML), or "" for none.
        limits: The limits of the published API to enforce: `published` (all), `relaxed` (none), or
            the names of those to relax, separated by commas; "" for those of the configuration
            file, or all.
        admin_token: The bearer token of the control plane; "" for that of the configuration file,
            or a generated one. A secret: `repr` does not show it.
        max_body_bytes: The largest request body to accept, in bytes; at least 1.
        max_entries: The largest number of entries in the storages `memory` and `sqlite`; 0 for no
            limit. Those that were not used for the longest time make room.
        max_bytes: The most bytes of memory that their entries may take; 0 for no limit.
        test_controls: Whether there are test controls under `/_mock/`: `on`; `local`, for requests
            from this machine; `off`; or `auto`, which is `local` for a single process that listens
            on a loopback address and is not strict, else `off`.
        record: The file (JSON Lines) to record the responses of `upstream` in, or "" for none.
        replay: The recorded file to take responses from, or "" for none.
        upstream: The base URL of the LangCache service to record.
        upstream_key: The API key for `upstream`; "" for that of each request. A secret: `repr` does
            not show it.
        proxy_openai: The base URL of an upstream with OpenAI's API for the caching proxy, such as
            `https://api.openai.com/v1`, or "" for none. The key of each request is passed on.
        proxy_anthropic: The base URL of an upstream with Anthropic's API, such as
            `https://api.anthropic.com`, or "" for none.
        max_concurrency: The largest number of requests at once, at least 1; further ones get a 429.
        max_wait_seconds: How long a request may wait for a thread; one that would wait longer gets
            a 429. 0 for no limit.
        body_timeout_seconds: The time limit for the arrival of the headers of a request, and of its
            body, at least 1; then the connection is closed.
        shutdown_seconds: The time limit for requests under way on shutdown, 0 or more.
        embedding_cache: The number of prompts whose vectors stay in memory, 0 or more; each takes
            about 2 kB.
        record_lookups: How many of the latest lookups to keep in memory, for the console: an
            integer from 0 to 100,000; or `auto`, for 1,000 in development mode on a loopback
            address, and none otherwise.
        cors_origins: The origins of web pages that may call the server, separated by commas, such
            as `https://app.example`; `*` for all, empty for none.
        allowed_hosts: Names that the Host header of a request may have besides `localhost` and IP
            addresses, separated by commas; `*` for all. If empty, the header is only checked on a
            loopback address.
        metrics: `on` to serve `/metrics`, without a key, or `off`.
        access_log: `text` or `json` to log one line per request, or `off`.
        otel: `on` to trace requests with OpenTelemetry, which must be installed, or `off`.
        log_level: The lowest level to log: critical, error, warning, info or debug.

    Raises:
        SettingsError: A value breaks its rule.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    storage: str = field(default="memory", repr=False)  # a URL may hold a password
    workers: int = 1
    default_threshold: float = 0.9
    verify: str = "off"
    strict: bool = False
    config: str = ""
    limits: str = ""
    admin_token: str = field(default="", repr=False)
    max_body_bytes: int = 1 << 20
    max_entries: int = 0
    max_bytes: int = 1 << 30
    test_controls: str = "auto"
    record: str = ""
    replay: str = ""
    upstream: str = ""
    upstream_key: str = field(default="", repr=False)
    proxy_openai: str = ""
    proxy_anthropic: str = ""
    max_concurrency: int = 1000
    max_wait_seconds: float = 1.0
    body_timeout_seconds: int = 30
    shutdown_seconds: int = 3
    embedding_cache: int = 4096
    record_lookups: str | int = "auto"
    cors_origins: str = ""
    allowed_hosts: str = ""
    metrics: str = "on"
    access_log: str = "off"
    otel: str = "off"
    log_level: str = "warning"

    def __post_init__(self) -> None:
        if not self.host:
            raise SettingsError("host", "must not be empty", self.host)
        if not 0 <= self.port <= 65535:
            raise SettingsError("port", "must be from 0 to 65535", self.port)
        if not is_storage_name(self.storage):
            shown = _without_password(self.storage)
            raise SettingsError("storage", f"must be one of {STORAGES}", shown)
        if self.workers < 1:
            raise SettingsError("workers", "must be at least 1", self.workers)
        if self.workers > 1 and not is_redis_url(self.storage):
            rule = "must be 1 with a storage that processes cannot share (memory, sqlite)"
            raise SettingsError("workers", rule, self.workers)
        if not 0 <= self.default_threshold <= 1:
            raise SettingsError("default_threshold", "must be from 0 to 1", self.default_threshold)
        if self.limits and not is_limits(self.limits):
            raise SettingsError("limits", f"must be {LIMITS_FORMS}", self.limits)
        if not re.fullmatch(r"[!-~]*", self.admin_token):
            rule = "must be visible ASCII characters"
            raise SettingsError("admin_token", rule, f"{len(self.admin_token)} characters")
        if self.max_body_bytes < 1:
            raise SettingsError("max_body_bytes", "must be at least 1", self.max_body_bytes)
        self._check_hosting()
        self._check_controls()
        self._check_proxy()

    def _check_controls(self) -> None:
        if self.record_lookups != "auto":
            if not re.fullmatch("[0-9]{1,5}|100000", str(self.record_lookups), re.ASCII):
                rule = "must be auto or an integer from 0 to 100000"
                raise SettingsError("record_lookups", rule, self.record_lookups)
            if self.workers > 1 and int(self.record_lookups):
                rule = "must be auto or 0 with several workers, as each would have its own"
                raise SettingsError("record_lookups", rule, self.record_lookups)
        if self.test_controls in {"on", "local"} and self.workers > 1:
            rule = f"must not be {self.test_controls} with several workers, as each has its own"
            raise SettingsError("test_controls", rule, self.test_controls)
        if self.record and self.replay:
            raise SettingsError("replay", "must not be set with record", self.replay)
        if self.record and not re.match("https?://.", self.upstream):
            rule = "must be a URL of http or https to record"
            raise SettingsError("upstream", rule, _without_password(self.upstream))
        if self.upstream and not self.record:
            raise SettingsError("record", "is required with upstream", self.record)

    def _check_proxy(self) -> None:
        for name in ("proxy_openai", "proxy_anthropic"):
            url: str = getattr(self, name)
            if url and not UPSTREAM_URL.fullmatch(url):
                rule = "must be a URL of http or https without user, query and fragment"
                raise SettingsError(name, rule, _without_password(url))

    def _check_hosting(self) -> None:
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:  # nor NaN
                raise SettingsError(name, f"must be at least {least}", getattr(self, name))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                rule = f"must be one of {', '.join(choices)}"
                raise SettingsError(name, rule, getattr(self, name))
        for origin in self.allowed_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                rule = "must be '*' or origins such as https://app.example, separated by commas"
                raise SettingsError("cors_origins", rule, self.cors_origins)
        for name in self.allowed_host_names:
            if not _HOST_NAME.fullmatch(name):
                rule = "must be '*' or host names without a port, separated by commas"
                raise SettingsError("allowed_hosts", rule, self.allowed_hosts)
        if self.otel == "on" and find_spec("opentelemetry") is None:
            rule = "must be off without OpenTelemetry (the extra langcache-mockserver[otel])"
            raise SettingsError("otel", rule, self.otel)

    @property
    def allowed_origins(self) -> list[str]:
        """The origins of `cors_origins`, one by one."""
        return _parts(self.cors_origins)

    @property
    def allowed_host_names(self) -> list[str]:
        """The names of `allowed_hosts`, one by one."""
        return _parts(self.allowed_hosts)


def has_test_controls(settings: Settings, *, strict: bool) -> bool:
    """Return whether a server has test controls.

    Args:
        settings: The settings.
        strict: Whether the strict rules hold, by the settings or by the configuration.

    Raises:
        SettingsError: It has none, but has to record or replay, which is one of them.
    """
    available = settings.test_controls in {"on", "local"} or (
        settings.test_controls == "auto"
        and settings.workers == 1
        and not strict
        and is_loopback(settings.host)
    )
    if not available and (settings.record or settings.replay):
        rule = (
            "must be on to record or replay (or local), unless one process that is not strict "
            "listens on a loopback address"
        )
        raise SettingsError("test_controls", rule, settings.test_controls)
    return available


def kept_lookups(settings: Settings, *, strict: bool) -> int:
    """Return how many lookups a server keeps.

    Args:
        settings: The settings.
        strict: Whether the service's own rules hold.
    """
    if settings.record_lookups != "auto":
        return int(settings.record_lookups)
    is_on = not strict and settings.workers == 1 and is_loopback(settings.host)
    return _LOOKUPS_IN_DEVELOPMENT if is_on else 0


def _parts(setting: str) -> list[str]:
    return [part.strip() for part in setting.split(",") if part.strip()]


def _without_password(url: str) -> str:
    """Return a URL, or what should be one, without user and password."""
    return re.sub(r"//.*@", "//…@", url)
