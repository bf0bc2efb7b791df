"""What goes wrong in a storage backend through no fault of its caller's arguments."""

__all__ = ["StorageError", "StorageFullError"]


class StorageError(Exception):
    """A storage cannot keep or return entries: refused, out of reach, in use or closed.

    The message is one line that says which storage, what is wrong, and what was not done. It holds
    no text of an entry, and no password.
    """


class StorageFullError(StorageError):
    """A storage has no room for what was to be stored."""
