"""Lookups from a labelled file, and reports on them, for `tune` and `evaluate`."""

from __future__ import annotations

import zlib
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console

if TYPE_CHECKING:
    from langcache.engine.tuning import LabelledFile, RecordedLookup, Report

__all__ = [
    "AsJson",
    "Content",
    "ContentOption",
    "EmbedderOption",
    "File",
    "Html",
    "VerifierName",
    "VerifierOption",
    "labelled_lookups",
    "write_report",
]


class Content(str, Enum):
    """What a labelled file holds."""

    AUTO = "auto"
    PAIRS = "pairs"
    CACHE = "cache"
    LOOKUPS = "lookups"


class VerifierName(str, Enum):
    """A verifier."""

    OFF = "off"
    NONE = "none"  # the same, as it was called at first
    RULES = "rules"
    MODEL = "model"
    AUTO = "auto"


File: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Labelled pairs, a cache, or recorded lookups: .csv, .tsv or .jsonl, or these with "
        ".gz. See the guide to tuning.",
    ),
]
ContentOption: TypeAlias = Annotated[
    Content, typer.Option("--format", help="What the file holds; auto tells it by the columns.")
]
EmbedderOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--embedder",
        metavar="NAME",
        help="What the similarities come from: minilm, openai:MODEL or "
        "sentence-transformers:NAME. Recorded lookups have their own.",
    ),
]
VerifierOption: TypeAlias = Annotated[
    VerifierName,
    typer.Option(
        "--verifier",
        help="What may turn candidates down. Recorded lookups have their own verdicts.",
    ),
]
Html: TypeAlias = Annotated[
    Path | None,
    typer.Option("--html", metavar="PATH", help="Write the report as one HTML page, with plots."),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the report as one JSON object.")
]


def labelled_lookups(
    path: Path, content: Content, embedder: str, verifier: VerifierName
) -> tuple[LabelledFile, list[RecordedLookup]]:
    """Read a file and return it with its lookups.

    Raises:
        typer.BadParameter: The file cannot be read or used, or there is no such embedder.
        typer.Exit: The embedder failed, or a package is missing; a message is printed.
    """
    try:
        from langcache.engine import EmbedderError, create_embedder
        from langcache.engine.tuning import lookups_of, read_labelled
    except ImportError as error:
        raise _failure(error) from error
    try:
        file = read_labelled(path, content.value)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        # An OSError's own words repeat the path, which is known.
        words = getattr(error, "strerror", None) or str(error)
        raise typer.BadParameter(words, param_hint="FILE") from error
    if file.content == "lookups":
        return file, file.lookups
    try:
        with Console(stderr=True).status(f"Comparing the prompts of {len(file):,} rows"):
            name = None if verifier in (VerifierName.OFF, VerifierName.NONE) else verifier.value
            return file, lookups_of(file, create_embedder(embedder), name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except (EmbedderError, ImportError) as error:
        raise _failure(error) from error


def write_report(report: Report, *, as_json: bool, html: Path | None) -> None:
    """Print a report, and write it as an HTML page, too, when a path is given.

    Raises:
        typer.BadParameter: The page cannot be written.
    """
    if html is not None:
        try:
            html.write_text(report.html(), encoding="utf-8")
        except OSError as error:
            raise typer.BadParameter(error.strerror or "", param_hint="--html") from error
    typer.echo(report.json() if as_json else report.text(), nl=False)


def _failure(error: Exception) -> typer.Exit:
    typer.echo(f"langcache: {error}", err=True)
    return typer.Exit(2)
