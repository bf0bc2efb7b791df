"""Forked processes, and threads that keep something busy meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager

import pytest

SECONDS = 10
"""How long a child may take."""

forks = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
"""The marks of tests that fork."""


def succeeds_in_child(work):
    """Return whether a function returns in a forked process, and in time."""
    child = os.fork()
    if not child:
        signal.alarm(SECONDS)  # kills the child
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


@contextmanager
def busy(work):
    """Let two threads do some work over and over again."""
    done = threading.Event()

    def run():
        while not done.is_set():
            work()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
