"""The subcommands `set`, `delete`, `flush`, `export` and `stats`."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer

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
    USAGE,
    Row,
    TargetError,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from langcache.cli.target import Target

__all__ = ["delete", "export", "flush", "set_entry", "stats"]

_EXPORTED = ("id", "prompt", "response", "attributes", "createdAt", "updatedAt", "ttlMillis")


@contextmanager
def _opened(
    *where: Any, attribute_names: Sequence[str] = (), creates: bool = False
) -> Generator[Target]:
    """Open the target of a command; what goes wrong ends the command."""
    try:
        target = open_target(*where, attribute_names=attribute_names, creates=creates)
        try:
            yield target
        finally:
            target.close()
    except TargetError as error:
        fail(error)


def set_entry(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT")],
    response: Annotated[
        str, typer.Argument(metavar="RESPONSE", help="The response; - reads standard input.")
    ],
    server_url: ServerUrl = "",
    cache_id: CacheId = "",
    api_key_file: ApiKeyFile = None,
    storage: StorageName = "",
    embedder: Embedder = "minilm",
    attribute: AttributeOptions = None,
    ttl: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long the entry lives.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store an entry, and print its id.

    The same prompt with the same attributes is replaced.

    Exit status: 0 if it was stored, 2 if an argument is wrong, 3 if the
    server or storage cannot be used or refuses the entry.

    Examples:
        langcache set "What are your opening hours?" "9 to 17" --storage sqlite:faq.db

        langcache set "Summarise the report" - --ttl 3600 < summary.txt
    """
    attributes = attributes_of(attribute)
    if ttl is not None and not 0.001 <= ttl <= 1e12:
        raise typer.BadParameter(f"must be more than 0, got {ttl}", param_hint="--ttl")
    if response == "-":
        try:
            response = sys.stdin.read()
        except UnicodeDecodeError:
            raise typer.BadParameter("must be UTF-8", param_hint="RESPONSE") from None
    for hint, text in (("PROMPT", prompt), ("RESPONSE", response)):
        if not text:
            raise typer.BadParameter("must not be empty", param_hint=hint)
        if not is_utf8(text):
            raise typer.BadParameter("must be UTF-8", param_hint=hint)
    millis = None if ttl is None else round(ttl * 1000)
    where = (server_url, cache_id, api_key_file, storage, embedder)
    with _opened(*where, attribute_names=list(attributes), creates=True) as target:
        entry_id = target.set(Row(1, prompt, response, attributes, millis))
    if as_json:
        print_json({"entryId": entry_id})
    else:
        typer.echo(entry_id)


def delete(
    entry_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The ids of entries.")
    ] = None,
    server_url: ServerUrl = "",
    cache_id: CacheId = "",
    api_key_file: ApiKeyFile = None,
    storage: StorageName = "",
    attribute: AttributeOptions = None,
    as_json: AsJson = False,
) -> None:
    """Delete entries by their ids, or those that have all the attributes.

    Exit status: 0 if entries were deleted, 1 if there were none, 2 if an
    argument is wrong, 3 if the server or storage cannot be used.

    Examples:
        langcache delete 5d41402abc4b2a76b9719d911017c592 --storage sqlite:faq.db

        langcache delete --attribute version=1
    """
    attributes = attributes_of(attribute)
    if bool(entry_ids) == bool(attributes):
        raise typer.BadParameter("give ids of entries, or --attribute", param_hint="ID")
    with _opened(server_url, cache_id, api_key_file, storage) as target:
        count = target.delete(entry_ids) if entry_ids else target.delete_by_attributes(attributes)
    if as_json:
        print_json({"deleted": count})
    else:
        typer.echo(f"{count:,} deleted")
    raise typer.Exit(0 if count else NOTHING)


