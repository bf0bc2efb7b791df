"""SemanticCache through its public methods, sync and async, on several storage backends."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import json
import sys
import threading
import zlib

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from langcache.engine import (
    EmbeddingsCache,
    InMemoryStorage,
    MiniLMEmbedder,
    Num,
    SemanticCache,
    SQLiteStorage,
    StorageBackend,
    Tag,
    Text,
)
from langcache.engine.storage import SearchResult
from langcache.engine.storage.base import check_embedding, check_entry

FIELDS = [
    {"name": "user", "type": "tag"},
    {"name": "age", "type": "numeric"},
    {"name": "topic", "type": "text"},
]
PROMPT = "What is the capital of France?"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class WordEmbedder:
    """The mean of a random vector for each word, so that prompts with common words are similar."""

    dimensions = 16

    def __init__(self, model_id="words"):
        self.model_id = model_id
        self.embedded = []

    def embed(self, texts):
        self.embedded.extend(texts)
        rows = [sum(map(self._direction, text.lower().split() or [""])) for text in texts]
        vectors = np.array(rows, np.float64)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    async def aembed(self, texts):
        return self.embed(texts)

    def _direction(self, word):
        return np.random.default_rng(zlib.crc32(word.encode("utf-8", "surrogatepass"))).normal(
            size=self.dimensions
        )


class CoreStorage(StorageBackend):
    """A backend with only the abstract methods."""

    def __init__(self, clock):
        self._clock = clock
        self._kept = {}

    def store(self, entry):
        check_entry(entry)
        for other in self.entries(entry.namespace):
            if other.embedding_model_id == entry.embedding_model_id:
                check_embedding(entry.embedding, len(other.embedding))
        self._kept[entry.namespace, entry.id] = copy.deepcopy(entry)

    def search(self, embedding, namespace, embedding_model_id, context_hash, threshold):
        found = self.search_top(embedding, namespace, embedding_model_id, context_hash, 0.0)
        if not found:
            return None
        hit = found[0].entry if found[0].similarity >= threshold - 1e-6 else None
        return SearchResult(hit, found[0].similarity)

    def delete(self, namespace, entry_ids):
        return sum(self._kept.pop((namespace, id), None) is not None for id in set(entry_ids))

    def invalidate_namespace(self, namespace):
        return self.delete(namespace, [entry.id for entry in self.entries(namespace)])

    def clear(self):
        self._kept.clear()

    def namespace_size(self, namespace):
        return len(list(self.entries(namespace)))

    def entries(self, namespace):
        now = self._clock()
        return iter(
            [
                copy.deepcopy(entry)
                for entry in list(self._kept.values())
                if entry.namespace == namespace
                and (entry.expires_at is None or entry.expires_at > now)
            ]
        )


class Awaited:
    """A cache whose methods call their asynchronous twins."""

    def __init__(self, cache):
        self._cache = cache

    def __getattr__(self, name):
        twin = getattr(self._cache, f"a{name}", None)
        if twin is None:
            return getattr(self._cache, name)
        return lambda *args, **kwargs: asyncio.run(twin(*args, **kwargs))

    @property
    def statistics(self):
        return asyncio.run(self._cache.astatistics())


STORAGES = {"memory": lambda clock: InMemoryStorage(clock=clock), "core": CoreStorage}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "core"])
def storage(request, clock, tmp_path):
    if request.param != "sqlite":
        yield STORAGES[request.param](clock)
        return
    with contextlib.closing(SQLiteStorage(tmp_path / "cache.db", clock=clock)) as storage:
        yield storage


on_every_storage = pytest.mark.parametrize("storage", ["memory", "core", "sqlite"], indirect=True)


@pytest.fixture(params=["sync", "async"])
def make(request, storage, clock):
    """Creates caches on one storage backend, sync or async."""

    def make(**options):
        options = {
            "vectorizer": WordEmbedder(),
            "filterable_fields": FIELDS,
            "storage": storage,
            "clock": clock,
            **options,
        }
        cache = SemanticCache(**options)
        return cache if request.param == "sync" else Awaited(cache)

    return make


@pytest.fixture
def cache(make):
    return make()


def responses(hits):
    return [hit["response"] for hit in hits]


# Stores and lookups


@on_every_storage
def test_a_stored_prompt_is_found_with_all_its_fields(cache, clock):
    key = cache.store(PROMPT, "Paris")
    entry_id = hashlib.sha256(PROMPT.encode()).hexdigest()
    assert key == f"llmcache:{entry_id}"
    [hit] = cache.check(PROMPT)
    assert hit.pop("vector_distance") == pytest.approx(0, abs=1e-6)
    assert hit == {
        "key": key,
        "entry_id": entry_id,
        "prompt": PROMPT,
        "response": "Paris",
        "inserted_at": 1000.0,
        "updated_at": 1000.0,
    }


def test_the_defaults_are_those_of_the_documents():
    cache = SemanticCache(vectorizer=WordEmbedder())
    assert cache.name == "llmcache"
    assert cache.distance_threshold == 0.1
    assert cache.ttl is None
    assert isinstance(cache.storage, InMemoryStorage)


@on_every_storage
def test_many_are_stored_as_one_after_the_other(make, storage, monkeypatch):
    monkeypatch.setattr("langcache.engine.cache._TOGETHER", 16)
    cache, alone = make(ttl=60), make(name="alone", ttl=60)
    vector = [1.0] + [0.0] * 15
    items = [
        {"prompt": f"prompt {number}", "response": f"response {number}"} for number in range(40)
    ]
    items[3] |= {"filters": {"user": "ann", "age": 3}, "metadata": {"n": 1}, "ttl": 5}
    items[4] |= {"vector": vector}
    items[5] = {**items[0], "response": "newer"}
    done = []
    keys = cache.store_many((item for item in items), progress=done.append)
    expected = [alone.store(**item) for item in items]
    assert keys == [key.replace("alone:", "llmcache:") for key in expected]
    assert done == [16, 32, 40]

    def kept(name):
        return {
            each.id: (each.response, dict(each.attributes), each.metadata, each.expires_at)
            for each in storage.entries(name)
        }

    assert kept("llmcache") == kept("alone")
    assert len(kept("alone")) == 39
    assert responses(cache.check(vector=vector, distance_threshold=0.001)) == ["response 4"]
    assert cache.store_many([]) == []


def test_many_prompts_are_embedded_together(make, monkeypatch):
    monkeypatch.setattr("langcache.engine.cache._TOGETHER", 16)
    embedder = WordEmbedder()
    calls = []
    embed = embedder.embed
    embedder.embed = lambda texts: calls.append(len(texts)) or embed(texts)
    cache = make(vectorizer=embedder)
    items = [{"prompt": f"p {number}", "response": "r"} for number in range(20)]
    cache.store_many(items)
    cache.check_many(item["prompt"] for item in items)
    assert calls == [16, 4] * 2


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ({"prompt": "p"}, "entries[2].response: is required"),
        ({"response": "r"}, "entries[2].prompt: is required"),
        ({"prompt": "p", "response": "r", "extra": 1}, "entries[2]: unknown field 'extra'"),
        ({"prompt": 1, "response": "r"}, "entries[2].prompt: must be a str, got int"),
        (
            {"prompt": "p", "response": "r", "ttl": 0},
            "entries[2].ttl: must be at least 1 second, got 0",
        ),
        (
            {"prompt": "p", "response": "r", "metadata": []},
            "entries[2].metadata: must be a dict, got list",
        ),
        (
            {"prompt": "p", "response": "r", "metadata": {"a": json.loads("[" * 100 + "]" * 100)}},
            "entries[2].metadata: must be nested at most 100 levels deep",
        ),
        (
            {"prompt": "p", "response": "r", "filters": {"x": "y"}},
            "entries[2].filters: unknown field 'x'",
        ),
        ("p", "entries[2]: must be a dict, got str"),
    ],
)
def test_a_bad_one_of_many_is_refused_with_its_place(cache, storage, item, error):
    good = [{"prompt": f"p {number}", "response": "r"} for number in range(2)]
    with pytest.raises((TypeError, ValueError)) as raised:
        cache.store_many([*good, item])
    assert str(raised.value) == error
    assert storage.namespace_size("llmcache") == 0


def test_many_are_checked_as_one_after_the_other(make):
    cache = make(distance_threshold=0.3)
    cache.store_many(
        {"prompt": f"what is {word}", "response": word, "filters": {"user": user}}
        for word in ("red", "blue", "green")
        for user in ("ann", "bob")
    )
    prompts = ["what is red", "who was napoleon", "what is blue please", "what is green"]
    done = []
    options = {
        "num_results": 2,
        "return_fields": ["response", "user"],
        "filter_expression": Tag("user") == "ann",
        "distance_threshold": 0.5,
    }
    found = cache.check_many(prompts, **options, progress=done.append)
    assert found == [cache.check(prompt, **options) for prompt in prompts]
    assert [len(hits) > 0 for hits in found] == [True, False, True, True]
    assert done == [4]
    assert cache.check_many([]) == []
    assert cache.statistics.lookups == 8
    assert cache.statistics.hits == 6


def test_a_bad_one_of_many_prompts_is_refused_with_its_place(cache):
    with pytest.raises(ValueError, match=r"^prompts\[1\]: must not be empty$"):
        cache.check_many(["p", ""])
    with pytest.raises(TypeError, match=r"^prompts\[1\]: must be a str, got int$"):
        cache.check_many(["p", 1])
    with pytest.raises(TypeError, match=r"^prompts: must be several prompts, got str$"):
        cache.check_many("a prompt")
    with pytest.raises(ValueError, match=r"^num_results: must be at least 0, got -1$"):
        cache.check_many(["p"], num_results=-1)


@on_every_storage
def test_metadata_and_filters_come_back_as_they_were_stored(cache):
    filters = {"user": "a,b ü", "age": 3, "topic": "red wine"}
    key = cache.store(PROMPT, "Paris", metadata={"n": [1, 2]}, filters=filters)
    content = f"{PROMPT}age3 topicred wine usera,b ü"
    assert key == f"llmcache:{hashlib.sha256(content.encode()).hexdigest()}"
    [hit] = cache.check(PROMPT)
    assert hit["metadata"] == {"n": [1, 2]}
    assert (hit["user"], hit["age"], hit["topic"]) == ("a,b ü", "3", "red wine")


def test_empty_metadata_is_not_the_same_as_none(cache):
    cache.store("with", "1", metadata={})
    cache.store("without", "2")
    assert cache.check("with")[0]["metadata"] == {}
    assert "metadata" not in cache.check("without")[0]


def test_a_stored_entry_cannot_be_changed_from_outside(cache):
    metadata = {"n": [1]}
    cache.store(PROMPT, "Paris", metadata=metadata)
    metadata["n"].append(2)
    cache.check(PROMPT)[0]["metadata"]["n"].append(3)
    assert cache.check(PROMPT)[0]["metadata"] == {"n": [1]}


def test_the_same_prompt_and_filters_replace_the_entry(cache, clock):
    first = cache.store(PROMPT, "Lyon", metadata={"draft": True}, filters={"user": "ann"})
    clock.now += 1
    second = cache.store(PROMPT, "Paris", filters={"user": "ann"})
    assert first == second
    [hit] = cache.check(PROMPT, num_results=5)
    assert (hit["response"], hit["inserted_at"]) == ("Paris", 1001.0)
    assert "metadata" not in hit


def test_other_filters_make_another_entry(cache):
    keys = {
        cache.store(PROMPT, "1"),
        cache.store(PROMPT, "2", filters={"user": "ann"}),
        cache.store(PROMPT, "3", filters={"user": "bob"}),
        cache.store(PROMPT, "4", filters={}),
    }
    assert len(keys) == 3
    assert sorted(responses(cache.check(PROMPT, num_results=5))) == ["2", "3", "4"]


def test_a_miss_is_an_empty_list(cache):
    assert cache.check(PROMPT) == []
    cache.store("green tea", "yes")
    assert cache.check(PROMPT) == []


def test_the_nearest_come_first_and_no_more_than_asked_for(cache):
    for words in ("one two three four", "one two three", "one two", "five six"):
        cache.store(words, words)
    hits = cache.check("one two three four", num_results=3, distance_threshold=2)
    assert responses(hits) == ["one two three four", "one two three", "one two"]
    distances = [hit["vector_distance"] for hit in hits]
    assert distances == sorted(distances)
    assert len(cache.check("one two", distance_threshold=2)) == 1


def test_return_fields_narrow_the_hit_but_the_key_is_always_there(cache):
    key = cache.store(PROMPT, "Paris", filters={"user": "ann"})
    [hit] = cache.check(PROMPT, return_fields=["response", "user", "metadata", "nothing"])
    assert hit == {"key": key, "response": "Paris", "user": "ann"}
    assert len(cache.check(PROMPT, return_fields=[])[0]) == 8


# Vectors and distances


def test_a_given_vector_beats_the_prompt_and_nothing_is_embedded(make):
    embedder = WordEmbedder()
    cache = make(vectorizer=embedder)
    vector = [0.0, 7.0] + [0.0] * 14
    cache.store(PROMPT, "Paris", vector=vector)
    assert responses(cache.check("anything", vector=np.array(vector))) == ["Paris"]
    assert cache.check(vector=[1.0] + [0.0] * 15) == []
    assert embedder.embedded == []


@pytest.mark.parametrize("degrees", [0, 1, 10, 20, 25, 26, 60, 90, 120, 180])
def test_a_distance_is_one_minus_the_cosine(cache, degrees):
    angle = np.radians(degrees)
    cache.store(PROMPT, "Paris", vector=[1.0] + [0.0] * 15)
    query = [np.cos(angle), np.sin(angle)] + [0.0] * 14
    [hit] = cache.check(vector=query, distance_threshold=2)
    assert hit["vector_distance"] == pytest.approx(1 - np.cos(angle), abs=1e-6)
    assert bool(cache.check(vector=query)) == (1 - np.cos(angle) <= 0.1)


def test_a_threshold_of_zero_finds_the_same_vector_only(cache):
    cache.store("one two three", "yes")
    assert responses(cache.check("one two three", distance_threshold=0)) == ["yes"]
    assert cache.check("one two three three", distance_threshold=0) == []
    assert responses(cache.check("one two three three")) == ["yes"]


def test_the_threshold_can_be_changed(make):
    cache = make(distance_threshold=0)
    cache.store("one two three", "yes")
    assert cache.check("one two three three") == []
    cache.set_threshold(0.5)
    assert cache.distance_threshold == 0.5
    assert responses(cache.check("one two three three")) == ["yes"]


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1.0, 1e20, 1e300])
def test_a_vector_of_any_length_will_do(cache, scale):
    cache.store(PROMPT, "Paris", vector=[3 * scale, 4 * scale] + [0.0] * 14)
    [hit] = cache.check(vector=[3.0, 4.0] + [0.0] * 14)
    assert hit["vector_distance"] == pytest.approx(0, abs=1e-6)


# Filters


@on_every_storage
def test_filter_expressions_choose_among_the_entries(cache):
    for user, age, topic in [("ann", 30, "red wine"), ("bob", 40, "beer"), ("cy", 2.5, "tea")]:
        filters = {"user": user, "age": age, "topic": topic}
        cache.store(PROMPT, user, filters=filters)
    cache.store(PROMPT, "nobody")

    def found(expression):
        return sorted(responses(cache.check(PROMPT, num_results=9, filter_expression=expression)))

    assert found(Tag("user") == "ann") == ["ann"]
    assert found(Tag("user") != "ann") == ["bob", "cy", "nobody"]
    assert found(Tag("user") == ["ann", "cy"]) == ["ann", "cy"]
    assert found(Num("age") == 30.0) == ["ann"]
    assert found(Num("age") != 30) == ["bob", "cy", "nobody"]
    assert found(Num("age") < 30) == ["cy"]
    assert found(Num("age") >= 30) == ["ann", "bob"]
    assert found(Text("topic") == "Red Wine") == ["ann"]
    assert found((Tag("user") == "ann") & (Num("age") > 30)) == []
    assert found((Tag("user") == "ann") | (Num("age") > 30)) == ["ann", "bob"]
    assert found(~(Tag("user") == "ann") & (Num("age") > 3)) == ["bob"]
    assert found((Tag("user") == "ann") & (Tag("user") == "bob")) == []


def test_a_match_behind_many_nearer_entries_is_found(cache):
    for number in range(100):
        cache.store(f"one two three {number}", "no", filters={"age": number})
    cache.store("one two", "yes", filters={"age": 1000})
    hits = cache.check("one two three", filter_expression=Num("age") > 99, distance_threshold=2)
    assert responses(hits) == ["yes"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["ann", "bob"]), st.integers(0, 5)),
        max_size=60,
    ),
    st.integers(1, 8),
    st.integers(0, 5),
    st.sampled_from([0.01, 0.3, 2.0]),
)
def test_a_filtered_check_returns_the_best_of_all_that_match(rows, limit, least, threshold):
    cache = SemanticCache(vectorizer=WordEmbedder(), filterable_fields=FIELDS)
    kept = {}
    for angle, user, age in rows:
        radians = angle / 20
        vector = [np.cos(radians), np.sin(radians)] + [0.0] * 14
        cache.store(str(angle), "", vector=vector, filters={"user": user, "age": age})
        kept[angle, user, age] = 1 - np.cos(radians)
    expected = sorted(
        distance
        for (_, user, age), distance in kept.items()
        if user == "ann" and age >= least and distance <= threshold
    )[:limit]
    hits = cache.check(
        vector=[1.0] + [0.0] * 15,
        num_results=limit,
        filter_expression=(Tag("user") == "ann") & (Num("age") >= least),
        distance_threshold=threshold,
    )
    assert all(hit["user"] == "ann" and int(hit["age"]) >= least for hit in hits)
    assert [hit["vector_distance"] for hit in hits] == pytest.approx(expected, abs=1e-5)


# Time to live


def test_entries_live_for_the_default_ttl_or_their_own(make, clock):
    cache = make(ttl=10, refresh_ttl_on_hit=False)
    cache.store("default one", "1")
    cache.store("own two", "2", ttl=20)
    clock.now += 9.9
    assert cache.check("default one")
    clock.now += 0.1
    assert not cache.check("default one")
    assert cache.check("own two")
    clock.now += 10
    assert not cache.check("own two")


@on_every_storage
def test_a_hit_refreshes_the_ttl_of_every_returned_entry(make, clock):
    cache = make(ttl=10)
    cache.store("one two", "1")
    cache.store("one two two", "2", ttl=3)
    cache.store("five", "5")
    clock.now += 2
    assert len(cache.check("one two", num_results=2, distance_threshold=0.5)) == 2
    clock.now += 9
    assert len(cache.check("one two", num_results=2, distance_threshold=0.5)) == 2
    assert cache.check("five") == []


def test_a_hit_leaves_the_ttl_alone_without_a_default_or_when_told_to(make, clock):
    caches = [make(name="a"), make(name="b", ttl=5, refresh_ttl_on_hit=False)]
    for cache in caches:
        cache.store(PROMPT, "Paris", ttl=5)
    clock.now += 3
    assert all(cache.check(PROMPT) for cache in caches)
    clock.now += 2
    assert not any(cache.check(PROMPT) for cache in caches)


def test_a_near_miss_is_not_refreshed(make, clock):
    cache = make(ttl=10, distance_threshold=0)
    cache.store("one two three", "1")
    clock.now += 5
    assert cache.check("one two three three") == []
    clock.now += 5
    assert cache.check("one two three") == []


def test_the_default_ttl_can_be_changed_for_what_is_stored_from_then_on(cache, clock):
    cache.set_ttl(5)
    assert cache.ttl == 5
    cache.store("five", "1")
    cache.set_ttl()
    assert cache.ttl is None
    cache.store("ever", "2")
    clock.now += 5
    assert not cache.check("five")
    assert cache.check("ever")


def test_expire_sets_the_given_or_the_default_ttl(make, clock):
    cache = make(ttl=100, refresh_ttl_on_hit=False)
    one, two = cache.store("one", "1"), cache.store("two", "2", ttl=1)
    cache.expire(one, 5)
    cache.expire(two)
    cache.expire("llmcache:nothing", 5)
    cache.expire("other:" + one, 1)
    clock.now += 5
    assert not cache.check("one")
    assert cache.check("two")


def test_expire_without_any_ttl_does_nothing(cache, clock):
    key = cache.store("one", "1", ttl=5)
    cache.expire(key)
    clock.now += 4
    assert cache.check("one")
    clock.now += 1
    assert not cache.check("one")


# Changes and removal


@on_every_storage
def test_update_changes_fields_and_does_not_embed(make, clock):
    embedder = WordEmbedder()
    cache = make(vectorizer=embedder, ttl=10)
    key = cache.store(PROMPT, "Lyon", filters={"user": "ann", "age": 1})
    clock.now += 9
    cache.update(key, prompt="other", response="Paris", metadata={"n": 1}, age=2)
    assert embedder.embedded == [PROMPT]
    clock.now += 9
    [hit] = cache.check(PROMPT)
    assert (hit["prompt"], hit["response"], hit["metadata"]) == ("other", "Paris", {"n": 1})
    assert (hit["user"], hit["age"]) == ("ann", "2")
    assert (hit["inserted_at"], hit["updated_at"], hit["key"]) == (1000.0, 1009.0, key)
    assert cache.check(PROMPT, filter_expression=Num("age") == 2)


def test_update_can_move_an_entry_to_another_vector(cache):
    key = cache.store(PROMPT, "Paris")
    cache.update(key, prompt_vector=[0.0, 2.0] + [0.0] * 14)
    assert cache.check(PROMPT) == []
    assert responses(cache.check(vector=[0.0, 1.0] + [0.0] * 14)) == ["Paris"]


def test_update_without_fields_refreshes_the_ttl_only(make, clock):
    cache = make(ttl=10)
    key = cache.store(PROMPT, "Paris")
    clock.now += 9
    cache.update(key)
    clock.now += 9
    assert cache.check(PROMPT)[0]["updated_at"] == 1000.0


def test_update_of_no_entry_does_nothing(cache):
    cache.store(PROMPT, "Paris")
    cache.update("llmcache:nothing", response="x")
    cache.update("nothing", response="x")
    assert responses(cache.check(PROMPT, num_results=9, distance_threshold=2)) == ["Paris"]


@on_every_storage
def test_drop_removes_by_ids_and_keys(cache):
    keys = [cache.store(word, word) for word in ("one", "two", "three", "four")]
    cache.drop(ids=[keys[0].split(":")[1], "nothing"], keys=[keys[1], "other:" + keys[2]])
    cache.drop(ids=[])
    left = cache.check("one", num_results=9, distance_threshold=2)
    assert sorted(responses(left)) == ["four", "three"]


@on_every_storage
def test_clear_removes_everything_of_this_cache_only(make):
    cache, other = make(name="a"), make(name="a:b")
    cache.store(PROMPT, "1")
    other.store(PROMPT, "2")
    cache.clear()
    assert cache.check(PROMPT) == []
    assert responses(other.check(PROMPT)) == ["2"]
    cache.store(PROMPT, "3")
    assert responses(cache.check(PROMPT)) == ["3"]


def test_clear_keeps_the_fields_and_delete_forgets_them(make, storage):
    cache = make()
    cache.store(PROMPT, "Paris", filters={"user": "ann"})
    cache.clear()
    with pytest.raises(ValueError, match="overwrite=True"):
        make(filterable_fields=None)
    cache.delete()
    assert cache.check(PROMPT) == []
    assert asyncio.run(storage.arecords("fields of semantic caches")) == {}
    make(filterable_fields=None)
    with pytest.raises(ValueError, match="overwrite=True"):
        make()


def test_caches_of_one_name_share_entries_and_those_of_other_models_do_not(make):
    make().store(PROMPT, "Paris")
    assert responses(make().check(PROMPT)) == ["Paris"]
    assert make(vectorizer=WordEmbedder("other")).check(PROMPT) == []
    assert make(name="other").check(PROMPT) == []


def test_other_fields_are_refused_unless_told_to_overwrite(make):
    make().store(PROMPT, "Paris", filters={"user": "ann"})
    fields = [{"name": "team", "type": "tag"}]
    with pytest.raises(ValueError, match="filterable_fields"):
        make(filterable_fields=fields)
    changed = make(filterable_fields=fields, overwrite=True)
    assert changed.check(PROMPT)[0]["user"] == "ann"
    changed.store(PROMPT, "Paris", filters={"team": "x"})
    with pytest.raises(ValueError, match="filterable_fields"):
        make()


def test_a_given_storage_is_left_open():
    class Closable(InMemoryStorage):
        closed = False

        def close(self):
            self.closed = True

    storage = Closable()
    with SemanticCache(vectorizer=WordEmbedder(), storage=storage) as cache:
        cache.store(PROMPT, "Paris")

    async def use():
        async with SemanticCache(vectorizer=WordEmbedder(), storage=storage) as cache:
            return await cache.acheck(PROMPT)

    assert responses(asyncio.run(use())) == ["Paris"]
    assert not storage.closed


# Bad input

VECTOR = [1.0] + [0.0] * 15


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"prompt": ""}, ValueError),
        ({"prompt": 3}, TypeError),
        ({"prompt": b"x"}, TypeError),
        ({"prompt": "x", "return_fields": "response"}, TypeError),
        ({"prompt": "x", "return_fields": ("response",)}, TypeError),
        ({"prompt": "x", "return_fields": [3]}, TypeError),
        ({"vector": [1.0, 0.0]}, ValueError),
        ({"vector": [0.0] * 16}, ValueError),
        ({"vector": [float("nan")] * 16}, ValueError),
        ({"vector": [float("inf")] * 16}, ValueError),
        ({"vector": ["a"] * 16}, ValueError),
        ({"vector": [[1.0]] * 16}, ValueError),
        ({"vector": [None] * 16}, ValueError),
        ({"vector": []}, ValueError),
        ({"vector": "x"}, ValueError),
        ({"prompt": "x", "distance_threshold": -0.01}, ValueError),
        ({"prompt": "x", "distance_threshold": 2.01}, ValueError),
        ({"prompt": "x", "distance_threshold": float("nan")}, ValueError),
        ({"prompt": "x", "distance_threshold": "0.1"}, ValueError),
        ({"prompt": "x", "num_results": -1}, ValueError),
        ({"prompt": "x", "num_results": 1.5}, TypeError),
        ({"prompt": "x", "num_results": True}, TypeError),
        ({"prompt": "x", "filter_expression": 3}, TypeError),
        ({"prompt": "x", "filter_expression": "user is ann"}, ValueError),
        ({"prompt": "x", "filter_expression": "@team:{x}"}, ValueError),
        ({"prompt": "x", "filter_expression": Num("prompt") > 3}, ValueError),
        ({"prompt": "x", "filter_expression": Tag("team") == "x"}, ValueError),
        ({"prompt": "x", "filter_expression": ~(Num("user") != 3)}, ValueError),
        (
            {"prompt": "x", "filter_expression": (Tag("user") == "") | (Text("age") == "x")},
            ValueError,
        ),
    ],
)
def test_check_refuses(cache, arguments, error):
    cache.store("x", "kept", ttl=5)
    with pytest.raises(error):
        cache.check(**arguments)
    assert cache.statistics.lookups == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"prompt": None}, TypeError),
        ({"prompt": 3, "vector": VECTOR}, TypeError),
        ({"response": None}, TypeError),
        ({"response": b"x"}, TypeError),
        ({"vector": [1.0, 0.0]}, ValueError),
        ({"vector": [0.0] * 16}, ValueError),
        ({"metadata": "x"}, pydantic.ValidationError),
        ({"metadata": ["x"]}, pydantic.ValidationError),
        ({"metadata": "x"}, ValueError),
        ({"filters": {"team": "x"}}, ValueError),
        ({"filters": {"prompt": "x"}}, ValueError),
        ({"filters": [("user", "ann")]}, TypeError),
        ({"filters": {"user": None}}, TypeError),
        ({"filters": {"user": True}}, TypeError),
        ({"filters": {"user": ["ann"]}}, TypeError),
        ({"filters": {"age": "3"}}, TypeError),
        ({"filters": {"age": float("nan")}}, ValueError),
        ({"filters": {"age": 10**400}}, ValueError),
        ({"ttl": 0}, ValueError),
        ({"ttl": -1}, ValueError),
        ({"ttl": 1.5}, TypeError),
        ({"ttl": True}, TypeError),
        ({"ttl": "5"}, TypeError),
    ],
)
def test_store_refuses_and_changes_nothing(cache, storage, arguments, error):
    cache.store("x", "kept")
    before = list(storage.entries("llmcache"))
    with pytest.raises(error):
        cache.store(**{"prompt": "x", "response": "new", **arguments})
    assert list(storage.entries("llmcache")) == before


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nothing": 1}, ValueError),
        ({"response": "new", "entry_id": "x"}, ValueError),
        ({"updated_at": 3.0}, ValueError),
        ({"response": "new", "metadata": "x"}, TypeError),
        ({"metadata": None}, TypeError),
        ({"prompt": None}, TypeError),
        ({"response": 3}, TypeError),
        ({"prompt_vector": [1.0]}, ValueError),
        ({"user": None}, TypeError),
        ({"age": float("inf")}, ValueError),
    ],
)
def test_update_refuses_and_changes_nothing(make, storage, values, error):
    cache = make(ttl=5)
    key = cache.store("x", "kept")
    before = list(storage.entries("llmcache"))
    with pytest.raises(error):
        cache.update(key, **values)
    with pytest.raises(TypeError):
        cache.update(3)
    assert list(storage.entries("llmcache")) == before


def test_other_methods_refuse_and_change_nothing(make, storage):
    cache = make(ttl=5)
    key = cache.store("x", "kept")
    before = list(storage.entries("llmcache"))
    for call, error in [
        (cache.drop, ValueError),
        (lambda: cache.drop(ids=key), TypeError),
        (lambda: cache.drop(ids=[key.split(":")[1]], keys=[3]), TypeError),
        (lambda: cache.expire(key, 0), ValueError),
        (lambda: cache.expire(key, 1.5), TypeError),
        (lambda: cache.expire(3), TypeError),
        (lambda: cache.set_ttl(1.5), ValueError),
        (lambda: cache.set_ttl("x"), ValueError),
        (lambda: cache.set_ttl(0), ValueError),
        (lambda: cache.set_threshold(2.1), ValueError),
        (lambda: cache.set_threshold(-1), ValueError),
        (lambda: cache.set_threshold("x"), ValueError),
    ]:
        with pytest.raises(error):
            call()
    assert (cache.ttl, cache.distance_threshold) == (5, 0.1)
    assert list(storage.entries("llmcache")) == before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": ""}, ValueError),
        ({"name": 3}, TypeError),
        ({"distance_threshold": 2.1}, ValueError),
        ({"distance_threshold": -0.1}, ValueError),
        ({"ttl": 1.5}, TypeError),
        ({"ttl": "x"}, TypeError),
        ({"ttl": 0}, ValueError),
        ({"vectorizer": "no embedder"}, ValueError),
        ({"vectorizer": object()}, TypeError),
        ({"vectorizer": WordEmbedder}, TypeError),
        ({"storage": object()}, TypeError),
        ({"filterable_fields": [{"name": "prompt", "type": "text"}]}, ValueError),
        ({"filterable_fields": [{"name": "metadata", "type": "text"}]}, ValueError),
        ({"filterable_fields": [{"name": "key", "type": "tag"}]}, ValueError),
        ({"filterable_fields": [{"name": "a", "type": "tag"}] * 2}, ValueError),
        ({"filterable_fields": [{"name": "a", "type": "geo"}]}, ValueError),
        ({"filterable_fields": [{"name": "a", "type": ["tag"]}]}, ValueError),
        ({"filterable_fields": [{"name": "", "type": "tag"}]}, ValueError),
        ({"filterable_fields": [{"name": "a"}]}, ValueError),
        ({"filterable_fields": [{"name": "a", "type": "tag", "attrs": {}}]}, ValueError),
        ({"filterable_fields": ["a"]}, ValueError),
        ({"redis_url": "redis://localhost:6379"}, ValueError),
        ({"redis_client": object()}, ValueError),
        ({"connection_kwargs": {"db": 1}}, ValueError),
    ],
)
def test_the_constructor_refuses(options, error):
    storage = InMemoryStorage()
    with pytest.raises(error):
        SemanticCache(**{"vectorizer": WordEmbedder(), "storage": storage, **options})
    assert storage.records("fields of semantic caches") == {}


def test_no_error_repeats_what_a_user_stored(cache):
    secret = "tulip"
    for call in [
        lambda: cache.store(secret, "x", metadata=secret),
        lambda: cache.store("x", secret, filters={"age": secret}),
        lambda: cache.check(vector=[secret] * 16),
        lambda: cache.update("llmcache:x", metadata=[secret]),
    ]:
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None


def test_repr_tells_the_name_and_nothing_stored(make):
    cache = SemanticCache(vectorizer=WordEmbedder())
    cache.store(PROMPT, "Paris")
    assert repr(cache) == "SemanticCache(name='llmcache', storage=InMemoryStorage)"


@pytest.mark.parametrize("value", [np.float64(2.5), np.float64(3.0), 3, 10**15])
def test_numbers_of_any_kind_are_found_again(cache, value):
    cache.store(PROMPT, "Paris", filters={"age": value, "user": value})
    assert cache.check(PROMPT, filter_expression=Num("age") == value)
    expected = repr(float(value)) if isinstance(value, float) else repr(value)
    assert cache.check(PROMPT, filter_expression=Tag("user") == expected)


@on_every_storage
def test_any_text_can_be_stored(cache):
    text = "\ud800 \x00 \U0001f600 {}:%*"
    cache.store(text, text, filters={"user": text})
    [hit] = cache.check(text, filter_expression=Tag("user") == text)
    assert (hit["prompt"], hit["response"], hit["user"]) == (text, text, text)


# With the real model


@pytest.fixture(scope="module")
def minilm():
    return MiniLMEmbedder()


def test_the_embedder_can_be_named():
    cache = SemanticCache(vectorizer="minilm")
    assert isinstance(cache.vectorizer, MiniLMEmbedder)
    assert SemanticCache().vectorizer.model_id == cache.vectorizer.model_id


def test_a_paraphrase_is_a_hit_and_another_question_is_not(minilm):
    cache = SemanticCache(vectorizer=minilm, distance_threshold=0.2)
    cache.store(PROMPT, "Paris")
    assert responses(cache.check("What's the capital city of France?")) == ["Paris"]
    assert cache.check("How do I cook rice?") == []


def test_sync_and_async_answer_alike(minilm):
    cache = SemanticCache(vectorizer=minilm, distance_threshold=2)
    for prompt in ("How tall is Everest?", "Who wrote Faust?", PROMPT):
        cache.store(prompt, prompt)
    query = {"prompt": "Who is the author of Faust?", "num_results": 3}
    assert asyncio.run(cache.acheck(**query)) == cache.check(**query)


# Against a plain model, and concurrently

_DIRECTIONS = 6


class DirectionEmbedder:
    """For prompts "0x", "1y"...: the digit is the direction; others are at distance 1."""

    model_id = "directions"
    dimensions = _DIRECTIONS

    def embed(self, texts):
        return np.array([np.eye(_DIRECTIONS)[int(text[0])] for text in texts], np.float32)

    async def aembed(self, texts):
        return self.embed(texts)


class CacheMachine(RuleBasedStateMachine):
    """Applies the same operations to a cache and to a dict, and compares the results."""

    prompts = st.builds("{}{}".format, st.integers(0, _DIRECTIONS - 1), st.sampled_from("xyz"))
    users = st.sampled_from([None, "ann", "bob"])
    ttls = st.none() | st.integers(1, 5)

    @initialize(
        kind=st.sampled_from(list(STORAGES)),
        ttl=ttls,
        refresh=st.booleans(),
        asynchronous=st.booleans(),
    )
    def start(self, kind, ttl, refresh, asynchronous):
        self.clock = Clock()
        self.ttl = ttl
        self.refresh = refresh
        cache = SemanticCache(
            vectorizer=DirectionEmbedder(),
            filterable_fields=FIELDS,
            storage=STORAGES[kind](self.clock),
            ttl=ttl,
            refresh_ttl_on_hit=refresh,
            clock=self.clock,
        )
        self.statistics = lambda: cache.statistics
        self.cache = Awaited(cache) if asynchronous else cache
        self.model = {}
        self.lookups = self.hits = 0

    def expiry(self, ttl):
        return float("inf") if ttl is None else self.clock.now + ttl

    def key(self, prompt, user):
        content = prompt if user is None else f"{prompt}user{user}"
        return f"llmcache:{hashlib.sha256(content.encode()).hexdigest()}"

    @rule(prompt=prompts, user=users, response=st.text(max_size=3), ttl=ttls)
    def store(self, prompt, user, response, ttl):
        filters = None if user is None else {"user": user}
        key = self.cache.store(prompt, response, filters=filters, ttl=ttl)
        assert key == self.key(prompt, user)
        expires_at = self.expiry(self.ttl if ttl is None else ttl)
        self.model[key] = [prompt, user, response, expires_at, prompt[0]]

    @rule(prompt=prompts, user=users, limit=st.integers(1, 4), negated=st.booleans())
    def check(self, prompt, user, limit, negated):
        expression = None
        if user is not None:
            expression = Tag("user") != user if negated else Tag("user") == user
        found = self.cache.check(prompt, num_results=limit, filter_expression=expression)
        candidates = {
            key: values
            for key, values in self.model.items()
            if values[4] == prompt[0] and (user is None or (values[1] == user) != negated)
        }
        assert len(found) == min(limit, len(candidates))
        for hit in found:
            values = candidates.pop(hit["key"])
            assert [hit["prompt"], hit.get("user"), hit["response"]] == values[:3]
            if self.refresh and self.ttl is not None:
                self.model[hit["key"]][3] = self.expiry(self.ttl)
        self.lookups += 1
        self.hits += bool(found)

    @rule(prompt=prompts, user=users, response=st.text(max_size=3))
    def update(self, prompt, user, response):
        key = self.key(prompt, user)
        self.cache.update(key, response=response)
        if key in self.model:
            self.model[key][2] = response
            if self.ttl is not None:
                self.model[key][3] = self.expiry(self.ttl)

    @rule(prompt=prompts, user=users, ttl=ttls)
    def expire(self, prompt, user, ttl):
        key = self.key(prompt, user)
        self.cache.expire(key, ttl)
        lifetime = self.ttl if ttl is None else ttl
        if key in self.model and lifetime is not None:
            self.model[key][3] = self.expiry(lifetime)

    @rule(prompt=prompts, user=users)
    def drop(self, prompt, user):
        key = self.key(prompt, user)
        self.cache.drop(keys=[key])
        self.model.pop(key, None)

    @rule(prompt=prompts, user=users)
    def get_or_compute(self, prompt, user):
        filters = None if user is None else {"user": user}
        candidates = [
            values[2]
            for values in self.model.values()
            if values[4] == prompt[0] and user in (None, values[1])
        ]
        computed = []
        cache = self.cache

        def fn(text):
            computed.append(text)
            return "computed"

        async def afn(text):
            return fn(text)

        function = afn if isinstance(cache, Awaited) else fn
        # No refresh in between, so that the model does not depend on which entry was hit.
        if self.refresh and self.ttl is not None and candidates:
            return
        response = cache.get_or_compute(prompt, function, filters=filters)
        self.lookups += 1
        if candidates:
            assert response in candidates
            assert not computed
            self.hits += 1
        else:
            assert (response, computed) == ("computed", [prompt])
            self.model[self.key(prompt, user)] = [
                prompt, user, "computed", self.expiry(self.ttl), prompt[0],
            ]  # fmt: skip

    @rule(seconds=st.sampled_from([0.5, 1, 3]))
    def wait(self, seconds):
        self.clock.now += seconds
        self.model = {
            key: values for key, values in self.model.items() if values[3] > self.clock.now
        }

    @rule(forget=st.booleans())
    def clear(self, forget):
        if forget:
            self.cache.delete()
        else:
            self.cache.clear()
        self.model.clear()

    @invariant()
    def counts_agree(self):
        statistics = self.statistics()
        assert statistics.entries == len(self.model)
        assert (statistics.lookups, statistics.hits) == (self.lookups, self.hits)


CacheMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAgainstAModel = CacheMachine.TestCase


@pytest.fixture
def often_switching():
    """Switch threads so often that missing locks show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@on_every_storage
