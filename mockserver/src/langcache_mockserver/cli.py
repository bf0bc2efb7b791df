"""The command `langcache-mockserver`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from dataclasses import fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn, cast

from langcache.engine.storage import StorageError
from langcache_mockserver.app import create_app
from langcache_mockserver.server import Server, listen, url_of
from langcache_mockserver.settings import LOG_LEVELS, Settings, SettingsError
from langcache_mockserver.storages import STORAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

_PROGRAM = "langcache-mockserver"

_HELP = {
    "host": "name or address to listen on",
    "port": "port to listen on; 0 takes any free one",
    "storage": f"where entries are kept: {STORAGES}",
    "default_threshold": "least similarity of a semantic match where a search names none, 0 to 1",
    "max_body_bytes": "largest request body accepted, in bytes",
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
        signal ends the process with status 0, bad arguments with 2.
    """
    # uvicorn hands a signal on to these handlers when it has shut down.
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    settings = read_settings(arguments, os.environ)
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr)

    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        sys.stderr.write(f"{_PROGRAM}: error: can't listen on {where}: {error.strerror}\n")
        return 1
    ready = f"{_PROGRAM} ready on {url_of(listener, settings.host)}"
    try:
        app = create_app(settings)
    except StorageError as error:
        sys.stderr.write(f"{_PROGRAM}: error: {error}\n")
        return 1
    Server(app, on_ready=lambda: print(ready, flush=True)).run([listener])
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
    for setting in fields(Settings):
        parser.add_argument(
            _option(setting.name),
            metavar=setting.name.rpartition("_")[2].upper(),
            help=f"{_HELP[setting.name]} "
            f"(default: {setting.default}; environment: {_variable(setting.name)})",
        )
    given: dict[str, str | None] = vars(parser.parse_args(arguments))

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in fields(Settings):
        name = setting.name
        kind = cast("type[str | int | float]", type(setting.default))
        text, origins[name] = given[name], _option(name)
        if text is None:
            text, origins[name] = environment.get(_variable(name)) or None, _variable(name)
        if text is None:
            continue
        try:
            values[name] = kind(text)
        except ValueError:
            wanted = "an integer" if kind is int else "a number"
            parser.error(f"{origins[name]}: must be {wanted}, is {text!r}")
    try:
        return Settings(**values)
    except SettingsError as error:
        parser.error(f"{origins[error.setting]}: {error.problem}")


def _option(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def _variable(setting: str) -> str:
    return f"LANGCACHE_MOCKSERVER_{setting.upper()}"


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
