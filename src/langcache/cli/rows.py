"""The rows of a file to import: CSV, TSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO, cast

from langcache._json_lines import json_rows
from langcache.cli.options import is_utf8
from langcache.cli.target import USAGE, Row, RowError, TargetError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
FORMATS = ("csv", "tsv", "jsonl", "parquet")
_LARGEST_CELL = 64 << 20
_READ_TOGETHER = 1024


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns, or members, hold what.

    Attributes:
        prompt: The prompt.
        response: The response.
        attributes: The names of attributes, by the columns that hold their values.
        ttl: The TTL in seconds; "" for none.
    """

    prompt: str = "prompt"
    response: str = "response"
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    ttl: str = ""


def format_of(path: Path, given: str) -> str:
    """Return the format of a file: what is given, or what its name says.

    Raises:
        TargetError: Neither says it.
    """
    found = given or _FORMATS.get(path.suffix.lower(), "")
    if found not in FORMATS:
        raise TargetError(f"--format: must be one of {', '.join(FORMATS)}", USAGE)
    return found


def read_rows(path: Path, form: str, columns: Columns) -> Generator[Row | RowError, None, None]:
    """Yield the rows of a file, or what is wrong with one.

    Raises:
        TargetError: The file cannot be read, or lacks a column.
    """
    try:
        if form == "parquet":
            yield from _checked(_parquet(path), columns)
            return
        # Bytes that are no UTF-8 become lone surrogates, so that only their rows are left out.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            found = json_rows(file) if form == "jsonl" else _cells(file, columns, form == "tsv")
            yield from _checked(found, columns)
    except OSError as error:
        raise TargetError(f"FILE: cannot be read ({error.strerror})", USAGE) from None


def _checked(
    rows: Iterable[tuple[int, dict[str, Any] | str]], columns: Columns
) -> Iterator[Row | RowError]:
    for line, row in rows:
        if isinstance(row, str):
            yield RowError(line, row)
            continue
        try:
            yield _row(line, row, columns)
        except ValueError as error:
            yield RowError(line, str(error))


def _row(line: int, row: dict[str, Any], columns: Columns) -> Row:
    attributes = _attributes(row.get("attributes"))
    for column, name in columns.attributes.items():
        value = row.get(column)
        if value not in (None, ""):
            attributes[name] = value if isinstance(value, str) else _as_json(column, value)
    if not all(is_utf8(text) for pair in attributes.items() for text in pair):
        raise ValueError("attributes: must be UTF-8")
    return Row(
        line,
        _text(columns.prompt, row),
        _text(columns.response, row),
        attributes,
        _ttl(row, columns.ttl),
    )


def _text(column: str, row: dict[str, Any]) -> str:
    value = row.get(column)
    if value is None or value == "":
        raise ValueError(f"{column}: must not be empty" if column in row else _required(column))
    if not isinstance(value, str):
        raise ValueError(f"{column}: must be text, got {type(value).__name__}")
    if not is_utf8(value):
        raise ValueError(f"{column}: must be UTF-8")
    return value


def _as_json(column: str, value: object) -> str:
    try:
        return json.dumps(value)
    except TypeError:  # Parquet has dates, decimals and bytes
        raise ValueError(
            f"{column}: must be text or a JSON value, got {type(value).__name__}"
        ) from None


def _required(column: str) -> str:
    return f"{column}: is required"


def _attributes(value: object) -> dict[str, str]:
    """Return the attributes of a row: an object, or one written as JSON in a cell."""
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("attributes: must be a JSON object") from None
    if not isinstance(value, dict):
        raise ValueError("attributes: must be a JSON object")
    for item in cast("dict[Any, Any]", value).values():
        if not isinstance(item, str):
            raise ValueError("attributes: every value must be a string")
    return dict(cast("dict[str, str]", value))


def _ttl(row: dict[str, Any], column: str) -> int | None:
    """Return the TTL of a row in milliseconds; `ttlMillis` is what an export has."""
    name, factor = (column, 1000) if column else ("ttlMillis", 1)
    value = row.get(name)
    if value in (None, ""):
        return None
    try:
        millis = round(float(value) * factor)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: must be a number") from None
    if millis < 1:
        raise ValueError(f"{name}: must be more than 0, got {value}")
    return millis


def _cells(
    file: TextIO, columns: Columns, tabs: bool
) -> Iterator[tuple[int, dict[str, Any] | str]]:
    csv.field_size_limit(_LARGEST_CELL)
    reader = (
        csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if tabs
        else csv.reader(file, strict=True)
    )
    names: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield line, f"must be {'TSV' if tabs else 'CSV'}: {error}"
            continue
        if cells is None:
            return
        if not cells:
            continue
        if names is None:
            names = [name.strip() for name in cells]
            _check_header(names, columns)
        elif len(cells) != len(names):
            yield line, f"must have {len(names)} fields, got {len(cells)}"
        else:
            yield line, dict(zip(names, cells, strict=True))


def _check_header(names: list[str], columns: Columns) -> None:
    wanted = [columns.prompt, columns.response, *columns.attributes]
    for column in [*wanted, columns.ttl] if columns.ttl else wanted:
        if column not in names:
            has = ", ".join(names)[:200]
            raise TargetError(f"FILE: must have the column {column}, has {has}", USAGE)


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose attributes are only its own: a struct has those of all rows."""
    attributes = row.get("attributes")
    if not isinstance(attributes, dict):
        return row
    items = cast("dict[str, Any]", attributes).items()
    return {**row, "attributes": {name: value for name, value in items if value is not None}}


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        # It has no type information.
        parquet: Any = import_module("pyarrow.parquet")
        failures: Any = import_module("pyarrow").ArrowException
    except ImportError:
        message = 'needs the extra parquet; see "Install" in the README'
        raise TargetError(f"FILE: {message}", USAGE) from None
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_READ_TOGETHER):
                for row in batch.to_pylist(maps_as_pydicts="lossy"):
                    number += 1
                    yield number, _without_nulls(row)
    except failures as error:
        raise TargetError(f"FILE: must be Parquet ({type(error).__name__})", USAGE) from None