def test_threads_and_tasks_at_once_lose_and_mix_up_nothing(storage, clock, often_switching):
    """Each worker has its own user and knows what it stored; prompts and the cache are shared."""
    cache = SemanticCache(
        vectorizer=DirectionEmbedder(),
        filterable_fields=FIELDS,
        storage=storage,
        ttl=1000,
        clock=clock,
    )
    failures = []

    def problem(user, step, own, hits):
        if own is None:
            return None if not hits else (user, step, "stale", hits)
        if len(hits) != 1 or hits[0]["user"] != user or hits[0]["response"] != own:
            return user, step, own, hits
        if hits[0]["metadata"] != {"of": user, "response": own}:
            return user, step, "half written", hits
        return None

    def choices(user):
        generator = np.random.default_rng(zlib.crc32(user.encode()))
        steps = examples(75)
        return zip(generator.integers(0, 5, steps), generator.integers(0, 3, steps), strict=True)

    def stored(user, step):
        response = f"{user} {step}"
        return response, {"of": user, "response": response}

    def work(user):
        kept = {}
        mine = Tag("user") == user
        for step, (action, direction) in enumerate(choices(user)):
            prompt = f"{direction}x"
            key = cache._key(hashlib.sha256(f"{prompt}user{user}".encode()).hexdigest())
            response, metadata = stored(user, step)
            if action == 0:
                cache.store(prompt, response, metadata=metadata, filters={"user": user})
                kept[prompt] = response
            elif action == 1:
                cache.update(key, response=response, metadata=metadata)
                kept.update({prompt: response} if prompt in kept else {})
            elif action == 2:
                cache.drop(keys=[key])
                kept.pop(prompt, None)
            elif action == 3:
                # Entries of all users: a refresh must not undo an owner's change.
                cache.check(prompt, num_results=20)
            hits = cache.check(prompt, filter_expression=mine, num_results=3)
            failures.extend(filter(None, [problem(user, step, kept.get(prompt), hits)]))

    async def awork(user):
        kept = {}
        mine = Tag("user") == user
        for step, (action, direction) in enumerate(choices(user)):
            prompt = f"{direction}x"
            key = cache._key(hashlib.sha256(f"{prompt}user{user}".encode()).hexdigest())
            response, metadata = stored(user, step)
            if action == 0:
                await cache.astore(prompt, response, metadata=metadata, filters={"user": user})
                kept[prompt] = response
            elif action == 1:
                await cache.aupdate(key, response=response, metadata=metadata)
                kept.update({prompt: response} if prompt in kept else {})
            elif action == 2:
                await cache.adrop(keys=[key])
                kept.pop(prompt, None)
            elif action == 3:
                await cache.acheck(prompt, num_results=20)
            hits = await cache.acheck(prompt, filter_expression=mine, num_results=3)
            failures.extend(filter(None, [problem(user, step, kept.get(prompt), hits)]))

    async def tasks():
        await asyncio.gather(*(awork(f"task {number}") for number in range(4)))

    workers = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(4)]
    workers.append(threading.Thread(target=lambda: asyncio.run(tasks())))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert failures == []


