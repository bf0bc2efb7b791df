"""The metrics of several worker processes: each writes its own to a file that the others read."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

_log = logging.getLogger("langcache_mockserver")

_SECONDS = 1.0


class WorkerFiles:
    """A folder with a file for each worker process.

    The files of processes that are gone stay, so that sums do not fall when one is replaced.

    Args:
        folder: The folder.
        process: A name that no other process on the folder has or had; by default a random one, as
            the number of a process that is gone may be used again.
    """

    def __init__(self, folder: str | os.PathLike[str], process: str = "") -> None:
        self._folder = Path(folder)
        self._own = self._folder / f"{process or uuid.uuid4().hex}.json"
        self._written = ""
        self._has_failed = False
        self._state: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def start(self, state: Callable[[], object]) -> None:
        """Write the state of this process every second, if it has changed, from now on.

        Args:
            state: Returns the state, which must be JSON.
        """
        self._state = state

        def run() -> None:
            never = threading.Event()
            while not never.wait(_SECONDS):
                self.publish()

        threading.Thread(target=run, name="langcache-metrics", daemon=True).start()

    def publish(self) -> None:
        """Write the state of this process now.

        Whoever has shown it calls this, so that no sum shown later, by whichever process, is less:
        not even if this process is killed.
        """
        try:
            with self._lock:
                if self._state is not None:
                    self.write(self._state())
        except OSError as error:
            if not self._has_failed:  # said once
                self._has_failed = True
                _log.warning("the metrics cannot be shared: %s", error.strerror)

    def write(self, state: object) -> None:
        """Write a state of this process; others see the old or the new one."""
        text = json.dumps(state)
        if text != self._written:
            new = self._own.with_suffix(".new")
            new.write_text(text, encoding="utf-8")
            new.replace(self._own)
            self._written = text

    def others(self) -> list[dict[str, Any]]:
        """Return the states of the other processes, at most a second old."""
        states: list[dict[str, Any]] = []
        for path in sorted(self._folder.glob("*.json")):
            if path != self._own:
                try:
                    states.append(json.loads(path.read_text(encoding="utf-8")))
                except (OSError, ValueError) as error:
                    _log.warning("the metrics of a worker cannot be read: %s", error)
        return states