def flush(
    server_url: ServerUrl = "",
    cache_id: CacheId = "",
    api_key_file: ApiKeyFile = None,
    storage: StorageName = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete all entries of a cache. Asks first.

    Exit status: 0 if they were deleted, 1 if you said no, 2 if an argument is
    wrong, 3 if the server or storage cannot be used.

    Examples:
        langcache flush --storage sqlite:faq.db

        langcache flush --server-url http://127.0.0.1:8080 --cache-id faq --yes
    """
    with _opened(server_url, cache_id, api_key_file, storage) as target:
        if not yes and not typer.confirm(f"Delete all entries of {target.name}?", err=True):
            raise typer.Exit(NOTHING)
        target.flush()
    if as_json:
        print_json({"flushed": True})


def stats(
    server_url: ServerUrl = "",
    cache_id: CacheId = "",
    api_key_file: ApiKeyFile = None,
    storage: StorageName = "",
    as_json: AsJson = False,
) -> None:
    """Show how many entries a cache has, and what became of its lookups.

    Exit status: 0, or 2 if an argument is wrong, 3 if the server or storage
    cannot be used.

    Examples:
        langcache stats --storage sqlite:faq.db
    """
    with _opened(server_url, cache_id, api_key_file, storage) as target:
        numbers = target.stats()
    if as_json:
        print_json(numbers)
        return
    for name, value in numbers.items():
        if isinstance(value, dict):
            for outcome, count in sorted(cast("dict[str, int]", value).items()):
                typer.echo(f"{name} {outcome}: {count:,}")
        elif isinstance(value, list):
            typer.echo(f"{name}: {', '.join(cast('list[str]', value)) or 'none'}")
        else:
            typer.echo(f"{name}: {value:,}")


def export(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="A .jsonl or .csv file to write; without it, JSON Lines go to standard output.",
        ),
    ] = None,
    server_url: ServerUrl = "",
    cache_id: CacheId = "",
    api_key_file: ApiKeyFile = None,
    storage: StorageName = "",
    form: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help="jsonl or csv; by default by the name."),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON; needs FILE.")
    ] = False,
) -> None:
    """Write all entries of a cache, for `langcache import`.

    FILE appears when it is complete. An official server has no way to list
    entries, so it cannot be exported.

    Exit status: 0 if all were written, 2 if an argument is wrong, 3 if the
    server or storage cannot be used.

    Examples:
        langcache export backup.jsonl --storage sqlite:faq.db

        langcache export --server-url http://127.0.0.1:8080 --cache-id faq | head
    """
    form = form or ("csv" if file is not None and file.suffix.lower() == ".csv" else "jsonl")
    if form not in ("csv", "jsonl"):
        raise typer.BadParameter("must be one of jsonl, csv", param_hint="--format")
    if as_json and file is None:
        raise typer.BadParameter("needs FILE", param_hint="--json")
    with _opened(server_url, cache_id, api_key_file, storage) as target, _output(file) as output:
        write = _write_csv if form == "csv" else _write_lines
        count = write(target.export(), output)
    if as_json:
        print_json({"entries": count})
    elif file is not None:
        typer.echo(f"{count:,} entries written to {file}")


@contextmanager
def _output(file: Path | None) -> Generator[IO[str]]:
    """Open what to write to; a file gets its name when it is complete.

    A lone surrogate, which an application may have stored, is not UTF-8. It is written as JSON
    escapes it.
    """
    form: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace"}
    try:
        if file is None:
            standard = cast("IO[str]", sys.stdout)
            if isinstance(standard, io.TextIOWrapper):
                standard.reconfigure(**form)
            yield standard
            standard.flush()
        elif file.exists() and not file.is_file():
            # A device or a pipe, whose place no file can take.
            with file.open("w", newline="", **form) as output:
                yield output
        else:
            part = file.with_name(f"{file.name}.part")
            try:
                with part.open("w", newline="", **form) as output:
                    yield output
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
    except BrokenPipeError:
        raise  # whoever reads has enough
    except OSError as error:
        name = "FILE"
        if file is None:
            name = "standard output"
            _discard_output()
        raise TargetError(f"{name}: cannot be written ({error.strerror})", USAGE) from None


def _discard_output() -> None:
    """Let what is left of standard output go nowhere, or Python fails to write it when it ends."""
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _write_lines(entries: Iterator[dict[str, Any]], output: IO[str]) -> int:
    count = 0
    for entry in entries:
        output.write(f"{json.dumps(entry, ensure_ascii=False)}\n")
        count += 1
    return count


def _write_csv(entries: Iterable[dict[str, Any]], output: IO[str]) -> int:
    # All texts are quoted: otherwise a carriage return in one would end its row.
    writer = csv.writer(output, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(_EXPORTED)
    count = 0
    for entry in entries:
        attributes = entry["attributes"]
        written = json.dumps(attributes, ensure_ascii=False) if attributes else ""
        row = {**entry, "attributes": written}
        writer.writerow("" if row[name] is None else row[name] for name in _EXPORTED)
        count += 1
    return count