COLLIDING = [
    ((PROMPT, {"topic": "acme", "user": "bob"}), (PROMPT, {"topic": "acmeuserbob"})),
    ((PROMPT, {"user": "bob"}), (f"{PROMPT}userbob", None)),
    (("a", {"user": "b"}), ("auserb", None)),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("one", "other"), COLLIDING)
def test_entries_whose_joined_texts_are_equal_do_not_replace_each_other(make, one, other, turned):
    cache = make()
    pair = [other, one] if turned else [one, other]
    for answer in ("first", "second"):
        keys = [
            cache.store(prompt, f"{answer} {number}", filters=filters)
            for number, (prompt, filters) in enumerate(pair)
        ]
    assert len(set(keys)) == 2
    assert sorted(entry.response for entry in cache.storage.entries(cache.name)) == [
        "second 0",
        "second 1",
    ]


@pytest.mark.parametrize(("one", "other"), COLLIDING)
def test_such_entries_do_not_replace_each_other_when_stored_together(make, one, other):
    cache = make()
    keys = cache.store_many(
        {"prompt": prompt, "response": "r", "filters": filters} for prompt, filters in (one, other)
    )
    assert len(set(keys)) == len(list(cache.storage.entries(cache.name))) == 2


def test_an_entry_that_was_changed_is_not_replaced_by_its_old_prompt(make):
    cache = make()
    key = cache.store(PROMPT, "Paris", filters={"user": "ann"})
    cache.update(key, user="bob")
    assert cache.store(PROMPT, "Lyon", filters={"user": "ann"}) != key
    assert cache.check(PROMPT, filter_expression=Tag("user") == "bob")[0]["response"] == "Paris"


