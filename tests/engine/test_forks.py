"""A process that is forked while other threads use the engine."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from forks import SECONDS, busy, forks, succeeds_in_child

from langcache.engine import EmbeddingsCache, FunctionEmbedder, InMemoryStorage, SemanticCache
from langcache.engine.embedders.vector_memory import VectorMemory
from langcache.engine.storage import StorageBackend

pytestmark = forks

FORKS = 10


def embed(texts):
    vectors = np.random.default_rng(len(texts[0])).standard_normal((len(texts), 8))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def embedder():
    return FunctionEmbedder(embed, model_id="lengths", dimensions=8)


def semantic_cache():
    cache = SemanticCache(vectorizer=embedder())
    cache.store("text", "response")

    def work():
        assert cache.check("text")
        assert cache.statistics.entries == 1

    return work


def cache_on_a_simple_backend():
    """A backend that overrides no more than it must, whose changes are made one by one."""
    memory = InMemoryStorage()

    class Simple(StorageBackend):
        store = memory.store
        search = memory.search
        delete = memory.delete
        invalidate_namespace = memory.invalidate_namespace
        clear = memory.clear
        namespace_size = memory.namespace_size
        entries = memory.entries

    cache = SemanticCache(vectorizer=embedder(), storage=Simple(), ttl=1000)
    cache.store("text", "response")
    return lambda: cache.check("text")


def embeddings_cache():
    cache = EmbeddingsCache()

    def work():
        cache.set("text", "model", [1.0])
        assert cache.get("text", "model")
        assert cache.statistics.entries == 1

    return work


def vector_memory():
    memory = VectorMemory(embedder(), 10)
    return lambda: memory.embed(["text"])


@pytest.mark.parametrize(
    "make", [semantic_cache, cache_on_a_simple_backend, embeddings_cache, vector_memory]
)
def test_a_child_can_use_what_other_threads_used_at_the_fork(make):
    work = make()
    with busy(work):
        assert all(succeeds_in_child(work) for _ in range(FORKS))
    work()


def test_a_child_does_not_wait_for_a_lock_that_a_thread_had_for_long():
    in_lock, done = threading.Event(), threading.Event()
    here = threading.current_thread()

    def clock():
        if os.getpid() == parent and threading.current_thread() is not here:
            in_lock.set()
            done.wait(SECONDS)
        return 0.0

    parent = os.getpid()
    storage = InMemoryStorage(clock=clock)
    cache = SemanticCache(vectorizer=embedder(), storage=storage, clock=lambda: 0.0)
    thread = threading.Thread(target=storage.namespace_size, args=("other",))
    thread.start()
    in_lock.wait(SECONDS)
    try:
        assert succeeds_in_child(lambda: cache.store("text", "response"))
    finally:
        done.set()
        thread.join()


def test_a_child_does_not_wait_for_a_computation_of_its_parent():
    cache = SemanticCache(vectorizer=embedder())
    computing, done = threading.Event(), threading.Event()

    def compute(prompt):
        computing.set()
        done.wait(SECONDS)
        return "parent"

    results = []
    thread = threading.Thread(target=lambda: results.append(cache.get_or_compute("text", compute)))
    thread.start()
    computing.wait(SECONDS)

    def work():
        assert cache.get_or_compute("text", lambda _: "child") == "child"

    try:
        assert succeeds_in_child(work)
    finally:
        done.set()
        thread.join()
    assert results == ["parent"]
