"""The constants of an index for tests of few entries."""

import math

from langcache.engine.search.index_tuning import IndexTuning


def short_lists(*, least_rows=3, **changes):
    """Make short lists in chunks of three for more than so many rows; a search takes them all."""
    constants = {
        "least_rows": least_rows,
        "rows_per_list": 4,
        "rows_per_chunk": 3,
        "least_block_bytes": 0,
        "training_batch": 7,
        "chunks_at_once": 2,
        "lists": 1000,
        "build_batch": 5,
        "limit_share": math.inf,
        "rows_filtered": 0,
    }
    return IndexTuning(**(constants | changes))
