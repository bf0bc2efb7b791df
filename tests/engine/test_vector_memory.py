import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from langcache.engine.embedders.vector_memory import VectorMemory


class CountingEmbedder:
    """Knows vectors of four numbers, and what it was asked for."""

    model_id = "counting"
    dimensions = 4

    def __init__(self):
        self.asked = []

    def embed(self, texts):
        self.asked.extend(texts)
        vectors = np.array([[len(text), 1, 2, 3] for text in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_texts_asked_for_last_are_remembered():
    inner = CountingEmbedder()
    embedder = VectorMemory(inner, 2)
    for text in ("a", "bb", "a", "ccc", "a", "bb"):
        assert (embedder.embed([text]) == inner.embed([text])).all()
    del inner.asked[:]
    assert embedder.recall("bb") is not None
    assert embedder.recall("ccc") is None
    mixed = embedder.embed(["bb", "dddd", "a"])
    assert inner.asked == ["dddd"]
    assert (mixed == inner.embed(["bb", "dddd", "a"])).all()
    assert embedder.embed([]).shape == (0, 4)


def test_a_size_of_0_and_long_texts_remember_nothing():
    none = VectorMemory(CountingEmbedder(), 0)
    none.embed(["a"])
    assert none.recall("a") is None
    some = VectorMemory(CountingEmbedder(), 9)
    some.embed(["a" * 4097, "b" * 4096])
    assert some.recall("a" * 4097) is None
    assert some.recall("b" * 4096) is not None


def test_what_is_remembered_cannot_be_changed():
    embedder = VectorMemory(CountingEmbedder(), 9)
    embedder.embed(["a"])[0, 0] = 7
    with pytest.raises(ValueError, match="read-only"):
        embedder.embed_one("a")[0] = 7
    embedder.embed(["a"])[0, 0] = 7
    assert (embedder.embed(["a"]) == CountingEmbedder().embed(["a"])).all()
    assert (embedder.embed_one("a") == CountingEmbedder().embed(["a"])[0]).all()


def test_one_text_is_embedded_once_and_remembered():
    inner = CountingEmbedder()
    embedder = VectorMemory(inner, 9)
    first, again = embedder.embed_one("a"), embedder.embed_one("a")
    assert inner.asked == ["a"]
    assert (first == again).all()
    assert embedder.embed(["a"])[0, 0] != 7


def test_a_text_that_comes_twice_in_a_call_is_embedded_once():
    inner = CountingEmbedder()
    vectors = VectorMemory(inner, 0).embed(["a", "bb", "a"])
    assert inner.asked == ["a", "bb"]
    assert (vectors == inner.embed(["a", "bb", "a"])).all()


def test_a_single_str_is_not_taken_for_a_list_of_texts():
    with pytest.raises(TypeError, match="single str"):
        VectorMemory(CountingEmbedder(), 9).embed("text")


def test_threads_that_share_a_memory_get_the_vectors_of_their_own_texts():
    embedder = VectorMemory(CountingEmbedder(), 4)
    barrier = threading.Barrier(8)

    def vectors(number):
        barrier.wait()
        return [embedder.embed_one("x" * (1 + (number + each) % 6))[0] for each in range(200)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(vectors, range(8)))
    expected = [CountingEmbedder().embed(["x" * (1 + each)])[0, 0] for each in range(6)]
    for number, each in enumerate(found):
        assert each == [expected[(number + offset) % 6] for offset in range(200)]
