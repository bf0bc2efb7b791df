"""What is returned of the entries that the query engine has found."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_entries import EAST, SCOPE, make_entry

from langcache.engine.storage.base import least_cosine
from langcache.engine.storage.entry import Scope
from langcache.engine.storage.redis._candidates import Candidates
from langcache.engine.storage.redis._codec import fields_of

NOW = 1000.0
LEAST = least_cosine(0.7)

documents = st.lists(
    st.fixed_dictionaries(
        {
            # The first two are equal for a search.
            "cosine": st.sampled_from([1.0, 1.0 - 1e-6, 0.8, 0.5, 0.2]),
            "updated_at": st.floats(0.0, NOW),
            "expires_at": st.sampled_from([None, NOW + 1, NOW]),
            "attributes": st.sampled_from([{}, {}, {"other": "x"}]),
            "damaged": st.sampled_from(["", "", "v3", "times", "sum", "prompt", "key", "gone"]),
        }
    ),
    max_size=12,
    unique_by=lambda each: each["updated_at"],
)


def document(number, cosine, damaged, **changes):
    vector = np.array([cosine, math.sqrt(1.0 - cosine**2), 0.0], np.float32)
    entry = make_entry(number, vector, **changes)
    fields = {name: value for name, value in fields_of(entry).items() if name != damaged.encode()}
    key = b"other:1" if damaged == "key" else b"prefix:%d" % number
    return key, {} if damaged == "gone" else fields


@settings(deadline=None)
@given(found=documents, limit=st.integers(1, 5))
def test_the_best_are_found_whatever_is_damaged_or_has_expired(found, limit):
    candidates = Candidates(
        [document(number, **each) for number, each in enumerate(found)],
        *(b"prefix:", Scope(*SCOPE), EAST, NOW),
    )
    best = candidates.best(limit, LEAST, lambda entry: not entry.attributes)
    good = [
        (number, each)
        for number, each in enumerate(found)
        if not each["damaged"]
        and not each["attributes"]
        and each["expires_at"] != NOW
        and each["cosine"] >= LEAST
    ]
    good.sort(key=lambda one: (round(one[1]["cosine"], 3), one[1]["updated_at"]), reverse=True)
    assert [entry.id for entry, _ in best] == [str(number) for number, _ in good[:limit]]
    for entry, cosine in best:
        assert abs(cosine - found[int(entry.id)]["cosine"]) < 1e-5
