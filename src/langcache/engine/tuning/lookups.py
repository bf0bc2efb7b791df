"""Recorded lookups, their labels, and the JSONL file that keeps them."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from langcache.engine._checks import kind as kind_of
from langcache.engine._locks import fork_safe_lock
from langcache.engine.shadow import ShadowLookup

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Label", "LookupLog", "RecordedLookup"]

Label = Literal["right", "wrong"]

# What a cell of a file may say instead of "right" or "wrong".
_LABELS: dict[str, Label] = {
    "right": "right", "1": "right", "true": "right", "yes": "right", "same": "right",
    "wrong": "wrong", "0": "wrong", "false": "wrong", "no": "wrong", "different": "wrong",
}  # fmt: skip
_TEXTS = ("scope", "kind", "reason")
_OPTIONAL_TEXTS = ("prompt", "cached_prompt", "cached_response", "response")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class RecordedLookup:
    """One lookup: what the cache found nearest, and whether that answer would have been right.

    The texts are there when somebody asked for them to be recorded, as in a shadow run. They are
    not part of the repr.

    Attributes:
        similarity: The similarity of the candidate, (1 + cosine) / 2, in [0, 1].
        label: Whether the candidate's response is a right answer to the prompt; None when nobody
            has said so yet.
        accepted: Whether the verifier let the candidate pass; True without a verifier.
        scope: What the lookup belongs to, a tenant or a cache, say: scopes get a threshold each.
        kind: What sort of lookup it is, for the table by kind: "negation" or "paraphrase", say.
        probability: The verifier's probability that one answer serves both prompts, in [0, 1];
            None when there is none.
        reason: Why the verifier decided so.
        answerable: Whether the cache held any right answer; None means the same as `label`.
        prompt: The prompt that was looked up.
        cached_prompt: The cached prompt that was found.
        cached_response: The response that the cache served, or would have served.
        response: The real response, from a shadow run.
        recorded_at: When it was recorded, in seconds since the epoch.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: A number is out of its range, or the label is an unknown one.
    """

    similarity: float
    label: Label | None = None
    accepted: bool = True
    scope: str = ""
    kind: str = ""
    probability: float | None = None
    reason: str = ""
    answerable: bool | None = None
    prompt: str | None = field(default=None, repr=False)
    cached_prompt: str | None = field(default=None, repr=False)
    cached_response: str | None = field(default=None, repr=False)
    response: str | None = field(default=None, repr=False)
    recorded_at: float | None = None

    def __post_init__(self) -> None:
        _check_fraction("similarity", self.similarity)
        if self.probability is not None:
            _check_fraction("probability", self.probability)
        if self.recorded_at is not None:
            _check_number("recorded_at", self.recorded_at)
        if self.label not in (None, "right", "wrong"):
            raise ValueError(
                f'label: must be "right", "wrong" or None, got {shortened(self.label)}'
            )
        for name in ("accepted", "answerable"):
            value = getattr(self, name)
            if not isinstance(value, bool) and (value is not None or name == "accepted"):
                raise TypeError(f"{name}: must be a bool, got {kind_of(value)}")
        for name in (*_TEXTS, *_OPTIONAL_TEXTS):
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name in _TEXTS):
                raise TypeError(f"{name}: must be a str, got {kind_of(value)}")

    @property
    def has_answer(self) -> bool:
        """Whether the cache is known to have held a right answer."""
        return self.label == "right" if self.answerable is None else self.answerable

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the lookup that a JSON object or a row of a CSV file describes.

        Names that are not known are ignored, so that a file may hold more. Empty cells count as
        absent. A label may be "right" or "wrong", and also 1 or 0, true or false, yes or no.

        Raises:
            TypeError: A value has the wrong type.
            ValueError: A value is out of range, or there is no similarity.
        """
        values = {
            name: row[name]
            for name in cls.__dataclass_fields__
            if name in row and row[name] is not None and row[name] != ""
        }
        if "similarity" not in values:
            raise ValueError("similarity: is required")
        for name in ("similarity", "probability", "recorded_at"):
            if isinstance(values.get(name), str):
                values[name] = _number(name, values[name])
        if "label" in values:
            values["label"] = parsed_label("label", values["label"])
        for name in ("accepted", "answerable"):
            if name in values and not isinstance(values[name], bool):
                values[name] = parsed_label(name, values[name]) == "right"
        return cls(**values)

    @classmethod
    def from_shadow(cls, lookup: ShadowLookup, *, scope: str = "", kind: str = "") -> Self:
        """Return what a cache in shadow mode passed to its `on_shadow`, without a label."""
        return cls(
            similarity=min(1.0, max(0.0, float(lookup.similarity))),
            accepted=lookup.verdict.accepted,
            scope=scope,
            kind=kind,
            probability=lookup.verdict.probability,
            reason=lookup.verdict.reason,
            prompt=lookup.prompt,
            cached_prompt=lookup.cached_prompt,
            cached_response=lookup.cached_response,
            response=lookup.response,
            recorded_at=lookup.recorded_at,
        )

    def to_row(self) -> dict[str, Any]:
        """Return the JSON object that `from_row` reads; absent values are left out.

        A label that is missing stays there as null, for whoever labels the file.
        """
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: value
            for name, value in row.items()
            if name == "label" or (value is not None and value != "")
        }


