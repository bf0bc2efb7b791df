"""Files of labelled prompts or lookups: CSV, TSV or JSON lines, with gzip or without."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from langcache._json_lines import BAD_BYTES, json_rows
from langcache.engine._checks import checked_text, kind
from langcache.engine.tuning.lookups import RecordedLookup, parsed_label, shortened

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TextIO

__all__ = ["BadRow", "CacheRow", "LabelledFile", "LabelledPair", "read_labelled"]

Content = Literal["pairs", "cache", "lookups"]

_BAD_ROWS_KEPT = 100

_CONTENTS = ("pairs", "cache", "lookups")
# Names of the two prompts and of the label, the first of each being our own.
_FIRST = ("prompt1", "text1", "question1", "prompt")
_SECOND = ("prompt2", "text2", "question2", "cached_prompt", "candidate")
_SAME = ("same", "label", "is_duplicate")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out.

    Attributes:
        line: The line of the file where the row ends, from 1.
        problem: Which field is wrong, and how.
    """

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two prompts, and whether one answer serves both.

    Attributes:
        prompt: The prompt that is looked up.
        cached_prompt: The prompt that is cached.
        same: Whether the cached answer is right for `prompt`.
        kind: What sort of pair it is, for the table by kind.
        scope: What it belongs to; see `RecordedLookup`.
    """

    prompt: str = field(repr=False)
    cached_prompt: str = field(repr=False)
    same: bool
    kind: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class CacheRow:
    """A prompt to put into a cache, or to look up there.

    Attributes:
        kind: "cache" for a prompt that is cached. Every other one is looked up: "paraphrase" has
            a right answer in the cache, others ("hard-negative", "unrelated") have none.
        group: Which prompts share an answer; "" for none.
        text: The prompt.
    """

    kind: str
    group: str
    text: str = field(repr=False)


@dataclass(slots=True)
class LabelledFile:
    """What a file holds; one of the three lists is filled.

    Attributes:
        content: Which one.
        pairs: Labelled pairs of prompts.
        rows: The prompts of a cache and of lookups in it.
        lookups: Recorded lookups.
        bad_rows: The first 100 rows that were left out.
        bad_row_count: How many were left out in all.
    """

    content: Content
    pairs: list[LabelledPair] = field(default_factory=list["LabelledPair"])
    rows: list[CacheRow] = field(default_factory=list["CacheRow"])
    lookups: list[RecordedLookup] = field(default_factory=list["RecordedLookup"])
    bad_rows: list[BadRow] = field(default_factory=list["BadRow"])
    bad_row_count: int = 0

    def __len__(self) -> int:
        return len(self.pairs) + len(self.rows) + len(self.lookups)


def read_labelled(
    path: str | os.PathLike[str], content: Content | Literal["auto"] = "auto"
) -> LabelledFile:
    """Read a file of labelled pairs, of a cache with lookups, or of recorded lookups.

    The name says how the file is written: `.csv`, `.tsv` (fields are separated by tabs and never
    quoted), `.jsonl` or `.ndjson`, each also with `.gz` after it; the text is UTF-8. The names of
    the columns, or of the first JSON object's members, say what is in it:

    - pairs: `prompt1`, `prompt2`, `same` (1 or 0), and perhaps `kind` and `scope`. A CSV or TSV
      file of three columns may lack the header. `text1`, `text2`, `label` and a few more names are
      understood too. In JSON, a `prompt` may instead come with a list `same` of prompts that one
      answer serves as well, and a list `different` of prompts, or of objects with `text` and
      `kind`, that it does not serve.
    - cache: `kind`, `group`, `text`; see `CacheRow`.
    - lookups: `similarity`, and the other attributes of `RecordedLookup`.

    A row that is not understood is reported in the result and left out.

    Args:
        path: The file.
        content: What the file holds; "auto" tells it by the names.

    Raises:
        OSError: The file cannot be read.
        EOFError: The compressed file ends too early.
        ValueError: The name or the columns are not among those above.
    """
    path = Path(path)
    if content not in ("auto", *_CONTENTS):
        raise ValueError(
            f'content: must be "auto", "pairs", "cache" or "lookups", got {shortened(content)}'
        )
    name = path.name.lower().removesuffix(".gz")
    suffix = name[name.rfind(".") :]
    if suffix not in (".csv", ".tsv", ".jsonl", ".ndjson"):
        raise ValueError(f"file: must end in .csv, .tsv, .jsonl or .ndjson, got {path.name!r}")
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with cast(
        "TextIO",
        opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=""),
    ) as file:
        if suffix in (".csv", ".tsv"):
            return _collected(_table_rows(file, tabs=suffix == ".tsv"), content)
        return _collected(json_rows(file), content)


def _collected(
    rows: Iterator[tuple[int, dict[str, Any] | str]], content: Content | Literal["auto"]
) -> LabelledFile:
    """Gather rows; a str in the place of a row is what is wrong with it."""
    result = LabelledFile("pairs" if content == "auto" else content)
    known = content != "auto"
    for line, row in rows:
        if isinstance(row, str):
            problem = row
        elif known:
            problem = _problem(result, row)
        elif (found := _content_of(row)) is None:
            problem = _wrong_columns(row)
        else:
            result.content, known = found, True
            problem = _problem(result, row)
        if problem is not None:
            _leave_out(result, BadRow(line, problem))
            if not known and result.bad_row_count >= _BAD_ROWS_KEPT:
                break
    if not len(result):
        first = "it is empty"
        if result.bad_rows:
            first = f"line {result.bad_rows[0].line}: {result.bad_rows[0].problem}"
        raise ValueError(f"file: has no usable row ({first})")
    return result


def _problem(result: LabelledFile, row: Mapping[str, Any]) -> str | None:
    """Add a row, or return what is wrong with it."""
    try:
        if result.content == "pairs":
            result.pairs.extend(_pairs(row))
        elif result.content == "cache":
            result.rows.append(_cache_row(row))
        else:
            result.lookups.append(RecordedLookup.from_row(row))
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def _leave_out(result: LabelledFile, row: BadRow) -> None:
    result.bad_row_count += 1
    if len(result.bad_rows) < _BAD_ROWS_KEPT:
        result.bad_rows.append(row)


def _content_of(row: Mapping[str, Any]) -> Content | None:
    if "similarity" in row:
        return "lookups"
    if "group" in row and "text" in row:
        return "cache"
    if _name(row, _FIRST) and _name(row, _SAME):
        return "pairs"
    return None


def _wrong_columns(names: Iterable[str]) -> str:
    return (
        "columns: must be prompt1, prompt2, same; or kind, group, text; or similarity and label; "
        f"got {shortened(', '.join(names))}"
    )


def _name(row: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((name for name in names if name in row), None)


def _pairs(row: Mapping[str, Any]) -> list[LabelledPair]:
    first, second, same = _name(row, _FIRST), _name(row, _SECOND), _name(row, _SAME)
    if first is None:
        raise ValueError("prompt1: is required")
    if same is None:
        raise ValueError("same: is required")
    scope = checked_text("scope", row.get("scope", ""))
    if isinstance(row[same], list):
        return _group(row, _prompt(first, row[first]), scope)
    if second is None:
        raise ValueError("prompt2: is required")
    return [
        LabelledPair(
            prompt=_prompt(first, row[first]),
            cached_prompt=_prompt(second, row[second]),
            same=parsed_label(same, row[same]) == "right",
            kind=checked_text("kind", row.get("kind", "")),
            scope=scope,
        )
    ]


def _group(row: Mapping[str, Any], prompt: str, scope: str) -> list[LabelledPair]:
    pairs = [
        LabelledPair(prompt, _prompt("same", text), same=True, kind="same", scope=scope)
        for text in row["same"]
    ]
    different = row.get("different", [])
    if not isinstance(different, list):
        raise TypeError(f"different: must be a list, got {kind(different)}")
    for each in cast("list[Any]", different):
        near = cast("dict[str, Any]", each) if isinstance(each, dict) else {"text": each}
        pairs.append(
            LabelledPair(
                prompt,
                _prompt("different", near.get("text")),
                same=False,
                kind=checked_text("different.kind", near.get("kind", "different")),
                scope=scope,
            )
        )
    return pairs


def _cache_row(row: Mapping[str, Any]) -> CacheRow:
    for name in ("kind", "text"):
        if not row.get(name):
            raise ValueError(f"{name}: is required")
    group = row.get("group")
    result = CacheRow(
        kind=checked_text("kind", row["kind"]),
        group=checked_text("group", "" if group is None else group),
        text=_prompt("text", row["text"]),
    )
    if not result.group and result.kind in ("cache", "paraphrase"):
        raise ValueError(f"group: is required where kind is {result.kind}")
    return result


def _prompt(name: str, value: object) -> str:
    text = checked_text(name, value)
    if not text.strip():
        raise ValueError(f"{name}: must not be empty")
    return text


def _table_rows(file: Iterable[str], *, tabs: bool) -> Iterator[tuple[int, dict[str, Any] | str]]:
    rows = _cells(file, tabs=tabs)
    names: list[str] | None = None
    for line, cells in rows:
        if isinstance(cells, str):
            yield line, cells
            continue
        if names is None:
            names, is_header = _header(cells)
            if is_header:
                continue
        if len(cells) != len(names):
            yield line, f"must have {len(names)} fields, got {len(cells)}"
        else:
            yield line, dict(zip(names, cells, strict=True))


def _header(cells: list[str]) -> tuple[list[str], bool]:
    """Return the columns' names, and whether the first row holds them."""
    names = [cell.strip().lower() for cell in cells]
    known = {*_FIRST, *_SECOND, *_SAME, "similarity", "text"}
    if len(set(names)) == len(names) and not known.isdisjoint(names):
        return names, True
    if len(names) >= 3 and names[2] in _SAME:
        return ["prompt1", "prompt2", "same", *names[3:]], True
    if len(names) == 3:
        return ["prompt1", "prompt2", "same"], False
    raise ValueError(_wrong_columns(cells))


def _cells(file: Iterable[str], *, tabs: bool) -> Iterator[tuple[int, list[str] | str]]:
    reader = (
        csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if tabs
        else csv.reader(file, strict=True)
    )
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield reader.line_num, f"must be {'TSV' if tabs else 'CSV'}: {error}"
            continue
        if cells is None:
            return
        if BAD_BYTES.search("".join(chain(cells))):
            yield reader.line_num, "must be UTF-8"
        elif cells:
            yield reader.line_num, cells
