"""How far an import has come, kept in a file so that it can go on after it was killed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langcache.cli.target import RowError

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION = 1
_MOST_ERRORS = 100


class ImportProgress:
    """The rows that are done: always the first ones of the file, so that the rest is known.

    Args:
        source: The file that is imported.
        what: What must be the same for the import to go on: the target and the columns.
        path: Where to keep it; by default in the user's folder for state.

    Attributes:
        rows: How many rows are done.
        stored: How many of them were stored.
        skipped: How many were not.
        errors: Those that were not, the first hundred.
    """

    def __init__(self, source: Path, what: Iterable[str], path: Path | None = None) -> None:
        self.rows: int = 0
        self.stored: int = 0
        self.skipped: int = 0
        self.errors: list[RowError] = []
        status = source.stat()
        self._identity = [str(source.resolve()), status.st_size, status.st_mtime_ns, *what]
        name = hashlib.sha256(json.dumps(self._identity[:1] + self._identity[3:]).encode())
        self._path = path or _folder() / f"import-{name.hexdigest()[:32]}.json"

    def load(self) -> bool:
        """Read what an earlier import of the same file to the same place has done, if there is one.

        Returns:
            Whether there is one. One of a file that has changed since does not count.
        """
        try:
            kept: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            if kept["version"] != _VERSION or kept["identity"] != self._identity:
                return False
            self.rows, self.stored, self.skipped = kept["rows"], kept["stored"], kept["skipped"]
            self.errors = [RowError(*error) for error in kept["errors"]]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def add(self, stored: int, errors: Iterable[RowError]) -> None:
        """Add rows that are done and keep the whole; a crash leaves the old or the new state."""
        for error in errors:
            self.skipped += 1
            self.rows += 1
            if len(self.errors) < _MOST_ERRORS:
                self.errors.append(error)
        self.stored += stored
        self.rows += stored
        kept = {
            "version": _VERSION,
            "identity": self._identity,
            "rows": self.rows,
            "stored": self.stored,
            "skipped": self.skipped,
            "errors": self.errors,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(self._path)

    def forget(self) -> None:
        """Remove the file: the import is complete."""
        self._path.unlink(missing_ok=True)


def _folder() -> Path:
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "langcache"
