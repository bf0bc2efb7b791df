"""The pair model: may one answer serve both prompts?"""

from __future__ import annotations

import asyncio
import math
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from langcache.engine.embedders._arrays import without_lone_surrogates
from langcache.engine.verify.base import Verdict
from langcache.engine.verify.differing_sentences import focus
from langcache.engine.verify.language import is_english
from langcache.engine.verify.rules.reading import Reading
from langcache.engine.verify.rules.replacements import word_was_replaced
from langcache.engine.verify.verdict_memory import VerdictMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PairModelVerifier"]

# A probability from the threshold to this one is asked for in the other order of the prompts, too,
# and the smaller one counts. On the development pairs that removes a tenth of the wrong hits that
# are left and none of the right ones; a fifth of the candidates need it.
_DOUBTFUL_BELOW = 0.75

# Prompts that are the same but for one to three words of meaning: the model takes names and
# qualities that it does not know well for the same thing. Most synonyms reach this, on the
# development pairs three in four; of the wrong pairs, one in five.
_REPLACED_FROM = 0.75
_DOUBTFUL_REPLACED_BELOW = 0.9

# Work is bounded before anything is read.
_MAX_CHARACTERS = 8_192


class PairModelVerifier:
    """Turns down candidates for which the pair model gives too small a probability.

    The model, from the package `langcache-minilm-pair`, reads both prompts together and estimates
    the probability that one answer serves both. When that is in doubt, it reads them in the other
    order, too, and the smaller probability counts. It runs offline on the CPU. The constructor
    loads it, which takes about 0.1 s. An instance is thread-safe; pairs judged in several threads
    run in parallel.

    The model reads English. Prompts in another language are accepted, and the verdict says that
    the model was not asked. Of prompts of more than 200 characters it reads the sentences that
    differ; if these have more than 512 tokens together, the pair is turned down, because what was
    not read cannot be judged.

    Prompts that differ in one to three words, one for one ("clean old boats" and "clean small
    boats"), need a probability of 0.75.

    Nothing is sent anywhere: the constructor sets `ORT_DISABLE_TELEMETRY` in the environment,
    unless it is set, which keeps onnxruntime from sending telemetry. A program that imports
    onnxruntime before has to set it itself.

    Args:
        min_probability: The smallest probability that is accepted, from 0 to 1.
        threads: Threads that one pair may use.
        remember: How many pairs to remember the probability of, the most recently used ones; 0
            for none.

    Raises:
        ImportError: onnxruntime, tokenizers or langcache-minilm-pair is not installed.
        ValueError: An argument is out of its range.
    """

    def __init__(
        self, *, min_probability: float = 0.34, threads: int = 1, remember: int = 10_000
    ) -> None:
        if not 0 <= min_probability <= 1:
            raise ValueError(f"min_probability: must be from 0 to 1, got {min_probability}")
        if threads < 1:
            raise ValueError(f"threads: must be at least 1, got {threads}")
        if remember < 0:
            raise ValueError(f"remember: must be at least 0, got {remember}")
        # Not at the top: a program without this verifier need not pay for these imports.
        from langcache_minilm_pair import (
            CALIBRATION,
            MAX_TOKENS,
            MODEL_ID,
            model_path,
            tokenizer_path,
        )
        from tokenizers import Tokenizer

        self._model_id = MODEL_ID
        self._min_probability = min_probability
        self._max_tokens = MAX_TOKENS
        self._calibration = CALIBRATION
        self._remembered = VerdictMemory(remember)
        # Else it would write a device id to the home directory and send telemetry, from when it is
        # imported on; its function to disable that comes too late.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        # It comes without types.
        onnxruntime: Any = import_module("onnxruntime")
        self._tokenizer = Tokenizer.from_file(str(tokenizer_path()))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            model_path(), options, providers=["CPUExecutionProvider"]
        )

    @property
    def model_id(self) -> str:
        """Name of the model and its precision, and the smallest probability that is accepted."""
        return f"{self._model_id}@{self._min_probability:g}"

    @property
    def min_probability(self) -> float:
        """The smallest probability that is accepted."""
        return self._min_probability

    def verify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge cached prompts against the one that was asked, one after the other."""
        return [self._judge(prompt, candidate) for candidate in candidates]

    async def averify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge as `verify` does; a pair that is not remembered runs in a worker thread."""
        if self._remembered.has_all(prompt, candidates):
            return self.verify(prompt, candidates)
        return await asyncio.to_thread(self.verify, prompt, candidates)

    def _judge(self, prompt: str, candidate: str) -> Verdict:
        if max(len(prompt), len(candidate)) > _MAX_CHARACTERS:
            return self._too_long()
        verdict = self._remembered.get(prompt, candidate)
        if verdict is None:
            verdict = self._assess(prompt, candidate)
            self._remembered.put(prompt, candidate, verdict)
        return verdict

    def _too_long(self) -> Verdict:
        return Verdict(
            accepted=False,
            reason="the prompts are longer than the model reads",
            check=self._model_id,
        )

    def _assess(self, prompt: str, candidate: str) -> Verdict:
        if not (is_english(prompt) and is_english(candidate)):
            return Verdict(
                accepted=True,
                reason="the model was not asked: it reads English only",
                check=self._model_id,
            )
        probability = self.probability(prompt, candidate)
        if probability is None:
            return self._too_long()
        least, doubtful_below = self._min_probability, _DOUBTFUL_BELOW
        replaced = probability >= least and word_was_replaced(Reading(prompt), Reading(candidate))
        if replaced:
            least, doubtful_below = max(least, _REPLACED_FROM), _DOUBTFUL_REPLACED_BELOW
        if least <= probability < doubtful_below:
            # The same pair, and so the same length.
            probability = min(probability, self.probability(candidate, prompt) or 0.0)
        if probability >= least:
            reason = "the model expects that one answer serves both prompts"
        elif replaced and probability >= self._min_probability:
            reason = "a word is another one, and the model is not sure that it means the same"
        else:
            reason = "the model expects that the prompts need different answers"
        return Verdict(
            accepted=probability >= least,
            probability=probability,
            reason=reason,
            check=self._model_id,
        )

    def probability(self, prompt: str, candidate: str) -> float | None:
        """Return the probability that one answer serves both, from one reading in this order.

        It is None if the prompts are too long to read.
        """
        logit = self.logit(prompt, candidate)
        if logit is None:
            return None
        factor, summand = self._calibration
        return 1 / (1 + math.exp(-(factor * logit + summand)))

    def logit(self, prompt: str, candidate: str) -> float | None:
        """Return what the model puts out for two prompts; None if they are too long to read."""
        if max(len(prompt), len(candidate)) > _MAX_CHARACTERS:
            return None
        texts = [without_lone_surrogates(text) for text in focus(prompt, candidate)]
        # Its stub takes pairs in lists only.
        encoding: Any = self._tokenizer.encode_batch([(texts[0], texts[1])])[0]
        if len(encoding.ids) > self._max_tokens:
            return None
        # One pair a run: in a batch, the 8-bit scales of a pair would depend on the others.
        outputs: list[Any] = self._session.run(
            ["logit"],
            {
                "input_ids": np.array([encoding.ids], dtype=np.int64),
                "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
            },
        )
        return float(outputs[0][0])
