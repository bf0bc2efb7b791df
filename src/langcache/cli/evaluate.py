"""The subcommand `evaluate`: how good the hits at a threshold are."""

from __future__ import annotations

from typing import Annotated

import typer

from langcache.cli.lookups import (
    AsJson,
    Content,
    ContentOption,
    EmbedderOption,
    File,
    Html,
    VerifierName,
    VerifierOption,
    labelled_lookups,
    write_report,
)

__all__ = ["evaluate"]


def evaluate(
    file: File,
    threshold: Annotated[
        float,
        typer.Option(metavar="SIMILARITY", help="The smallest similarity of a hit, in [0, 1]."),
    ] = 0.9,
    max_wrong: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Exit with status 1 if a larger share of the hits is wrong."
        ),
    ] = None,
    content: ContentOption = Content.AUTO,
    embedder: EmbedderOption = "minilm",
    verifier: VerifierOption = VerifierName.OFF,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Measure how many hits are wrong at a threshold, and how many are missed.

    A wrong hit is one whose answer is not right for the prompt.
    With --max-wrong, the command is a check for CI.

    Exit status: 0 if all is well, 1 if more hits are wrong than --max-wrong
    allows, 2 if an argument is wrong, the file cannot be used or the embedder
    fails.

    Examples:
        langcache evaluate pairs.csv --threshold 0.93

        langcache evaluate pairs.csv --threshold 0.93 --max-wrong 0.02 --html report.html
    """
    if not 0 <= threshold <= 1:
        raise typer.BadParameter(f"must be in [0, 1], got {threshold}", param_hint="--threshold")
    if max_wrong is not None and not 0 <= max_wrong <= 1:
        raise typer.BadParameter(f"must be in [0, 1], got {max_wrong}", param_hint="--max-wrong")
    labelled, lookups = labelled_lookups(file, content, embedder, verifier)

    from langcache.engine.tuning import Report
    from langcache.engine.tuning import evaluate as evaluated

    evaluation = evaluated(lookups, threshold)
    report = Report(
        evaluation=evaluation,
        title=file.name,
        bad_rows=labelled.bad_rows,
        bad_row_count=labelled.bad_row_count,
        max_wrong=max_wrong,
    )
    write_report(report, as_json=as_json, html=html)
    raise typer.Exit(1 if max_wrong is not None and evaluation.exceeds(max_wrong) else 0)
