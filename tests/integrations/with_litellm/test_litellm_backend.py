"""The backend on its own: its arguments, its similarity scale, and the entries it stores."""

import asyncio
import json
from dataclasses import replace

import litellm
import numpy as np
import pytest

import langcache.integrations.litellm as integration
from langcache.engine import InMemoryStorage, SQLiteStorage
from langcache.engine.embedders import FunctionEmbedder
from langcache.integrations.litellm import LangCacheSemanticCache
from langcache.integrations.litellm._redis import RedisAddress

COSINES = {"same": 1.0, "near": 0.8, "far": 0.0, "opposite": -1.0}


def angle(texts):
    """Vectors with these cosines to "stored"."""
    cosines = np.array([COSINES.get(text, 1.0) for text in texts])
    return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)


ANGLES = FunctionEmbedder(angle, model_id="angles", dimensions=2)


def messages(text):
    return [{"role": "user", "content": text}]


@pytest.fixture(params=["sync", "async"])
def look_up(request):
    def look_up(cache, text, key="key"):
        metadata = {}
        arguments = {"messages": messages(text), "metadata": metadata}
        if request.param == "sync":
            found = cache.get_cache(key, **arguments)
        else:
            found = asyncio.run(cache.async_get_cache(key, **arguments))
        return found, metadata["semantic-similarity"]

    return look_up


@pytest.mark.parametrize(
    ("similarity", "distance"), [(0, 2), (0.25, 1.5), (0.5, 1), (0.75, 0.5), (0.9, 0.2), (1, 0)]
)
def test_a_similarity_stands_for_a_cosine_distance(similarity, distance):
    cache = LangCacheSemanticCache(similarity_threshold=similarity, embedding_model=ANGLES)
    assert cache.similarity_threshold == similarity
    assert cache.distance_threshold == pytest.approx(distance)


@pytest.mark.parametrize(
    ("threshold", "hits"),
    [
        (1.0, ["same"]),
        (0.901, ["same"]),
        (0.9, ["same", "near"]),
        (0.501, ["same", "near"]),
        (0.5, ["same", "near", "far"]),
        (1e-5, ["same", "near", "far"]),
        (0.0, ["same", "near", "far", "opposite"]),
    ],
)
def test_what_a_threshold_lets_through(look_up, threshold, hits):
    cache = LangCacheSemanticCache(
        similarity_threshold=threshold, embedding_model=ANGLES, verifier=None
    )
    cache.set_cache("key", {"response": "{}"}, messages=messages("stored"))
    found = [text for text in COSINES if look_up(cache, text)[0] is not None]
    assert found == hits


def test_the_similarity_told_is_one_half_of_one_plus_the_cosine(look_up):
    cache = LangCacheSemanticCache(similarity_threshold=0, embedding_model=ANGLES, verifier=None)
    cache.set_cache("key", {"response": "{}"}, messages=messages("stored"))
    for text, cosine in COSINES.items():
        assert look_up(cache, text)[1] == pytest.approx((1 + cosine) / 2, abs=1e-6)
    assert look_up(cache, "stored")[1] == 1.0
    assert look_up(cache, "same", key="another")[1] == 0.0


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_threshold_out_of_its_range_is_refused(threshold):
    with pytest.raises(ValueError, match=r"similarity_threshold: must be from 0 to 1, got "):
        LangCacheSemanticCache(similarity_threshold=threshold)


@pytest.mark.parametrize("threshold", [None, "0.9", True])
def test_a_threshold_that_is_no_number_is_refused(threshold):
    with pytest.raises(TypeError, match=r"similarity_threshold: must be a number, got "):
        LangCacheSemanticCache(similarity_threshold=threshold)


@pytest.mark.parametrize("storage", ["", "sqlite", "sqlite:", "rediss", "Memory", "x" * 9])
def test_an_unknown_storage_is_refused(storage):
    with pytest.raises(ValueError, match=r'storage: must be "memory", "sqlite:PATH"'):
        LangCacheSemanticCache(storage=storage)


@pytest.mark.parametrize(
    ("arguments", "environment", "url"),
    [
        ({"redis_url": "redis://db:1/2"}, {"REDIS_HOST": "other"}, "redis://db:1/2"),
        ({"host": "db"}, {}, "redis://db:6379"),
        ({"host": "db", "port": 7, "password": "p@:/"}, {}, "redis://:p%40%3A%2F@db:7"),
        ({"host": "::1", "port": "7"}, {}, "redis://[::1]:7"),
        ({"port": "7"}, {"REDIS_HOST": "db", "REDIS_URL": "redis://no"}, "redis://db:7"),
        ({"host": "db"}, {"REDIS_PORT": "8", "REDIS_PASSWORD": "pw"}, "redis://:pw@db:8"),
        ({}, {"REDIS_URL": "redis://db", "REDIS_HOST": "no"}, "redis://db"),
        ({}, {"REDIS_HOST": "db"}, "redis://db:6379"),
    ],
)
def test_a_redis_is_named_by_arguments_and_environment(arguments, environment, url, monkeypatch):
    for name in ("URL", "HOST", "PORT", "PASSWORD"):
        monkeypatch.delenv(f"REDIS_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    address = RedisAddress(**arguments)
    assert address.url() == url
    assert "p@:/" not in repr(address)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"storage": "redis"}, "host: is required"),
        ({"port": 7}, "host: is required"),
        ({"host": "db", "port": 0}, "port: must be from 1 to 65535"),
        ({"host": "db", "port": "x"}, "port: must be from 1 to 65535"),
        ({"host": "db", "redis_url": "redis://db"}, "redis_url: must not be given with host"),
        ({"host": "db", "storage": "memory"}, 'storage: must be "redis"'),
        ({"host": "db", "storage": InMemoryStorage()}, "storage: must be left out"),
    ],
)
def test_a_redis_that_is_not_well_named_is_refused(arguments, message, monkeypatch):
    for name in ("URL", "HOST", "PORT", "PASSWORD"):
        monkeypatch.delenv(f"REDIS_{name}", raising=False)
    with pytest.raises(ValueError, match=message):
        LangCacheSemanticCache(**arguments)


