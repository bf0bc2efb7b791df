"""Generate code and pages from the contract, or check that they are up to date.

Without options, write all files and remove stale ones. With `--check`, write nothing and list
edited, missing and stale files; the exit status is 1 if there are any. The exit status is 2 if the
contract or gen.yaml is not valid.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from document import ContractError, load_yaml
from reader import read_contract
from render import has_header, render
from settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments. Default: those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; list files that are not up to date"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(__file__).resolve().parent.parent,
        help="directory of gen.yaml (default: the repository)",
    )
    options = parser.parse_args(arguments)
    root: Path = options.root
    try:
        settings = load_settings(root / "gen.yaml")
        document = load_yaml(root / settings.contract)
        files = render(document, read_contract(document, settings), settings)
    except ContractError as error:
        print(error, file=sys.stderr)
        return 2
    if options.check:
        return _check(root, files, settings)
    return _write(root, files, settings)


def _check(root: Path, files: dict[str, bytes], settings: Settings) -> int:
    differences = [f"stale: {path}" for path in _stale(root, files, settings)]
    for path, content in files.items():
        file = root / path
        if not file.is_file():
            differences.append(f"missing: {path}")
        elif file.read_bytes() != content:
            differences.append(f"edited: {path}")
    for difference in sorted(differences):
        print(difference)
    return 1 if differences else 0


def _write(root: Path, files: dict[str, bytes], settings: Settings) -> int:
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or file.read_bytes() != content:
            file.write_bytes(content)
    status = 0
    for path in _stale(root, files, settings):
        if has_header(root / path):
            (root / path).unlink()
        else:
            print(
                f"{path} is not generated, but its directory is; move the file elsewhere",
                file=sys.stderr,
            )
            status = 1
    return status


def _stale(root: Path, files: dict[str, bytes], settings: Settings) -> Iterator[str]:
    """Yield the files in generated directories that the generator does not write."""
    for directory in settings.outputs.directories:
        for file in sorted((root / directory).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.is_file() and path not in files and "__pycache__" not in file.parts:
                yield path


if __name__ == "__main__":
    sys.exit(main())
