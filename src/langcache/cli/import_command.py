"""The subcommand `import`: the rows of a file become entries of a cache."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from langcache.cli.import_progress import ImportProgress
from langcache.cli.options import (
    ApiKeyFile,
    AsJson,
    CacheId,
    Embedder,
    ServerUrl,
    StorageName,
    fail,
    open_target,
    print_json,
)
from langcache.cli.rows import FORMATS, Columns, format_of, read_rows
from langcache.cli.target import (
    INTERRUPTED,
    NOTHING,
    USAGE,
    Row,
    RowError,
    TargetError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from langcache.cli.target import Target

__all__ = ["import_file"]

_TRIES = 8
_LONGEST_WAIT = 10.0
_SHOWN_ERRORS = 20
_MOST_NAMES = 100


def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A .csv, .tsv, .jsonl or .parquet file.", dir_okay=False
        ),
    ],
    server_url: ServerUrl = "",
    cache_id: CacheId = "",
    api_key_file: ApiKeyFile = None,
    storage: StorageName = "",
    embedder: Embedder = "minilm",
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="COLUMN", help="The column of the prompts.")
    ] = "prompt",
    response: Annotated[
        str, typer.Option("--response", metavar="COLUMN", help="The column of the responses.")
    ] = "response",
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            metavar="COLUMN[=NAME]",
            help="A column whose values become the attribute NAME. Can be given several times.",
        ),
    ] = None,
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="COLUMN", help="The column of the TTLs, in seconds.")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}; by default by the name."
        ),
    ] = "",
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin with the first row, whatever was done before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Store the rows of a file.

    Rows that cannot be stored are reported with their lines, and the others
    are stored. After Ctrl-C, a crash or an unreachable server, the same
    command goes on where it was.

    A file that `langcache export` wrote needs no options. In CSV, a column
    `attributes` may hold a JSON object.

    Exit status: 0 if every row was stored, 1 if some were left out, 2 if an
    argument is wrong, 3 if the server or storage cannot be used, 130 after
    Ctrl-C.

    Examples:
        langcache import faq.csv --storage sqlite:faq.db

        langcache import faq.csv --prompt question --response answer --attribute language

        langcache import backup.jsonl --server-url http://127.0.0.1:8080 --cache-id faq
    """
    try:
        columns = Columns(prompt, response, _mapping(attribute), ttl)
        form = format_of(file, form)
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise TargetError("FILE: must be a file, which is read twice, not a pipe", USAGE)
        total, names = _survey(file, form, columns)
        where = (server_url, cache_id, api_key_file, storage, embedder)
        target = open_target(*where, attribute_names=names, creates=True)
        try:
            progress = _progress(file, target, form, columns, restart)
            started = time.monotonic()
            with closing(read_rows(file, form, columns)) as rows:
                rest = islice(rows, progress.rows, None)
                interrupted = _run(rest, total, target, progress)
        finally:
            target.close()
    except TargetError as error:
        fail(error)
    _report(progress, time.monotonic() - started, as_json=as_json, interrupted=interrupted)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(NOTHING if progress.skipped else 0)


def _mapping(options: list[str] | None) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for option in options or ():
        column, _, name = option.partition("=")
        if not column:
            raise TargetError("--attribute: must be COLUMN or COLUMN=NAME", USAGE)
        mapping[column] = name or column
    return mapping


def _survey(file: Path, form: str, columns: Columns) -> tuple[int, list[str]]:
    """Return how many rows a file has, and the names of their attributes."""
    total = 0
    names = set(columns.attributes.values())
    for row in read_rows(file, form, columns):
        total += 1
        if isinstance(row, Row) and len(names) < _MOST_NAMES:
            names.update(row.attributes)
    return total, sorted(names)


