"""Entries for the tests of storage backends."""

import numpy as np

from langcache.engine.storage import CacheEntry

EAST = np.array([1, 0, 0], np.float32)
NORTH = np.array([0, 1, 0], np.float32)
SCOPE = ("ns", "model", "")


def unit(array):
    """Return vectors of length 1 in the directions of some."""
    array = np.asarray(array, np.float32)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def random_vectors(count, dimensions, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


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
    return CacheEntry(id=str(id), embedding=embedding, **(fields | changes))
