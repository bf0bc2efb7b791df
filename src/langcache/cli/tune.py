"""The subcommand `tune`: the threshold that keeps an error budget."""

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

__all__ = ["tune"]

# Where hits are measured when no threshold is supported.
_OTHERWISE = 0.9


def tune(
    file: File,
    max_wrong: Annotated[
        float,
        typer.Option(metavar="SHARE", help="The largest acceptable share of wrong hits."),
    ] = 0.02,
    confidence: Annotated[
        float,
        typer.Option(metavar="SHARE", help="How sure the threshold must be within the budget."),
    ] = 0.95,
    content: ContentOption = Content.AUTO,
    embedder: EmbedderOption = "minilm",
    verifier: VerifierOption = VerifierName.OFF,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Find the lowest similarity threshold at which few enough hits are wrong.

    A wrong hit is one whose answer is not right for the prompt.
    The threshold is the lowest one that the labels support: with 95 %
    confidence, its true rate of wrong hits is at most --max-wrong.
    If the labels support none, the report says how many more are needed.

    Exit status: 0 if a threshold was found, 1 if the labels support none,
    2 if an argument is wrong, the file cannot be used or the embedder fails.

    Examples:
        langcache tune pairs.csv --max-wrong 0.02 --verifier auto

        langcache tune shadow.jsonl --max-wrong 0.05 --html report.html
    """
    for name, value in (("--max-wrong", max_wrong), ("--confidence", confidence)):
        if not 0 < value < 1:
            raise typer.BadParameter(f"must be between 0 and 1, got {value}", param_hint=name)
    labelled, lookups = labelled_lookups(file, content, embedder, verifier)

    from langcache.engine.tuning import Report, evaluate
    from langcache.engine.tuning import tune as tuned

    tuning = tuned(lookups, max_wrong=max_wrong, confidence=confidence)
    threshold = tuning.whole.threshold
    report = Report(
        evaluation=evaluate(lookups, _OTHERWISE if threshold is None else threshold),
        tuning=tuning,
        title=file.name,
        bad_rows=labelled.bad_rows,
        bad_row_count=labelled.bad_row_count,
    )
    write_report(report, as_json=as_json, html=html)
    raise typer.Exit(1 if threshold is None else 0)