def _progress(
    file: Path, target: Target, form: str, columns: Columns, restart: bool
) -> ImportProgress:
    place = [target.place, form, repr(columns)]
    try:
        progress = ImportProgress(file, place)
        if restart or not progress.load() or not progress.rows:
            return progress
        if progress.stored and _is_empty(target):
            typer.echo("The cache is empty: beginning with the first row.", err=True)
            return ImportProgress(file, place)
    except OSError as error:
        raise TargetError(f"FILE: cannot be read ({error.strerror})", USAGE) from None
    typer.echo(f"Going on after {progress.rows:,} rows.", err=True)
    return progress


def _is_empty(target: Target) -> bool:
    """Return whether a cache has no entries: what was stored is gone. Not all servers tell."""
    try:
        return target.stats()["entries"] == 0
    except TargetError:
        return False


class _Pending(NamedTuple):
    """A batch that is being stored, and what the ids of its rows are made of."""

    batch: list[Row | RowError]
    ids: set[tuple[str, frozenset[tuple[str, str]]]]
    future: Future[list[RowError]]


def _run(
    rows: Iterator[Row | RowError], total: int, target: Target, progress: ImportProgress
) -> bool:
    """Store the rows that are not done yet; return whether the user stopped it."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        # To draw it takes processor time, as often as it is drawn.
        auto_refresh=console.is_terminal,
        refresh_per_second=4,
    )
    task = bar.add_task("Importing", total=total, completed=progress.rows, rate="")
    started, before = time.monotonic(), progress.rows
    pool = ThreadPoolExecutor(target.parallel)
    pending: deque[_Pending] = deque()

    def finish_first() -> None:
        batch, _, future = pending.popleft()
        errors = future.result() + [row for row in batch if isinstance(row, RowError)]
        progress.add(len(batch) - len(errors), sorted(errors))
        seconds = time.monotonic() - started
        rate = (progress.rows - before) / seconds if seconds else 0.0
        bar.update(task, completed=progress.rows, rate=f"{rate:,.0f} rows/s")

    try:
        with bar:
            for batch in _batches(rows, target.together):
                good = [row for row in batch if isinstance(row, Row)]
                ids = {(row.prompt, frozenset(row.attributes.items())) for row in good}
                # Of rows with the same id, the last one has to be stored last.
                while any(not ids.isdisjoint(each.ids) for each in pending):
                    finish_first()
                pending.append(_Pending(batch, ids, pool.submit(_store, target, good)))
                if len(pending) > target.parallel:
                    finish_first()
            while pending:
                finish_first()
    except KeyboardInterrupt:
        return True
    finally:
        # A batch that is under way is not counted as done: it is stored again, in its own place.
        pool.shutdown(cancel_futures=True)
    progress.forget()
    return False


def _batches(rows: Iterator[Row | RowError], size: int) -> Iterator[list[Row | RowError]]:
    while batch := list(islice(rows, size)):
        yield batch


def _store(target: Target, rows: list[Row]) -> list[RowError]:
    """Store rows; try again for a while if the server has too much to do or is not there."""
    if not rows:
        return []
    wait = 0.25
    for _ in range(_TRIES):
        try:
            return target.store(rows)
        except TargetError as error:
            if not error.passing:
                raise
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
    return target.store(rows)


def _report(progress: ImportProgress, seconds: float, *, as_json: bool, interrupted: bool) -> None:
    if as_json:
        print_json(
            {
                "complete": not interrupted,
                "rows": progress.rows,
                "stored": progress.stored,
                "skipped": progress.skipped,
                "errors": [error._asdict() for error in progress.errors],
                "seconds": round(seconds, 3),
            }
        )
        return
    for error in progress.errors[:_SHOWN_ERRORS]:
        typer.echo(f"line {error.line}: {error.problem}", err=True)
    if progress.skipped > _SHOWN_ERRORS:
        typer.echo(f"... and {progress.skipped - _SHOWN_ERRORS:,} more", err=True)
    typer.echo(f"{progress.stored:,} stored, {progress.skipped:,} left out")
    if interrupted:
        typer.echo("Interrupted. The same command goes on after these rows.", err=True)
