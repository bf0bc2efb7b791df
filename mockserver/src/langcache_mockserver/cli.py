"""The command `langcache-mockserver`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import fields, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn, cast

from langcache_mockserver.app import CANNOT_START, create_app
from langcache_mockserver.configuration import (
    CONFIGURATION_SCHEMA,
    ConfigurationError,
    configuration_of,
)
from langcache_mockserver.domain.verifiers import VERIFIERS
from langcache_mockserver.http.relaxed_limits import LIMITS_FORMS
from langcache_mockserver.http.request import is_loopback
from langcache_mockserver.http.uvicorn_server import Server, listen, url_of
from langcache_mockserver.settings import LOG_LEVELS, STORAGES, Settings, SettingsError
from langcache_mockserver.workers import collect_garbage_rarely, run_workers, start_logging

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

_PROGRAM = "langcache-mockserver"

_HELP = {
    "host": "name or address to listen on",
    "port": "port to listen on; 0 takes any free one",
    "storage": f"where entries are kept: {STORAGES}",
    "workers": "number of server processes; more than 1 need a storage that they can share",
    "default_threshold": "default similarity threshold of semantic searches, 0 to 1",
    "verify": f"default check of the matches of semantic searches: {', '.join(VERIFIERS)}",
    "strict": "accept only declared caches and keys with grants: on, off",
    "config": "configuration file (YAML) that declares caches and keys; turns strict on",
    "limits": f"limits of the API to enforce: {LIMITS_FORMS}",
    "admin_token": "bearer token of the control plane; better set as an environment variable",
    "max_body_bytes": "largest request body to accept, in bytes",
    "max_entries": "largest number of entries in memory and sqlite; 0 for no limit",
    "max_bytes": "most bytes of memory for the entries of memory and sqlite; 0 for no limit",
    "test_controls": "test controls under /_mock/: on; local, for requests from this machine; "
    "off; or auto, which is local on a loopback address without strict, else off",
    "record": "file to record the responses of the upstream in",
    "replay": "recorded file to take responses from",
    "upstream": "base URL of the LangCache service to record",
    "upstream_key": "API key for the upstream; by default that of each request",
    "proxy_openai": "base URL of an upstream with OpenAI's API for the caching proxy",
    "proxy_anthropic": "base URL of an upstream with Anthropic's API for the caching proxy",
    "max_concurrency": "largest number of requests at once; further ones get a 429",
    "max_wait_seconds": "how long a request may wait for a thread; one that would wait longer gets "
    "a 429; 0 for no limit",
    "body_timeout_seconds": "time limit for the arrival of the headers of a request, and of "
    "its body",
    "shutdown_seconds": "time limit for requests under way on shutdown",
    "embedding_cache": "number of prompts whose vectors stay in memory, about 2 kB each",
    "record_lookups": "number of the latest lookups to keep for the page and the console; auto is "
    "1000 in development mode on a loopback address, else 0",
    "cors_origins": "origins of web pages that may call the server, separated by commas; * for all",
    "allowed_hosts": "names that the Host header may have besides localhost and IP addresses, "
    "separated by commas; * for all; by default checked on a loopback address only",
    "metrics": "serve metrics for Prometheus at /metrics, without a key: on, off",
    "access_log": "log one line per request: off, text, json",
    "otel": "trace requests with OpenTelemetry: off, on",
    "log_level": f"lowest level to log, on standard error: {', '.join(LOG_LEVELS)}",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one line and exit, without the usage that argparse prints first."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or Ctrl-C.

    Args:
        arguments: The command line's arguments; by default those of the process.

    Returns:
        The exit status: 1 if the server cannot listen or cannot open the storage, 2 if the
        configuration is invalid. Invalid arguments exit with status 2, a signal with 0.
    """
    # uvicorn passes a signal on to these handlers after its shutdown.
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    settings = read_settings(arguments, os.environ)
    start_logging(settings)
    try:
        configuration = configuration_of(settings)
    except ConfigurationError as error:
        for problem in error.problems:
            sys.stderr.write(f"{_PROGRAM}: error: {problem}\n")
        return 2
    # The token is the same in all processes.
    settings = replace(settings, admin_token=configuration.admin_token)

    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        # `socket.create_server` adds the address, which is already there.
        reason = (error.strerror or "").partition(" (while attempting")[0]
        sys.stderr.write(f"{_PROGRAM}: error: cannot listen on {where}: {reason}\n")
        return 1
    ready = f"{_PROGRAM} ready on {url_of(listener, settings.host)}"

    def say_ready() -> None:
        if not configuration.strict and not is_loopback(settings.host):
            sys.stderr.write(
                f"{_PROGRAM}: warning: whoever can reach {settings.host} can read and change every "
                "cache, because any API key is accepted; --strict on demands declared keys\n"
            )
        if configuration.strict and configuration.generated:
            sys.stderr.write(f"{_PROGRAM} admin token: {configuration.admin_token}\n")
        print(ready, flush=True)

    if settings.workers > 1:
        limited = [key.id for key in configuration.keys if key.rate_limit is not None]
        return 0 if run_workers(settings, listener, say_ready, limited) else 1
    try:
        app = create_app(settings, configuration=configuration)
    except CANNOT_START as error:
        listener.close()
        sys.stderr.write(f"{_PROGRAM}: error: {error}\n")
        return 1
    collect_garbage_rarely()
    server = Server(
        app,
        listener,
        say_ready,
        shutdown_seconds=settings.shutdown_seconds,
        head_seconds=settings.body_timeout_seconds,
    )
    server.run()
    return 0


