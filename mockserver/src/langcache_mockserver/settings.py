"""The settings of a server: one typed object, made once at the edge."""

from __future__ import annotations

from dataclasses import dataclass

from langcache_mockserver.storages import STORAGES, is_storage

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


class SettingsError(ValueError):
    """A setting that breaks its rule.

    Attributes:
        setting: The name of the setting, as :class:`Settings` has it.
        problem: The rule and the value that breaks it, in words.
    """

    def __init__(self, setting: str, rule: str, value: object) -> None:
        self.setting = setting
        self.problem = f"{rule}, is {value!r}"
        super().__init__(f"{setting}: {self.problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs.

    Attributes:
        host: The name or address to listen on.
        port: The TCP port to listen on, 0 to 65535; 0 takes any free one.
        storage: Where entries are kept. `memory`: in the process, gone when it ends.
            `sqlite:PATH`: in memory and in a file, which is made when it does not exist.
        default_threshold: The least similarity, `(1 + cosine) / 2` and so 0 to 1, of a semantic
            match where a search names none.
        max_body_bytes: The largest request body accepted, in bytes; at least 1.
        log_level: The least level that the program logs: critical, error, warning, info or debug.

    Raises:
        SettingsError: A value breaks its rule.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    storage: str = "memory"
    default_threshold: float = 0.9
    max_body_bytes: int = 1 << 20
    log_level: str = "warning"

    def __post_init__(self) -> None:
        if not self.host:
            raise SettingsError("host", "must not be empty", self.host)
        if not 0 <= self.port <= 65535:
            raise SettingsError("port", "must be from 0 to 65535", self.port)
        if not is_storage(self.storage):
            raise SettingsError("storage", f"must be one of {STORAGES}", self.storage)
        if not 0 <= self.default_threshold <= 1:
            raise SettingsError("default_threshold", "must be from 0 to 1", self.default_threshold)
        if self.max_body_bytes < 1:
            raise SettingsError("max_body_bytes", "must be at least 1", self.max_body_bytes)
        if self.log_level not in LOG_LEVELS:
            raise SettingsError(
                "log_level", f"must be one of {', '.join(LOG_LEVELS)}", self.log_level
            )
