"""Entries for the tests of storage backends."""

import numpy as np

from langcache.engine.storage import CacheEntry

EAST = np.array([1, 0, 0], np.float32)
NORTH = np.array([0, 1, 0], np.float32)
SCOPE = ("ns", "model", "")


def make_entry(id="1", embedding=EAST, **changes):
    """Return an entry of the scope, whose texts follow from its id."""
    fields = {
        "prompt": f"prompt {id}",
        "response": f"response {id}",
        "namespace": "ns",
        "embedding_model_id": "model",
        "created_at": 900.0,
        "updated_at": 900.0,
    }
    return CacheEntry(id=id, embedding=embedding, **(fields | changes))
