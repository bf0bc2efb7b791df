"""The Lua scripts: every change is one of them, so that others see all of it or nothing.

They are the files of the folder `lua`, joined in order. Those of the storage get the keys of one
namespace as KEYS[1] to KEYS[4], and as ARGV[1] the prefix of its entries' keys, which are in the
same slot of a cluster. A script looks at a bounded number of members; its caller calls again if
there are more.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import NamedTuple

__all__ = [
    "AMEND",
    "BYTES",
    "CHANGES",
    "DELETE",
    "DELETE_MATCHING",
    "LIST",
    "MODELS",
    "OUTLINE",
    "READ",
    "REPLACE_RECORD",
    "SIZE",
    "STORE",
    "Script",
    "script",
]


class Script(NamedTuple):
    """A script.

    Attributes:
        text: The script.
        sha1: Its SHA-1, by which Redis knows it once it has run it.
    """

    text: bytes
    sha1: bytes


def script(*names: str) -> Script:
    """Return the script that some files of the folder `lua` make up."""
    folder = resources.files("langcache.engine.storage.redis") / "lua"
    text = b"".join((folder / f"{name}.lua").read_bytes() for name in names)
    return Script(text, hashlib.sha1(text).hexdigest().encode())  # noqa: S324 - as Redis does


AMEND = script("common", "amend")
STORE = script("common", "store")
DELETE = script("common", "delete")
DELETE_MATCHING = script("common", "delete_matching")
LIST = script("common", "list")
CHANGES = script("common", "changes")
READ = script("common", "read_members", "read")
REPLACE_RECORD = script("replace_record")
OUTLINE = script("common", "read_members", "outline")
SIZE = script("common", "size")
BYTES = script("common", "bytes")
MODELS = script("common", "models")