def test_a_storage_of_another_type_is_refused():
    with pytest.raises(TypeError, match=r"storage: must be a str, .*, got dict"):
        LangCacheSemanticCache(storage={})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"mode": "on"}, ValueError),
        ({"budget_seconds": 0}, ValueError),
        ({"budget_seconds": "1"}, TypeError),
        ({"max_question_length": -1}, ValueError),
        ({"single_flight_seconds": -1}, ValueError),
        ({"embedding_model": ""}, ValueError),
        ({"scope": "tenant"}, TypeError),
        ({"similarity_treshold": 0.9}, TypeError),
    ],
)
def test_enable_refuses_wrong_arguments(arguments, error, minilm):
    with pytest.raises(error, match=next(iter(arguments))):
        integration.enable(**{"embedding_model": minilm, **arguments})
    assert litellm.cache is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        object(),
        {"response": {1, 2}},
        {"timestamp": 1.0, "response": "not JSON"},
        {"timestamp": 1.0, "response": "[]"},
        {"timestamp": 1.0, "response": None},
        {"timestamp": 1.0},
    ],
    ids=range(7),
)
def test_a_value_that_is_not_json_is_not_stored(look_up, value):
    cache = LangCacheSemanticCache(embedding_model=ANGLES)
    cache.set_cache("key", value, messages=messages("stored"))
    assert look_up(cache, "stored") == (None, 0.0)
    assert cache.statistics.stores == 0


@pytest.mark.parametrize("text", ["", "{", "null", '{"timestamp": 1, "response": "{"}'])
def test_an_entry_that_is_damaged_is_a_miss(look_up, text):
    storage = InMemoryStorage()
    cache = LangCacheSemanticCache(storage=storage, embedding_model=ANGLES, index_name="index")
    cache.set_cache("key", {"response": "{}"}, messages=messages("stored"))
    (entry,) = storage.entries("index")
    storage.store(replace(entry, response=text))
    assert look_up(cache, "stored") == (None, 0.0)
    assert look_up(cache, "same") == (None, 0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"messages": []},
        {"messages": None},
        {"messages": "text"},
        {"messages": [1]},
        {"messages": [object()]},
        {"messages": [{"role": "user", "content": {1: 2}}]},
        {"file": b"sound"},
    ],
    ids=range(8),
)
def test_a_request_that_cannot_be_compared_is_a_miss(arguments):
    cache = LangCacheSemanticCache(similarity_threshold=0, embedding_model=ANGLES, verifier=None)
    cache.set_cache("key", {"response": "{}"}, **arguments)
    assert cache.get_cache("key", **arguments) is None
    assert asyncio.run(cache.async_get_cache("key", **arguments)) is None
    assert cache.statistics.stores == 0


def test_keys_separate_answers(look_up):
    cache = LangCacheSemanticCache(embedding_model=ANGLES)
    cache.set_cache("key", {"response": "{}"}, messages=messages("stored"))
    assert look_up(cache, "stored", key="another")[0] is None
    assert look_up(cache, "stored")[0] == {"response": "{}"}


def test_a_pipeline_stores_embeddings_under_keys_of_their_own():
    cache = LangCacheSemanticCache(embedding_model=ANGLES)
    keys = ["langcache-input:1", "langcache-input:2"]

    async def store_and_read():
        await cache.async_set_cache_pipeline([(key, {"embedding": [len(key)]}) for key in keys])
        # A key that does not identify the input may be shared by several inputs.
        await cache.async_set_cache_pipeline([("key", {"embedding": [0]})])
        return [await cache.async_get_cache(key, cache_key=key) for key in [*keys, "key"]]

    assert asyncio.run(store_and_read()) == [{"embedding": [17]}, {"embedding": [17]}, None]


def test_answers_in_a_file_are_there_after_a_restart(tmp_path):
    path = tmp_path / "cache.db"
    for answer in ("first", "second"):
        cache = LangCacheSemanticCache(
            storage=f"sqlite:{path}", embedding_model=ANGLES, verifier=None
        )
        found = cache.get_cache("key", messages=messages("same"))
        cache.set_cache("key", {"response": answer}, messages=messages("stored"))
        asyncio.run(cache.disconnect())
    assert found == {"response": "first"}