def read_settings(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> Settings:
    """Make the settings from arguments and, for what they leave out, environment variables.

    An empty variable counts as missing. An invalid value ends the process with status 2 and one
    line that names the option or variable, its rule and the value.

    Args:
        arguments: The arguments of the command line; None for those of the process.
        environment: The environment variables, such as `LANGCACHE_MOCKSERVER_PORT`.
    """
    parser = _Parser(
        prog=_PROGRAM,
        description="A LangCache server for tests, contract tests and self-hosting.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {version(_PROGRAM)}")
    parser.add_argument(
        "--print-config-schema",
        action=_PrintConfigSchema,
        nargs=0,
        help="print the JSON Schema of the configuration file and exit",
    )
    for setting in fields(Settings):
        switch: dict[str, Any] = {"nargs": "?", "const": "on"} if setting.default is False else {}
        parser.add_argument(
            _option(setting.name),
            **switch,
            metavar=setting.name.rpartition("_")[2].upper(),
            help=f"{_HELP[setting.name]} "
            f"({_default(setting.default)}environment: {_variable(setting.name)})",
        )
    given: dict[str, str | None] = vars(parser.parse_args(arguments))

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in fields(Settings):
        name = setting.name
        kind = cast("type[bool | str | int | float]", type(setting.default))
        text, origins[name] = given[name], _option(name)
        if text is None:
            text = environment.get(_variable(name)) or None
            if text is None:
                continue
            origins[name] = _variable(name)
        try:
            values[name] = _switch(text) if kind is bool else kind(text)
        except ValueError:
            wanted = "on or off" if kind is bool else "an integer" if kind is int else "a number"
            parser.error(f"{origins[name]}: must be {wanted}, got {text!r}")
    try:
        return Settings(**values)
    except SettingsError as error:
        parser.error(f"{origins[error.setting]}: {error.problem}")


def _default(value: object) -> str:
    return "" if value == "" else f"default: {'off' if value is False else value}; "


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError
    return text == "on"


class _PrintConfigSchema(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        sys.stdout.write(CONFIGURATION_SCHEMA.read_text(encoding="utf-8"))
        parser.exit()


def _option(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def _variable(setting: str) -> str:
    return f"LANGCACHE_MOCKSERVER_{setting.upper()}"


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
