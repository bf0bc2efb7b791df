"""The subcommand `search`: what a prompt would find, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from langcache.cli.options import (
    ApiKeyFile,
    AsJson,
    AttributeOptions,
    CacheId,
    Embedder,
    ServerUrl,
    StorageName,
    attributes_of,
    fail,
    is_utf8,
    open_target,
    print_json,
)
from langcache.cli.target import (
    NOTHING,
    TargetError,
)

__all__ = ["search"]

_VERIFIERS = ("off", "rules", "model", "auto")
_OUTCOMES = {
    "hit": ("hit", "green"),
    "rejected": ("miss: what is similar enough was turned down", "yellow"),
    "near_miss": ("miss: the nearest entry is just below the threshold", "yellow"),
    "miss": ("miss: nothing is similar enough", "red"),
}
_LONGEST = 300


def search(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT")],
    server_url: ServerUrl = "",
    cache_id: CacheId = "",
    api_key_file: ApiKeyFile = None,
    storage: StorageName = "",
    embedder: Embedder = "minilm",
    threshold: Annotated[
        float | None,
        typer.Option(metavar="SIMILARITY", help="The smallest similarity of a hit, in [0, 1]."),
    ] = None,
    attribute: AttributeOptions = None,
    limit: Annotated[
        int, typer.Option(min=1, max=50, help="How many of the nearest entries to show.")
    ] = 5,
    verifier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What may turn candidates down: off, rules, model or auto. By default auto with "
            "--storage, and what the server has otherwise.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a prompt finds, and why it hits or misses.

    Looking changes nothing: no statistics, no TTL.
    A server without a console shows its hits only.

    Exit status: 0 for a hit, 1 for a miss, 2 if an argument is wrong, 3 if
    the server or storage cannot be used.

    Examples:
        langcache search "How can I change my password?" --storage sqlite:faq.db

        langcache search "opening hours" --threshold 0.85 --attribute language=en
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise typer.BadParameter(f"must be in [0, 1], got {threshold}", param_hint="--threshold")
    if verifier is not None and verifier not in _VERIFIERS:
        raise typer.BadParameter(f"must be one of {', '.join(_VERIFIERS)}", param_hint="--verifier")
    if not prompt:
        raise typer.BadParameter("must not be empty", param_hint="PROMPT")
    if not is_utf8(prompt):
        raise typer.BadParameter("must be UTF-8", param_hint="PROMPT")
    attributes = attributes_of(attribute)
    of_storage = None if verifier == "off" else verifier or "auto"
    try:
        target = open_target(
            server_url, cache_id, api_key_file, storage, embedder, verifier=of_storage
        )
        try:
            found = target.search(
                prompt, threshold=threshold, attributes=attributes, limit=limit, verifier=verifier
            )
        finally:
            target.close()
    except TargetError as error:
        fail(error)
    if as_json:
        print_json(found)
    else:
        # A server without a console shows its hits only.
        _show(found, all_seen=bool(storage) or found["verify"] is not None)
    raise typer.Exit(0 if found["outcome"] == "hit" else NOTHING)


def _show(found: dict[str, Any], *, all_seen: bool) -> None:
    console = Console()
    words, style = _OUTCOMES[found["outcome"]]
    threshold = found["threshold"]
    if all_seen and not found["candidates"]:
        words = "miss: there are no entries to compare with"
    at = "" if threshold is None else f" (threshold {threshold:.3f})"
    console.print(Text(words, style), Text(at), sep="")
    if not found["candidates"]:
        return
    table = Table(show_edge=False, pad_edge=False)
    for name in ("similarity", "verdict", "reason", "prompt", "response"):
        table.add_column(name, justify="right" if name == "similarity" else "left")
    for each in found["candidates"]:
        verdict, reason = _judged(each)
        table.add_row(
            f"{each['similarity']:.4f}",
            Text(verdict, "green" if verdict == "served" else ""),
            Text(reason),
            Text(shown(each["prompt"])),
            Text(shown(each["response"])),
        )
    console.print(table)


def _judged(candidate: dict[str, Any]) -> tuple[str, str]:
    """Return the verdict on a candidate in a word or two, and its reason."""
    verdict = candidate["verdict"]
    reason = ""
    if verdict is not None:
        reason = ": ".join(filter(None, (verdict["reason"], shown(verdict["details"]))))
        if verdict["probability"] is not None:
            reason = f"{reason} ({verdict['probability']:.0%} the same)".strip()
    if candidate["served"]:
        return "served", reason
    if not candidate["reachesThreshold"]:
        return "below threshold", reason
    if verdict is None or verdict["accepted"]:
        return "accepted", reason
    return "rejected", reason


def shown(text: str) -> str:
    """Return a text on one line, shortened, without characters that could steer a terminal."""
    line = " ".join(text.split())
    line = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
