"""How many examples the slowest property tests try."""

import os


def examples(number: int) -> int:
    """The number, or more of them where a test run may take its time, as in `.ci/all`."""
    return number * int(os.environ.get("LANGCACHE_MORE_EXAMPLES", "1"))
