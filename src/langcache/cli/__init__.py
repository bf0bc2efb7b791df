"""The command `langcache`. Needs the extra `cli`."""

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of the process, and exit.

    Without the extra `cli`, it prints what to install and exits with status 1.
    """
    if any(find_spec(name) is None for name in ("rich", "typer")):
        sys.exit('langcache: this command needs the extra cli; see "Install" in the README')
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        # A terminal or a file that cannot show a character gets its number.
        reconfigure(errors="backslashreplace")
    from langcache.cli.app import create_app

    create_app()(prog_name="langcache")
