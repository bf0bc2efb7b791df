"""Disk space that is kept beside an SQLite file, so that entries can be deleted on a full disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DiskReserve"]

_MARK = b"Space that langcache gives back when the disk is full.\n"
_STEP = 1 << 16
_MOST = 1 << 22
_BLOCK = bytes(1 << 16)


class DiskReserve:
    """A file that takes up space until it is needed.

    A change is first written to the write-ahead log. From there it gets into the SQLite file later,
    which may have to grow for it. On a full disk it cannot, and neither can the log: nothing could
    be deleted any more. The space of this file is enough for either.

    Args:
        path: The file.

    Raises:
        ValueError: There is a file that was not made here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        try:
            with path.open("rb") as file:
                start = file.read(len(_MARK))
        except FileNotFoundError:
            return
        except OSError as error:
            raise ValueError(str(error)) from error
        if not _MARK.startswith(start):
            raise ValueError("it belongs to another program")

    def ensure(self, needed: int) -> bool:
        """Take up so many bytes, and return whether that was possible."""
        if needed <= self._size:
            return True
        size = -(-(needed + needed // 4) // _STEP) * _STEP
        try:
            with self._path.open("r+b" if self._size else "wb") as file:
                if not self._size:
                    file.write(_MARK)
                    file.flush()
                _allocate(file.fileno(), max(self._size, len(_MARK)), size)
        except OSError:
            if not self._size:
                self.release()
            return False
        self._size = size
        return True

    def trim(self) -> None:
        """Give the space back if it is much."""
        if self._size > _MOST:
            self.release()

    def release(self) -> None:
        """Give the space back."""
        self._size = 0
        self._path.unlink(missing_ok=True)


def _allocate(file: int, start: int, end: int) -> None:
    """Make a file take up the space up to an end, not only say that it does."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, start, end - start)
        return
    os.lseek(file, start, os.SEEK_SET)
    while start < end:
        start += os.write(file, _BLOCK[: end - start])
