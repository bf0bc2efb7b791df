"""What is in the write-ahead log of an SQLite file; see https://sqlite.org/fileformat2.html."""

from __future__ import annotations

import struct

__all__ = ["lost_changes"]

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = (0x377F0682, 0x377F0683)
_MASK = 0xFFFFFFFF


def lost_changes(log: bytes, readable: int) -> int:
    """Return how many changes are in a log after the frames that SQLite can read.

    Frames of an earlier use of the log do not count; their salts are others.

    Args:
        log: The content of the file.
        readable: The number of frames that SQLite can read.
    """
    if len(log) < _HEADER.size + _FRAME.size:
        return 0
    magic, _, page_bytes, _, *salts = _HEADER.unpack_from(log)[:6]
    if magic not in _MAGIC or not _is_sound(log, magic):
        # Nothing of it can be read. The size of a page is that of all files of this library.
        page_bytes = 4096
        salts = list(_FRAME.unpack_from(log, _HEADER.size)[2:4])
    step = _FRAME.size + page_bytes
    lost = 0
    for start in range(_HEADER.size + readable * step, len(log) - step + 1, step):
        _, pages_after_commit, *frame_salts = _FRAME.unpack_from(log, start)[:4]
        lost += bool(pages_after_commit) and frame_salts == salts
    return lost


def _is_sound(log: bytes, magic: int) -> bool:
    """Return whether the checksum of the header is right."""
    order = ">" if magic & 1 else "<"
    one = other = 0
    words = struct.unpack_from(f"{order}6I", log)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + other) & _MASK
        other = (other + second + one) & _MASK
    return (one, other) == _HEADER.unpack_from(log)[6:]
