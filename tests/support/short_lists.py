"""Inverted files for tests of few entries."""

import math

from langcache.engine import index, inverted_file
from langcache.engine.storage import memory


def shorten_lists(patch, *, least_rows=3):
    """Make short lists in chunks of three for more than so many rows; a search takes them all."""
    patch.setattr(inverted_file, "LEAST_ROWS", least_rows)
    patch.setattr(inverted_file, "_ROWS_PER_LIST", 4)
    patch.setattr(inverted_file, "_ROWS_PER_CHUNK", 3)
    patch.setattr(inverted_file, "_LEAST_BLOCK_BYTES", 0)
    patch.setattr(inverted_file, "_TRAINING_BATCH", 7)
    patch.setattr(inverted_file, "_SCAN_BATCH", 2)
    patch.setattr(inverted_file, "_LISTS", 1000)
    patch.setattr(index, "_BUILD_BATCH", 5)
    patch.setattr(index, "_LARGEST_LIMIT_SHARE", math.inf)
    patch.setattr(memory, "_ROWS_FILTERED_DURING_PROBE", 0)
