"""The command `langcache-mockserver`."""

from __future__ import annotations

import argparse
import gc
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
from langcache_mockserver.http.limits import LIMITS_FORMS
from langcache_mockserver.http.uvicorn_server import Server, listen, url_of
from langcache_mockserver.settings import LOG_LEVELS, STORAGES, Settings, SettingsError
from langcache_mockserver.workers import run_workers, start_logging

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

_PROGRAM = "langcache-mockserver"

_HELP = {
    "host": "name or address to listen on",
    "port": "port to listen on; 0 takes any free one",
    "storage": f"where entries are kept: {STORAGES}",
    "workers": "how many processes serve; more than 1 need a storage that they can share",
    "default_threshold": "least similarity of a semantic match where a search names none, 0 to 1",
    "strict": "whether only declared caches and keys with grants can be used: on, off",
    "config": "configuration file (YAML) that declares caches and keys; turns strict on",
    "limits": f"which limits of the API hold: {LIMITS_FORMS}",
    "admin_token": "bearer token of the control plane; better given as a variable",
    "max_body_bytes": "largest request body accepted, in bytes",
    "test_controls": "whether there are test controls under /_mock/: on, off, or auto, which is "
    "for requests from this machine to a loopback address",
    "record": "file to record the answers of the upstream in",
    "replay": "file to answer from, recorded before",
    "upstream": "base URL of the LangCache to record",
    "upstream_key": "key to ask the upstream with; by default that of each request",
    "max_concurrency": "how many requests may be under way at once; more are refused with 429",
    "body_timeout_seconds": "how long the body of a request may take to arrive",
    "shutdown_seconds": "how long requests under way may take to finish on shutdown",
    "embedding_cache": "how many prompts' vectors to remember, of some 2 kB each",
    "cors_origins": "origins of web pages that may call the server, with commas; * for all",
    "metrics": "whether /metrics tells Prometheus what happens, without a key: on, off",
    "access_log": "whether to log a line for each request: off, text, json",
    "otel": "whether to trace requests with OpenTelemetry: off, on",
    "log_level": f"least level to log, on standard error: {', '.join(LOG_LEVELS)}",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End the program with one line, without the usage that argparse puts before it."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or Ctrl-C.

    Args:
        arguments: The command line's arguments; by default those of the process.

    Returns:
        The exit status 1, where the address can't be listened on or the storage not be opened. A
        signal ends the process with status 0, bad arguments or a bad configuration with 2.
    """
    # uvicorn hands a signal on to these handlers when it has shut down.
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
    # Whatever process serves, the token is the same.
    settings = replace(settings, admin_token=configuration.admin_token)

    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        sys.stderr.write(f"{_PROGRAM}: error: can't listen on {where}: {error.strerror}\n")
        return 1
    ready = f"{_PROGRAM} ready on {url_of(listener, settings.host)}"

    def say_ready() -> None:
        if configuration.strict and configuration.generated:
            sys.stderr.write(f"{_PROGRAM} admin token: {configuration.admin_token}\n")
        print(ready, flush=True)

    if settings.workers > 1:
        return 0 if run_workers(settings, listener, say_ready) else 1
    try:
        app = create_app(settings, configuration=configuration)
    except CANNOT_START as error:
        listener.close()
        sys.stderr.write(f"{_PROGRAM}: error: {error}\n")
        return 1
    gc.freeze()  # what there is by now stays, so no request needs to wait while it is looked over
    Server(app, say_ready, shutdown_seconds=settings.shutdown_seconds).run([listener])
    return 0


def read_settings(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> Settings:
    """Make the settings from arguments and, for what they leave out, environment variables.

    An empty variable counts as none. A bad value ends the process with status 2 and one line that
    names the option or variable, its rule and the value.

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
            f"(default: {_shown(setting.default)}; environment: {_variable(setting.name)})",
        )
    given: dict[str, str | None] = vars(parser.parse_args(arguments))

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in fields(Settings):
        name = setting.name
        kind = cast("type[bool | str | int | float]", type(setting.default))
        text, origins[name] = given[name], _option(name)
        if text is None:
            text, origins[name] = environment.get(_variable(name)) or None, _variable(name)
        if text is None:
            continue
        try:
            values[name] = _switch(text) if kind is bool else kind(text)
        except ValueError:
            wanted = "on or off" if kind is bool else "an integer" if kind is int else "a number"
            parser.error(f"{origins[name]}: must be {wanted}, got {text!r}")
    try:
        return Settings(**values)
    except SettingsError as error:
        parser.error(f"{origins[error.setting]}: {error.problem}")


def _shown(default: object) -> object:
    return "off" if default is False else default


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
