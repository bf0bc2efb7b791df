"""The ids of stored answers stay the same: another release finds what is stored."""

import json

import litellm
import pytest

import langcache.integrations.litellm as integration
from langcache.engine import InMemoryStorage

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why are 12 eggs a dozen?"},
]


@pytest.mark.parametrize(
    ("arguments", "id", "scope"),
    [
        (
            {"messages": TURNS, "temperature": 0.5, "model": "small"},
            "347142eb76434258cd64468238380495",
            "1dbfbb9f82d4b3b9ef29d0c26a6727c3",
        ),
        (
            {"messages": TURNS[:1], "model": "small", "cache": {"namespace": "n"}},
            "d8af99f282b92d78d3325dfd038d6ea4",
            "",
        ),
        (
            {"prompt": "Why?", "model": "small", "metadata": {"user_api_key": "k"}},
            "50374820832a2e8464dd5b419dd01af1",
            "049eacf0ad8055d2b1a263cc3c84cf1e",
        ),
    ],
)
def test_the_id_and_the_scope_of_an_answer(minilm, arguments, id, scope):
    storage = InMemoryStorage()
    backend = integration.enable(
        storage=storage, embedding_model=minilm, verifier=None, budget_seconds=30
    )
    key = litellm.cache.get_cache_key(**arguments)
    response = {"timestamp": 1.0, "response": json.dumps({"id": "1"})}
    backend.set_cache(key, response, **arguments)
    [entry] = storage.entries("litellm_semantic_cache_index")
    assert (entry.id, entry.context_hash) == (id, scope)
