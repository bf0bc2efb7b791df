"""The default embedder: all-MiniLM-L6-v2 on the CPU, offline."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from langcache.engine.embedders._arrays import without_lone_surrogates
from langcache.engine.embedders._texts import TextEmbedder
from langcache.engine.embedders.text_facts import TextFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import EmbedderCache

__all__ = ["MiniLMEmbedder"]

# Tokenising takes time in proportion to the whole text (0.4 s for a million ASCII characters, 2.4 s
# for as many Chinese ones), though the model reads the first 256 tokens only.
_MAX_CHARACTERS = 32_768


class MiniLMEmbedder(TextEmbedder):
    """Embeds with all-MiniLM-L6-v2 (English, 384 dimensions) from the package `langcache-minilm`.

    The constructor loads the model, so that the first text does not wait for it and a broken
    installation shows at once. It takes about 0.05 s, and twice that the first time in a process,
    to import onnxruntime and tokenizers. An instance is thread-safe; texts embedded in several
    threads run in parallel.

    The model reads the first 256 tokens of a text, its start and end marks included; that is some
    190 English words, and at most the first 32,768 characters. What follows does not change the
    vector. Letter case, accents, control characters and lone surrogates do not count either. An
    empty text has a vector like any other.

    Nothing is sent anywhere: the constructor sets `ORT_DISABLE_TELEMETRY` in the environment,
    unless it is set, which keeps onnxruntime from sending telemetry. A program that imports
    onnxruntime before has to set it itself.

    The same text has the same vector on any number of threads. Another release of onnxruntime or
    another kind of processor may round otherwise, by about as much as the 8-bit weights differ
    from the float32 ones: a cosine of .999 on average.

    Args:
        threads: Threads that one text may use. Two save up to four tenths of the
            time. For many texts, call from several threads instead.
        cache: Keeps the vectors, so that no text is embedded twice. None for no cache.

    Raises:
        ImportError: onnxruntime, tokenizers or langcache-minilm is not installed.
        ValueError: `threads` is less than 1.
    """

    def __init__(self, *, threads: int = 1, cache: EmbedderCache | None = None) -> None:
        super().__init__(cache)
        # Imported here because other embedders do not need them.
        from langcache_minilm import DIMENSIONS, MODEL_ID, model_path, tokenizer_path
        from tokenizers import Tokenizer

        if threads < 1:
            raise ValueError(f"threads: must be at least 1, got {threads}")
        self._model_id = MODEL_ID
        self._dimensions = DIMENSIONS
        # onnxruntime sends telemetry to Microsoft from its import on, and its function to disable
        # that comes too late.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        # It has no type information.
        onnxruntime: Any = import_module("onnxruntime")
        self._tokenizer = Tokenizer.from_file(str(tokenizer_path()))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            model_path(), options, providers=["CPUExecutionProvider"]
        )

    @property
    @override
    def model_id(self) -> str:
        """Name of the model and its precision: "all-MiniLM-L6-v2-int8"."""
        return self._model_id

    @property
    @override
    def dimensions(self) -> int:
        """Length of each vector: 384."""
        return self._dimensions

    @override
    def embed_uncached(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._embed_one(text)
        return vectors

    def describe(self, text: str) -> TextFacts:
        """Return what the model reads of a text, without embedding it.

        Args:
            text: Any text. Letter case, accents, control characters and lone surrogates do not
                count, so they are in none of the facts.

        Raises:
            TypeError: `text` is not a str.
        """
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"text: must be a str, got {type(text).__name__}")
        readable = without_lone_surrogates(text[:_MAX_CHARACTERS])
        encoding = self._tokenizer.encode(readable)
        ids: list[int] = encoding.ids[1:-1]
        parts: list[tuple[int, int]] = encoding.offsets[1:-1]
        unknown = self._tokenizer.token_to_id("[UNK]")
        return TextFacts(
            token_ids=tuple(ids),
            unknown=tuple(
                readable[start:end]
                for token, (start, end) in zip(ids, parts, strict=True)
                if token == unknown
            ),
            was_cut=len(text) > _MAX_CHARACTERS or bool(encoding.overflowing),
        )

    def _embed_one(self, text: str) -> NDArray[np.float32]:
        # One text for each run, because a batch must be padded: 64 questions take 130 ms one by one
        # and 225 ms in batches of 16. Sorted by length, they take 115 ms in batches of 4, and
        # longer in larger ones.
        # The tokenizer drops the U+FFFD that a lone surrogate becomes.
        readable = without_lone_surrogates(text[:_MAX_CHARACTERS])
        ids = np.array([self._tokenizer.encode(readable).ids], dtype=np.int64)
        outputs: list[NDArray[np.float32]] = self._session.run(
            ["sentence_embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        )
        return outputs[0][0]
