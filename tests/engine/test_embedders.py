"""Embedders other than MiniLM: from a function or another package, and by name."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest

from langcache.engine import (
    EmbedderError,
    EmbeddingsCache,
    FunctionEmbedder,
    MiniLMEmbedder,
    OpenAIEmbedder,
    SentenceTransformerEmbedder,
    create_embedder,
)

# A function


def letters(texts):
    return [[text.count("a"), text.count("b"), 1] for text in texts]


def test_a_function_becomes_an_embedder():
    embedder = FunctionEmbedder(letters, model_id="letters", dimensions=3)
    assert (embedder.model_id, embedder.dimensions) == ("letters", 3)
    vectors = embedder.embed(["aaaa", "", "abb"])
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert vectors[0] == pytest.approx(np.array([4, 0, 1]) / 17**0.5)
    assert np.array_equal(asyncio.run(embedder.aembed(["aaaa", "", "abb"])), vectors)


def test_without_texts_the_function_is_not_called():
    assert FunctionEmbedder(None, model_id="none", dimensions=3).embed([]).shape == (0, 3)


def test_the_function_keeps_its_array():
    array = np.full((1, 4), 2, np.float32)
    vectors = FunctionEmbedder(lambda _: array, model_id="x", dimensions=4).embed(["a"])
    assert vectors == pytest.approx(np.full((1, 4), 0.5))
    assert (array == 2).all()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([[1, 2]], r"shape \(1, 3\), got \(1, 2\)"),
        ([[1, 2, 3]] * 2, r"shape \(1, 3\), got \(2, 3\)"),
        ([1, 2, 3], r"shape \(1, 3\), got \(3,\)"),
        ([[1, 2, 3], [1]], "all of the same length"),
        ([["a", "b", "c"]], "must be numbers"),
        (None, "got ()|must be numbers"),
        ([[1, 2, float("nan")]], "finite and not zero"),
        ([[1, 2, float("inf")]], "finite and not zero"),
        ([[0, 0, 0]], "finite and not zero"),
    ],
)
def test_what_are_no_vectors_is_an_error(returned, message):
    embedder = FunctionEmbedder(lambda _: returned, model_id="x", dimensions=3)
    with pytest.raises(EmbedderError, match=message) as caught:
        embedder.embed(["SECRET"])
    assert caught.value.status is None
    assert "SECRET" not in str(caught.value)


def test_an_error_of_the_function_comes_through():
    def fail(texts):
        raise OSError("model server is down")

    with pytest.raises(OSError, match="model server is down"):
        FunctionEmbedder(fail, model_id="x", dimensions=3).embed(["a"])


@pytest.mark.parametrize("texts", ["a text", [b"bytes"], ["a", None]])
def test_what_are_no_texts_is_refused(texts):
    with pytest.raises(TypeError, match="texts"):
        FunctionEmbedder(letters, model_id="x", dimensions=3).embed(texts)


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ValueError, match="dimensions: must be at least 1, got 0"):
        FunctionEmbedder(letters, model_id="x", dimensions=0)


# sentence-transformers


def test_without_sentence_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match="needs the extra sentence-transformers; see"):
        SentenceTransformerEmbedder("redis/langcache-embed-v3-small")


def test_a_batch_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="batch_size: must be at least 1, got 0"):
        SentenceTransformerEmbedder("any", batch_size=0)


def test_a_model_of_sentence_transformers_embeds(tmp_path):
    pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b"]))
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=6,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        )
    ).save_pretrained(tmp_path)
    path = str(tmp_path)

    embedder = SentenceTransformerEmbedder(path, device="cpu")
    assert (embedder.model_id, embedder.dimensions) == (path, 16)
    vectors = embedder.embed(["a", "b a b", "\ud800"])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert embedder.embed(["a"])[0] == pytest.approx(vectors[0], abs=1e-5)
    assert np.array_equal(asyncio.run(embedder.aembed(["a"])), embedder.embed(["a"]))
    assert embedder.embed([]).shape == (0, 16)


# By name


def test_minilm_by_name():
    assert isinstance(create_embedder("minilm"), MiniLMEmbedder)


def test_openai_by_name(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    embedder = create_embedder("openai:text-embedding-3-small")
    assert isinstance(embedder, OpenAIEmbedder)
    assert embedder.model_id == "text-embedding-3-small"


def test_a_name_may_hold_a_colon(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1")
    assert create_embedder("openai:nomic-embed-text:v1.5").model_id == "nomic-embed-text:v1.5"


def test_sentence_transformers_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match="sentence-transformers"):
        create_embedder("sentence-transformers:redis/langcache-embed-v3-small")


def test_an_embedder_is_its_own_name():
    embedder = FunctionEmbedder(letters, model_id="x", dimensions=3)
    assert create_embedder(embedder) is embedder


@pytest.mark.parametrize("spec", ["", "MiniLM", "minilm:", "openai", "openai:", "cohere:embed"])
def test_an_unknown_name_is_refused(spec):
    with pytest.raises(ValueError, match=r"^embedder: must be \"minilm\", \"openai:MODEL\" or"):
        create_embedder(spec)


# With a cache


def test_with_a_cache_no_text_is_embedded_twice():
    asked = []

    def function(texts):
        asked.append(texts)
        return letters(texts)

    plain = FunctionEmbedder(letters, model_id="letters", dimensions=3)
    embedder = FunctionEmbedder(function, model_id="letters", dimensions=3, cache=EmbeddingsCache())
    texts = ["a", "b", "a"]
    assert np.array_equal(embedder.embed(texts), plain.embed(texts))
    assert np.array_equal(embedder.embed(["b", "ab"]), plain.embed(["b", "ab"]))
    assert np.array_equal(asyncio.run(embedder.aembed(["ab", "bb"])), plain.embed(["ab", "bb"]))
    assert asked == [["a", "b"], ["ab"], ["bb"]]
    assert embedder.embed([]).shape == (0, 3)
    with pytest.raises(TypeError, match="texts: must be a sequence of str"):
        embedder.embed("a")


def test_any_embedder_can_get_a_cache():
    cache = EmbeddingsCache()
    minilm = create_embedder("minilm", cache=cache)
    minilm.embed(["a"])
    assert cache.exists("a", minilm.model_id)
    other = create_embedder(FunctionEmbedder(letters, model_id="x", dimensions=3), cache=cache)
    other.embed(["a"])
    assert cache.exists("a", "x")