def test_disconnect_leaves_a_storage_open_that_it_did_not_open(tmp_path):
    storage = SQLiteStorage(tmp_path / "cache.db")
    cache = LangCacheSemanticCache(storage=storage, embedding_model=ANGLES)
    asyncio.run(cache.disconnect())
    assert storage.namespace_size("any") == 0
    storage.close()


def test_ping_says_whether_the_storage_answers(tmp_path):
    storage = SQLiteStorage(tmp_path / "cache.db")
    cache = LangCacheSemanticCache(storage=storage, embedding_model=ANGLES)
    assert asyncio.run(cache.ping())
    assert asyncio.run(cache.test_connection())["status"] == "success"

    class Down(InMemoryStorage):
        def namespace_size(self, namespace):
            raise ConnectionError

    down = LangCacheSemanticCache(storage=Down(), embedding_model=ANGLES)
    assert not asyncio.run(down.ping())
    assert asyncio.run(down.test_connection())["status"] == "failed"
    storage.close()


def test_any_model_of_litellms_can_embed(model):
    cache = integration.enable(embedding_model="own/embedder", budget_seconds=5.0)
    for answer in ("first", "second"):
        response = litellm.completion(
            model="gpt-4o", messages=messages("Hello"), mock_response=answer
        )
    assert response.choices[0].message.content == "first"
    other = litellm.completion(model="gpt-4o", messages=messages("Hullo"), mock_response="third")
    assert other.choices[0].message.content == "first"  # its vector is the same
    assert cache.statistics.semantic_hits == 1


def test_behind_a_cache_of_litellms_own_the_messages_still_count(minilm):
    backend = LangCacheSemanticCache(embedding_model=minilm, budget_seconds=5.0)
    litellm.cache = litellm.Cache()
    litellm.cache.cache = backend
    litellm.cache.get_cache_key = lambda **_: "one key"

    def ask(turns, answer):
        response = litellm.completion(model="gpt-4o", messages=turns, mock_response=answer)
        return response.choices[0].message.content

    question = messages("How do I reset my password?")
    ask(question, "first")
    assert ask(messages("How can I reset my password?"), "second") == "first"
    assert ask([{"role": "system", "content": "Be rude."}, *question], "third") == "third"


def test_nothing_shows_a_prompt_or_an_answer(caplog):
    storage = InMemoryStorage()
    cache = LangCacheSemanticCache(storage=storage, embedding_model=ANGLES)
    cache.set_cache("key", json.loads('{"response": "secret answer"}'), messages=messages("stored"))
    (entry,) = storage.entries("litellm_semantic_cache_index")
    assert "secret" not in repr(cache) + repr(cache.statistics) + repr(entry) + caplog.text


def chat(finish_reason):
    choice = {"finish_reason": finish_reason, "message": {"role": "assistant", "content": "He"}}
    return {"timestamp": 1.0, "response": json.dumps({"choices": [choice]})}


@pytest.mark.parametrize(
    ("finish_reason", "settings", "is_stored"),
    [
        ("stop", {}, True),
        ("length", {}, False),
        ("length", {"store_truncated": True}, True),
        ("content_filter", {}, False),
        ("content_filter", {"store_truncated": True}, False),
    ],
)
def test_a_response_that_was_cut_off_is_not_stored(look_up, finish_reason, settings, is_stored):
    cache = integration.LangCacheSemanticCache(budget_seconds=5.0, **settings)
    cache.set_cache("key", chat(finish_reason), messages=messages("asked"))
    assert (look_up(cache, "asked")[0] is not None) == is_stored


def test_a_refusal_is_not_stored(look_up):
    cache = integration.LangCacheSemanticCache(budget_seconds=5.0)
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    choices = [{"finish_reason": "stop", "message": message}]
    value = {"timestamp": 1.0, "response": json.dumps({"choices": choices})}
    cache.set_cache("key", value, messages=messages("asked"))
    assert look_up(cache, "asked")[0] is None


def test_a_full_cache_forgets_what_was_not_used_for_the_longest_time(look_up):
    cache = LangCacheSemanticCache(embedding_model=ANGLES, verifier=None, max_entries=2)
    for key in ("old", "older"):
        cache.set_cache(key, "answer", messages=messages("stored"))
    assert look_up(cache, "stored", "old")[0] == "answer"
    cache.set_cache("new", "answer", messages=messages("stored"))
    assert [look_up(cache, "stored", key)[0] for key in ("old", "older")] == ["answer", None]


def test_limits_are_for_storages_in_this_process():
    for storage in ("redis", "redis://localhost", InMemoryStorage()):
        with pytest.raises(ValueError, match="max_entries, max_bytes: must not be given with"):
            LangCacheSemanticCache(embedding_model=ANGLES, storage=storage, max_entries=2)


def test_an_update_keeps_the_limits_of_the_storage():
    integration.enable(embedding_model=ANGLES, max_entries=2)
    assert integration.update(similarity_threshold=0.9).parts["storage"].usage.max_entries == 2