def test_numbers_of_numpy_are_numbers(make):
    cache = make(ttl=np.int32(60))
    filters = {"user": np.int64(7), "age": np.float32(1.5)}
    key = cache.store(PROMPT, "Paris", filters=filters, ttl=np.int64(60))
    cache.expire(key, np.uint8(60))
    cache.set_ttl(np.int16(60))
    found = (Tag("user") == "7") & (Num("age") == np.float32(1.5)) & (Num("age") < np.int64(2))
    threshold = np.float32(0.5)
    [hit] = cache.check(
        PROMPT,
        num_results=np.int64(3),
        filter_expression=found,
        distance_threshold=threshold,
    )
    assert (hit["user"], hit["age"]) == ("7", "1.5")
    assert cache.explain(PROMPT, num_candidates=np.int64(3)).outcome == "hit"


@pytest.mark.parametrize("ttl", [10**11 + 1, 10**400])
def test_a_time_to_live_that_no_clock_will_reach_is_refused(make, ttl):
    cache = make()
    for call in (
        lambda: cache.store(PROMPT, "Paris", ttl=ttl),
        lambda: cache.set_ttl(ttl),
        lambda: EmbeddingsCache(ttl=ttl),
        lambda: EmbeddingsCache().set("text", "model", [1.0], ttl=ttl),
    ):
        with pytest.raises(ValueError, match=r"^ttl: must be at most"):
            call()
    cache.store(PROMPT, "Paris", ttl=10**11)
    assert cache.check(PROMPT)
