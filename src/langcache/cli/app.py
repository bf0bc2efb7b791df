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
from langcache.cli.entries import delete, export, flush, set_entry, stats
from langcache.cli.evaluate import evaluate
from langcache.cli.import_command import import_file
from langcache.cli.migrate import migrate
from langcache.cli.search import search
from langcache.cli.tune import tune

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["create_app"]

_GROUP = "langcache.commands"
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_COMMANDS: dict[str, Callable[..., None]] = {
    "search": search,
    "set": set_entry,
    "delete": delete,
    "flush": flush,
    "import": import_file,
    "export": export,
    "stats": stats,
    "migrate": migrate,
    "doctor": doctor,
    "evaluate": evaluate,
    "tune": tune,
}
_HELP = {"serve": "Run a LangCache server."}
_DISTRIBUTIONS = {"serve": "langcache-mockserver"}


def create_app() -> typer.Typer:
    """Return the command with all its subcommands."""
    # The tracebacks of typer show local variables, which may hold secrets.
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_langcache)
    for name, command in _COMMANDS.items():
        app.command(name)(command)
    found = {each.name: each for each in entry_points(group=_GROUP) if each.name not in _COMMANDS}
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
    """Semantic caching for LLM applications.

    The commands that use a cache take a server (--server-url, --cache-id,
    --api-key-file, or the environment variables LANGCACHE_SERVER_URL,
    LANGCACHE_CACHE_ID and LANGCACHE_API_KEY) or --storage.

    Exit status of all commands:

    0: done. 1: done, but with the lesser result: a miss, rows left out,
    nothing to delete, a failed check. 2: an argument or a file is wrong.
    3: the server or storage cannot be used. 130: interrupted.
    """
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
