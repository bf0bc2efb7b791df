"""EmbeddingsCache through its public methods, sync and async, and CachedEmbedder."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from langcache.engine import CachedEmbedder, EmbeddingsCache, MiniLMEmbedder, SemanticCache

MODEL = "text-embedding-ada-002"
VECTOR = [0.1, 0.2, 0.3]


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Awaited:
    """A cache whose methods call their asynchronous twins."""

    def __init__(self, cache):
        self._cache = cache

    @property
    def statistics(self):
        return asyncio.run(self._cache.astatistics())

    def __getattr__(self, name):
        twin = getattr(self._cache, f"a{name}", None)
        if twin is None:
            return getattr(self._cache, name)
        return lambda *args, **kwargs: asyncio.run(twin(*args, **kwargs))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "redis"])
def place(request):
    """The arguments that select the storage."""
    if request.param == "memory":
        return {}
    client = request.getfixturevalue("own_redis_client")
    client.flushdb()
    return {"redis_client": client}


@pytest.fixture(params=["sync", "async"])
def make(request, clock, place):
    def make(**options):
        cache = EmbeddingsCache(clock=clock, **place, **options)
        return cache if request.param == "sync" else Awaited(cache)

    return make


@pytest.fixture
def cache(make):
    return make()


def test_an_embedding_comes_back_as_it_was_set(cache):
    key = cache.set("What is ML?", MODEL, VECTOR, metadata={"source": ["user"]})
    entry_id = hashlib.sha256(f"What is ML?:{MODEL}".encode()).hexdigest()
    assert key == f"embedcache:{entry_id}"
    entry = {
        "entry_id": entry_id,
        "content": "What is ML?",
        "model_name": MODEL,
        "embedding": VECTOR,
        "inserted_at": 1000.0,
        "metadata": {"source": ["user"]},
    }
    assert cache.get("What is ML?", MODEL) == entry
    assert cache.get_by_key(key) == entry


def test_metadata_is_there_only_when_it_was_given(cache):
    cache.set("none", MODEL, VECTOR)
    cache.set("empty", MODEL, VECTOR, metadata={})
    assert "metadata" not in cache.get("none", MODEL)
    assert cache.get("empty", MODEL)["metadata"] == {}


def test_bytes_are_known_by_their_hex(cache):
    key = cache.set(b"\x00\xff", MODEL, VECTOR)
    assert key == f"embedcache:{hashlib.sha256(f'00ff:{MODEL}'.encode()).hexdigest()}"
    assert cache.get(b"\x00\xff", MODEL)["content"] == b"\x00\xff"


def test_what_is_absent_is_none_or_false(cache):
    key = cache.set("here", MODEL, VECTOR)
    assert cache.get("gone", MODEL) is None
    assert cache.get("here", "other model") is None
    assert cache.get_by_key("embedcache:gone") is None
    assert cache.get_by_key("other:" + key) is None
    assert (cache.exists("here", MODEL), cache.exists("gone", MODEL)) == (True, False)
    assert (cache.exists_by_key(key), cache.exists_by_key("gone")) == (True, False)


def test_setting_again_replaces(cache, clock):
    cache.set("text", MODEL, VECTOR, metadata={"n": 1})
    clock.now += 1
    cache.set("text", MODEL, [1, 2])
    entry = cache.get("text", MODEL)
    assert (entry["embedding"], entry["inserted_at"]) == ([1.0, 2.0], 1001.0)
    assert "metadata" not in entry


def test_drop_removes_and_what_is_absent_does_no_harm(cache):
    key = cache.set("one", MODEL, VECTOR)
    cache.set("two", MODEL, VECTOR)
    cache.drop("one", "other model")
    cache.drop("two", MODEL)
    assert cache.mexists(["one", "two"], MODEL) == [True, False]
    cache.drop_by_key(key)
    cache.drop_by_key(key)
    assert not cache.exists("one", MODEL)


def test_many_at_once_keep_their_order(cache):
    items = [
        {"content": content, "model_name": MODEL, "embedding": [float(number)]}
        for number, content in enumerate(["a", b"b", "c"])
    ]
    keys = cache.mset(items)
    contents = ["c", "gone", b"b", "a", "c"]
    found = cache.mget(contents, MODEL)
    assert [entry and entry["embedding"] for entry in found] == [[2.0], None, [1.0], [0.0], [2.0]]
    assert cache.mget_by_keys([keys[1], "gone"]) == [found[2], None]
    assert cache.mexists(iter(contents), MODEL) == [True, False, True, True, True]
    assert cache.mexists_by_keys([*keys, "gone"]) == [True, True, True, False]
    cache.mdrop(["a", "gone"], MODEL)
    cache.mdrop_by_keys([keys[2], "gone"])
    assert cache.mexists_by_keys(keys) == [False, True, False]


def test_nothing_asked_for_is_nothing_answered(cache):
    assert cache.mset([]) == []
    assert cache.mget([], MODEL) == cache.mget_by_keys([]) == []
    assert cache.mexists([], MODEL) == cache.mexists_by_keys([]) == []
    cache.mdrop([], MODEL)
    cache.mdrop_by_keys([])


def test_entries_live_for_the_default_ttl_or_their_own(make, clock):
    cache = make(ttl=10)
    cache.set("default", MODEL, VECTOR)
    cache.mset([{"content": "own", "model_name": MODEL, "embedding": VECTOR}], ttl=20)
    clock.now += 10
    assert cache.mexists(["default", "own"], MODEL) == [False, True]
    clock.now += 10
    assert cache.get("own", MODEL) is None


def test_a_get_refreshes_the_ttl_and_exists_does_not(make, clock):
    cache = make(ttl=10)
    key = cache.set("read", MODEL, VECTOR)
    cache.set("seen", MODEL, VECTOR)
    clock.now += 9
    assert cache.exists("seen", MODEL)
    assert cache.mget_by_keys([key, "gone"])[0]
    clock.now += 9
    assert cache.mexists(["read", "seen"], MODEL) == [True, False]


def test_a_get_leaves_the_ttl_alone_without_a_default_or_when_told_to(make, clock):
    for cache in (make(), make(ttl=5, refresh_ttl_on_hit=False)):
        cache.set("text", MODEL, VECTOR, ttl=5)
        clock.now += 4
        assert cache.get("text", MODEL)
        clock.now += 1
        assert not cache.get("text", MODEL)


def test_expire_sets_the_given_or_the_default_ttl(make, clock):
    cache = make()
    key = cache.set("text", MODEL, VECTOR)
    cache.expire(key)
    cache.expire("gone", 5)
    clock.now += 1000
    assert cache.exists_by_key(key)
    cache.set_ttl(3)
    assert cache.ttl == 3
    cache.expire(key)
    clock.now += 2
    cache.expire(key, 5)
    clock.now += 4
    assert cache.exists_by_key(key)
    clock.now += 1
    cache.expire(key, 5)
    assert not cache.exists_by_key(key)


def test_clear_removes_everything(cache):
    cache.set("text", MODEL, VECTOR)
    cache.clear()
    assert cache.get("text", MODEL) is None
    assert cache.statistics.entries == 0
    cache.disconnect()


def test_a_stored_entry_cannot_be_changed_from_outside(cache):
    vector, metadata = np.array(VECTOR), {"n": [1]}
    cache.set("text", MODEL, vector, metadata=metadata)
    vector[0] = 9
    metadata["n"].append(2)
    entry = cache.get("text", MODEL)
    entry["embedding"][0] = 8
    entry["metadata"]["n"].append(3)
    entry = cache.get("text", MODEL)
    assert (entry["embedding"], entry["metadata"]) == (VECTOR, {"n": [1]})


def test_expired_entries_do_not_pile_up(clock):
    cache = EmbeddingsCache(clock=clock, ttl=1)
    for number in range(2000):
        cache.set(str(number), MODEL, [0.5])
        clock.now += 0.5
    assert len(cache._store._records) < 100
    assert cache.statistics.entries == 1


def test_hits_misses_entries_and_bytes_are_counted(cache):
    cache.mset(
        [
            {"content": "é", "model_name": MODEL, "embedding": VECTOR},
            {
                "content": b"b",
                "model_name": MODEL,
                "embedding": np.array(VECTOR, np.float32),
                "metadata": {"a": 1},
            },
        ]
    )
    cache.mget(["é", "gone", b"b"], MODEL)
    cache.get_by_key("gone")
    cache.exists("é", MODEL)
    statistics = cache.statistics
    assert (statistics.hits, statistics.misses, statistics.entries) == (2, 2, 2)
    assert statistics.bytes == (2 + 3 * 8) + (1 + 3 * 4 + len("{'a': 1}"))


ITEM = {"content": "text", "model_name": MODEL, "embedding": VECTOR}


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ({"content": 3}, TypeError),
        ({"content": None}, TypeError),
        ({"model_name": None}, TypeError),
        ({"embedding": []}, ValueError),
        ({"embedding": [[1.0]]}, ValueError),
        ({"embedding": ["tulip"]}, ValueError),
        ({"embedding": "tulip"}, ValueError),
        ({"embedding": [None]}, ValueError),
        ({"embedding": [True]}, ValueError),
        ({"embedding": [float("nan")]}, ValueError),
        ({"embedding": None}, ValueError),
        ({"metadata": "tulip"}, TypeError),
        ({"metadata": ["tulip"]}, TypeError),
        ({"embeding": VECTOR}, ValueError),
        ("tulip", TypeError),
        (None, ValueError),
    ],
)
def test_one_bad_item_stores_none(cache, item, error):
    if item is None:
        bad = {"content": "text", "model_name": MODEL}
    else:
        bad = {**ITEM, **item} if isinstance(item, dict) else item
    with pytest.raises(error) as caught:
        cache.mset([{**ITEM, "content": "good"}, bad])
    assert "items[1]" in str(caught.value) or "metadata" in str(caught.value)
    assert "tulip" not in str(caught.value)
    assert cache.statistics.entries == 0


def test_other_methods_refuse_and_change_nothing(make):
    cache = make(ttl=5)
    key = cache.set("text", MODEL, VECTOR)
    before = cache.statistics
    for call, error in [
        (lambda: cache.mset(ITEM), TypeError),
        (lambda: cache.mset([ITEM], ttl=0), ValueError),
        (lambda: cache.set("text", MODEL, [1.0], ttl=1.5), TypeError),
        (lambda: cache.get(3, MODEL), TypeError),
        (lambda: cache.get("text", None), TypeError),
        (lambda: cache.mget("text", MODEL), TypeError),
        (lambda: cache.mget(b"text", MODEL), TypeError),
        (lambda: cache.mdrop("text", MODEL), TypeError),
        (lambda: cache.mget_by_keys(key), TypeError),
        (lambda: cache.mdrop_by_keys([key, 3]), TypeError),
        (lambda: cache.get_by_key(None), TypeError),
        (lambda: cache.expire(key, 0), ValueError),
        (lambda: cache.expire(key, "5"), TypeError),
        (lambda: cache.expire(3, 5), TypeError),
        (lambda: cache.set_ttl("x"), ValueError),
        (lambda: cache.set_ttl(0), ValueError),
    ]:
        with pytest.raises(error):
            call()
    assert cache.statistics == before
    assert cache.ttl == 5
    assert cache.get_by_key(key)["embedding"] == VECTOR


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": ""}, ValueError),
        ({"name": None}, TypeError),
        ({"ttl": 1.5}, TypeError),
        ({"ttl": 0}, ValueError),
        ({"redis_url": "http://localhost:6379"}, ValueError),
        ({"redis_url": "redis://localhost:6379", "redis_client": object()}, ValueError),
        ({"redis_url": "redis://localhost:6379", "async_redis_client": object()}, ValueError),
        ({"connection_kwargs": {"db": 1}}, ValueError),
        ({"connection_kwargs": {"db": 1}, "redis_client": object()}, ValueError),
    ],
)
def test_the_constructor_refuses(options, error):
    with pytest.raises(error):
        EmbeddingsCache(**options)


def test_it_is_a_context_manager_in_both_forms():
    with EmbeddingsCache("mine") as cache:
        cache.set("text", MODEL, VECTOR)

    async def use():
        async with cache:
            return await cache.aget("text", MODEL)

    assert asyncio.run(use())["embedding"] == VECTOR
    assert repr(cache) == "EmbeddingsCache(name='mine')"


class CacheMachine(RuleBasedStateMachine):
    """Applies the same operations to a cache and to a dict, and compares the results."""

    contents = st.sampled_from(["a", "b", b"a", "61", "", "a:m"])
    models = st.sampled_from(["m", "m:m"])
    ttls = st.none() | st.integers(1, 4)

    @initialize(ttl=ttls, refresh=st.booleans(), asynchronous=st.booleans())
    def start(self, ttl, refresh, asynchronous):
        self.clock, self.ttl, self.refresh = Clock(), ttl, refresh
        cache = EmbeddingsCache(ttl=ttl, refresh_ttl_on_hit=refresh, clock=self.clock)
        self.cache = Awaited(cache) if asynchronous else cache
        self.model = {}

    @staticmethod
    def id(content, model):
        return content, model

    def expiry(self, ttl):
        return float("inf") if ttl is None else self.clock.now + ttl

    @rule(content=contents, model=models, number=st.floats(-1, 1), ttl=ttls)
    def set(self, content, model, number, ttl):
        self.cache.set(content, model, [number], ttl=ttl)
        self.model[self.id(content, model)] = [
            number,
            self.expiry(self.ttl if ttl is None else ttl),
        ]

    @rule(contents=st.lists(contents, max_size=4), model=models)
    def get(self, contents, model):
        found = self.cache.mget(contents, model)
        expected = [self.model.get(self.id(content, model)) for content in contents]
        assert [entry and entry["embedding"] for entry in found] == [
            known and known[:1] for known in expected
        ]
        assert self.cache.mexists(contents, model) == [known is not None for known in expected]
        if self.refresh and self.ttl is not None:
            for known in filter(None, expected):
                known[1] = self.expiry(self.ttl)

    @rule(content=contents, model=models)
    def drop(self, content, model):
        self.cache.drop(content, model)
        self.model.pop(self.id(content, model), None)

    @rule(seconds=st.sampled_from([0.5, 1, 3]))
    def wait(self, seconds):
        self.clock.now += seconds
        self.model = {id: known for id, known in self.model.items() if known[1] > self.clock.now}
        assert self.cache.statistics.entries == len(self.model)


CacheMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestAgainstAModel = CacheMachine.TestCase


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_number_is_kept_exactly(numbers):
    cache = EmbeddingsCache()
    cache.set("text", MODEL, numbers)
    assert cache.get("text", MODEL)["embedding"] == numbers


def test_threads_at_once_lose_nothing():
    cache = EmbeddingsCache(ttl=1000)
    failures = []

    def work(number):
        for step in range(200):
            content = f"{number} {step}"
            cache.set(content, MODEL, [float(step)])
            if cache.get(content, MODEL)["embedding"] != [float(step)]:
                failures.append(content)
            if step % 3:
                cache.drop(content, MODEL)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert cache.statistics.entries == 4 * 67
    assert cache.statistics.hits == 800


# CachedEmbedder


class LengthEmbedder:
    dimensions = 4
    model_id = "lengths"

    def __init__(self):
        self.calls = []

    def embed(self, texts):
        self.calls.append(list(texts))
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            vectors[row, len(text) % 4] = 1
        return vectors

    async def aembed(self, texts):
        return self.embed(texts)


@pytest.fixture(params=["sync", "async"])
def embed(request):
    if request.param == "sync":
        return lambda embedder, texts: embedder.embed(texts)
    return lambda embedder, texts: asyncio.run(embedder.aembed(texts))


def test_only_what_is_new_is_embedded_in_one_call(embed):
    inner = LengthEmbedder()
    embedder = CachedEmbedder(inner, EmbeddingsCache())
    assert (embedder.model_id, embedder.dimensions) == ("lengths", 4)
    embed(embedder, ["a", "bb"])
    texts = ["ccc", "bb", "a", "ccc", "dd"]
    vectors = embed(embedder, texts)
    assert inner.calls == [["a", "bb"], ["ccc", "dd"]]
    np.testing.assert_array_equal(vectors, LengthEmbedder().embed(texts))
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    embed(embedder, texts)
    assert len(inner.calls) == 2
    assert embed(embedder, []).shape == (0, 4)


def test_embedders_of_other_models_may_share_a_cache(embed):
    cache = EmbeddingsCache()
    first, wider = LengthEmbedder(), LengthEmbedder()
    wider.model_id, wider.dimensions = "others", 5
    for inner in (first, wider):
        assert embed(CachedEmbedder(inner, cache), ["a"]).shape == (1, inner.dimensions)
        assert inner.calls == [["a"]]


def test_a_failed_call_caches_nothing(embed):
    class Failing(LengthEmbedder):
        def embed(self, texts):
            raise ConnectionError

    cache = EmbeddingsCache()
    with pytest.raises(ConnectionError):
        embed(CachedEmbedder(Failing(), cache), ["a"])
    assert cache.statistics.entries == 0


@pytest.mark.parametrize("texts", ["text", [3], [None]])
def test_what_is_no_text_is_refused(embed, texts):
    with pytest.raises(TypeError, match="texts"):
        embed(CachedEmbedder(LengthEmbedder(), EmbeddingsCache()), texts)


def test_a_semantic_cache_with_it_embeds_a_prompt_once():
    minilm = MiniLMEmbedder()
    cache = SemanticCache(vectorizer=CachedEmbedder(minilm, embeddings := EmbeddingsCache()))
    cache.store("What is the capital of France?", "Paris")
    assert cache.check("What is the capital of France?", distance_threshold=0)
    statistics = embeddings.statistics
    assert (statistics.hits, statistics.misses, statistics.entries) == (1, 1, 1)
    assert cache.check(vector=minilm.embed(["What is the capital of France?"])[0])


COLLIDING = [
    (("text", ":model"), ("text:", "model")),
    (("a", "b:c"), ("a:b", "c")),
    (("6162", MODEL), (b"ab", MODEL)),
    (("", MODEL), (b"", MODEL)),
]


@pytest.mark.parametrize(("one", "other"), COLLIDING)
def test_contents_whose_joined_texts_are_equal_do_not_share_an_entry(make, one, other):
    cache = make()
    assert len({cache.set(*one, [1.0]), cache.set(*other, [2.0])}) == 2
    assert cache.get(*one)["embedding"] == [1.0]
    assert cache.get(*other)["embedding"] == [2.0]
    cache.drop(*one)
    assert not cache.exists(*one)
    assert cache.exists(*other)


def test_an_entry_of_another_content_is_not_found(make):
    cache = make()
    cache.set("text", ":model", VECTOR)
    assert cache.get("text:", "model") is None
    assert not cache.exists("text:", "model")
    cache.drop("text:", "model")
    assert cache.exists("text", ":model")


def test_contents_whose_joined_texts_are_equal_can_be_set_together(make):
    cache = make()
    items = [
        {"content": content, "model_name": model, "embedding": [float(number)]}
        for number, (content, model) in enumerate([("a", "b:c"), ("a:b", "c"), ("a", "b:c")])
    ]
    keys = cache.mset(items)
    assert keys[0] == keys[2] != keys[1]
    assert cache.get("a", "b:c")["embedding"] == [2.0]
    assert cache.get("a:b", "c")["embedding"] == [1.0]


@pytest.mark.parametrize("content", ["12:30 o'clock", "beef", b"beef"])
def test_an_id_that_is_not_taken_is_that_of_redisvl(make, content):
    cache = make()
    text = content.hex() if isinstance(content, bytes) else content
    entry_id = hashlib.sha256(f"{text}:{MODEL}".encode()).hexdigest()
    assert cache.set(content, MODEL, VECTOR) == f"embedcache:{entry_id}"
    assert cache.get(content, MODEL)["entry_id"] == entry_id
