"""The subcommands of `langcache`: its own, and those of other distributions.

A distribution adds a subcommand by an entry point in the group `langcache.commands`. It names a
function that takes the subcommand's arguments, a list of str, and returns an exit status. Such a
subcommand parses its own arguments, `--help` included, and is imported only when it runs.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, cast

import typer

from langcache import __version__
from langcache.cli.doctor import doctor
from langcache.cli.evaluate import evaluate
from langcache.cli.tune import tune

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["create_app"]

_GROUP = "langcache.commands"
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_COMMANDS = (doctor, evaluate, tune)
_HELP = {"serve": "Run a LangCache server."}
_DISTRIBUTIONS = {"serve": "langcache-mockserver"}


def create_app() -> typer.Typer:
    """Return the command with all its subcommands."""
    # The tracebacks of typer show local variables, which may hold secrets.
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_langcache)
    for command in _COMMANDS:
        app.command()(command)
    own = {command.__name__ for command in _COMMANDS}
    found = {each.name: each for each in entry_points(group=_GROUP) if each.name not in own}
    for name in sorted({*found, *_DISTRIBUTIONS}):
        entry_point = found.get(name)
        run = _missing(name) if entry_point is None else _run(entry_point)
        app.command(
            name,
            help=_HELP.get(name) or f"Run the command {name}.",
            context_settings=_PASS_ON,
            add_help_option=False,
        )(run)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"langcache {__version__}")
        raise typer.Exit


def _langcache(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Semantic caching for LLM applications."""
    del version


def _run(entry_point: EntryPoint) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        command = cast("Callable[[list[str]], int | None]", entry_point.load())
        raise typer.Exit(command(context.args) or 0)

    return run


def _missing(name: str) -> Callable[[typer.Context], None]:
    def missing(context: typer.Context) -> None:
        del context
        distribution = _DISTRIBUTIONS[name]
        typer.echo(
            f'langcache: {name} needs the package {distribution}; see "Install" in the README',
            err=True,
        )
        raise typer.Exit(1)

    return missing
