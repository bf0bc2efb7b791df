"""What has become of an index while somebody worked with it."""


class Watcher:
    """Collects what changes while somebody works without the lock.

    Attributes:
        changed: Rows that have been written, or moved within the lists.
        shrunk: Whether rows have been removed.
    """

    def __init__(self) -> None:
        self.changed: set[int] = set()
        self.shrunk = False