class LookupLog:
    """Appends lookups to a JSONL file, for labelling; stops when the file is full.

    The file holds whatever texts the lookups hold. It is made readable by its owner only. Each
    line is written at once and whole. A log may be used from several threads; two logs should not
    write the same file.

    Args:
        path: The file; it is made when it is not there, and appended to when it is.
        max_bytes: How large the file may grow, 1 or more.

    Attributes:
        dropped: How many lookups were not written because the file was full or closed.

    Raises:
        OSError: The file cannot be opened.
        ValueError: `max_bytes` is below 1.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int = 64 * 2**20) -> None:
        if isinstance(cast("object", max_bytes), bool) or not isinstance(
            cast("object", max_bytes), int
        ):
            raise TypeError(f"max_bytes: must be an int, got {kind_of(max_bytes)}")
        if max_bytes < 1:
            raise ValueError(f"max_bytes: must be at least 1, got {max_bytes}")
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._lock = fork_safe_lock()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(self._path, flags, 0o600), "r+b", buffering=0)
        self._size = self._file.seek(0, os.SEEK_END)
        self.dropped: int = 0
        if self._size and not self._ends_with_a_newline():
            # A process that was killed while writing leaves a part of a line.
            self._size += self._file.write(b"\n")

    def write(self, lookup: RecordedLookup | ShadowLookup) -> None:
        """Append a lookup as one line, or drop it when the file is full or closed.

        It may be the `on_shadow` of a `SemanticCache`.

        Raises:
            OSError: The line cannot be written.
        """
        if isinstance(lookup, ShadowLookup):
            lookup = RecordedLookup.from_shadow(lookup)
        line = json.dumps(lookup.to_row(), separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            if self._file.closed or self._size + len(line) > self._max_bytes:
                self.dropped += 1
            else:
                self._size += len(line)
                self._file.write(line)

    def close(self) -> None:
        """Close the file. What is written afterwards is dropped."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LookupLog({str(self._path)!r}, max_bytes={self._max_bytes})"

    def _ends_with_a_newline(self) -> bool:
        self._file.seek(-1, os.SEEK_END)
        return self._file.read(1) == b"\n"


def parsed_label(name: str, value: object) -> Label:
    """Return the label that a cell says.

    Raises:
        ValueError: It says none.
    """
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return "right" if value else "wrong"
    label = _LABELS.get(value.strip().lower()) if isinstance(value, str) else None
    if label is None:
        raise ValueError(f"{name}: must be 1 or 0 (right or wrong), got {shortened(value)}")
    return label


def shortened(value: object) -> str:
    """Return the repr of a value from a file, cut to a few characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _check_fraction(name: str, value: object) -> None:
    if not 0 <= _check_number(name, value) <= 1:
        raise ValueError(f"{name}: must be in [0, 1], got {value}")


def _check_number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name}: must be a number, got {kind_of(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: must be finite, got {value}")
    return value


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name}: must be a number, got {shortened(text)}") from None
