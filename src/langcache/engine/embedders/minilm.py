"""The default embedder: all-MiniLM-L6-v2 on the CPU, offline."""

from __future__ import annotations

import os
from collections import defaultdict
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from langcache.engine.embedders._arrays import without_lone_surrogates
from langcache.engine.embedders._processors import Processors, do_all, usable_processors
from langcache.engine.embedders._texts import TextEmbedder
from langcache.engine.embedders.text_facts import TextFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import EmbedderCache

__all__ = ["MiniLMEmbedder"]

# Tokenising takes time in proportion to the whole text (0.4 s for a million ASCII characters, 2.4 s
# for as many Chinese ones), though the model reads the first 512 tokens only.
_MAX_CHARACTERS = 32_768

# Short texts of one length share a run, which takes up to three tenths less time for each. From 40
# tokens on it takes none off.
_TOKENS_PER_RUN = 128


class MiniLMEmbedder(TextEmbedder):
    """Embeds with all-MiniLM-L6-v2 (English, 384 dimensions) from the package `langcache-minilm`.

    The constructor loads the model, so that the first text does not wait for it and a broken
    installation shows at once. It takes about 0.05 s, and twice that the first time in a process,
    to import onnxruntime and tokenizers. An instance is thread-safe.

    A call with many texts uses all processors that no other call of the instance uses. Its threads
    end with the call. A call with one text runs in the caller's thread, and calls in several
    threads run in parallel.

    The model reads the first 512 tokens of a text, its start and end marks included; that is some
    380 English words, and at most the first 32,768 characters. What follows does not change the
    vector. Letter case, accents, control characters and lone surrogates do not count either. An
    empty text has a vector like any other.

    Nothing is sent anywhere: the constructor sets `ORT_DISABLE_TELEMETRY` in the environment,
    unless it is set, which keeps onnxruntime from sending telemetry. A program that imports
    onnxruntime before has to set it itself.

    The same text has the same vector on any number of threads and next to any other texts. Another
    release of onnxruntime or another kind of processor may round otherwise, by less than the 8-bit
    arithmetic differs from float32: a cosine of .9988 on average.

    Args:
        threads: Threads that one text may use. Two save up to four tenths of the time, but take
            more processor time, and many texts gain nothing from it.
        processors: How many processors many texts may use. By default, all that this process may
            use when the embedder is made; the affinity counts, a limit of a container's processor
            time does not. Where several processes embed, give each its share.
        cache: Keeps the vectors, so that no text is embedded twice. None for no cache.

    Raises:
        ImportError: onnxruntime, tokenizers or langcache-minilm is not installed.
        ValueError: `threads` or `processors` is less than 1.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        processors: int | None = None,
        cache: EmbedderCache | None = None,
    ) -> None:
        super().__init__(cache)
        # Imported here because other embedders do not need them.
        from langcache_minilm import DIMENSIONS, MODEL_ID, model_path, tokenizer_path
        from tokenizers import Tokenizer

        if threads < 1:
            raise ValueError(f"threads: must be at least 1, got {threads}")
        if processors is None:
            processors = usable_processors()
        elif processors < 1:
            raise ValueError(f"processors: must be at least 1, got {processors}")
        self._processors = Processors(max(1, processors // threads))
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
        """Name of the model and its precision: "all-MiniLM-L6-v2-int8-static"."""
        return self._model_id

    @property
    @override
    def dimensions(self) -> int:
        """Length of each vector: 384."""
        return self._dimensions

    @override
    def embed_uncached(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self._dimensions), dtype=np.float32)
        token_ids = [self._tokenizer.encode(_readable(text)).ids for text in texts]

        def run(rows: list[int]) -> None:
            ids = np.array([token_ids[row] for row in rows], dtype=np.int64)
            vectors[rows] = self._session.run(["sentence_embedding"], {"input_ids": ids})[0]

        with self._processors.take(len(texts)) as processors:
            do_all(run, _runs(token_ids, processors), processors)
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
        readable = _readable(text)
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


def _readable(text: str) -> str:
    """Return what the tokenizer reads of a text."""
    # The tokenizer drops the U+FFFD that a lone surrogate becomes.
    return without_lone_surrogates(text[:_MAX_CHARACTERS])


def _runs(token_ids: Sequence[Sequence[int]], processors: int) -> list[list[int]]:
    """Return the rows of the texts that share a run of the model: all of one length, none padded.

    The longest runs come first, so that all processors are done at about the same time.
    """
    rows_of: defaultdict[int, list[int]] = defaultdict(list)
    for row, ids in enumerate(token_ids):
        rows_of[len(ids)].append(row)
    total = sum(map(len, token_ids))
    most_tokens = min(_TOKENS_PER_RUN, -(-total // processors))
    runs: list[tuple[int, list[int]]] = []
    for tokens, rows in rows_of.items():
        size = max(1, most_tokens // tokens)
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            runs.append((len(some) * tokens, some))
    return [rows for _, rows in sorted(runs, reverse=True)]
