"""Several verifiers, one after the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from langcache.engine._steps import Steps, arun, call, run
from langcache.engine.verify.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langcache.engine.verify.base import Verifier

__all__ = ["VerifierChain"]

_logger = logging.getLogger(__name__)


class VerifierChain:
    """Asks verifiers in their order; each sees what those before it have accepted.

    A verdict with a probability of 1 is final: the verifiers after it are not asked. A verifier
    that raises an exception turns its candidates down, because an answer that nobody has checked
    is not served.

    Args:
        verifiers: The verifiers, the cheapest first.
    """

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = tuple(verifiers)

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The verifiers, in the order in which they are asked."""
        return self._verifiers

    @property
    def model_id(self) -> str:
        """The names of all verifiers, joined by "+"."""
        return "+".join(verifier.model_id for verifier in self._verifiers)

    def verify(
        self,
        prompt: str,
        candidates: Sequence[str],
        *,
        similarities: Sequence[float] | None = None,
    ) -> list[Verdict]:
        """Judge cached prompts against the one that was asked.

        Args:
            prompt: The prompt that was asked.
            candidates: Cached prompts.
            similarities: The similarity of each candidate. Without it, a verifier that has a band
                is asked about every candidate.

        Returns:
            A verdict for each candidate: the one that turned it down, else the one of the last
            verifier that was asked about it.
        """
        return run(self._verify(prompt, candidates, similarities))

    async def averify(
        self,
        prompt: str,
        candidates: Sequence[str],
        *,
        similarities: Sequence[float] | None = None,
    ) -> list[Verdict]:
        """Judge as `verify` does, without blocking the event loop."""
        return await arun(self._verify(prompt, candidates, similarities))

    def _verify(
        self, prompt: str, candidates: Sequence[str], similarities: Sequence[float] | None
    ) -> Steps[list[Verdict]]:
        verdicts = [_UNCHECKED] * len(candidates)
        for verifier in self._verifiers:
            asked = [
                place
                for place, verdict in enumerate(verdicts)
                if verdict.accepted
                and verdict.probability != 1
                and (similarities is None or _in_band(verifier, similarities[place]))
            ]
            if not asked:
                continue
            answers = yield from _ask(verifier, prompt, [candidates[place] for place in asked])
            for place, answer in zip(asked, answers, strict=True):
                verdicts[place] = answer
        return verdicts


def _in_band(verifier: Verifier, similarity: float) -> bool:
    band: tuple[float, float] | None = getattr(verifier, "band", None)
    return band is None or band[0] <= similarity <= band[1]


def _ask(verifier: Verifier, prompt: str, candidates: list[str]) -> Steps[list[Verdict]]:
    answer = yield from call(_answer, _aanswer, verifier, prompt, candidates)
    if isinstance(answer, Exception):
        problem = type(answer).__name__
    elif len(answer) != len(candidates):
        problem = f"{len(answer)} verdicts for {len(candidates)} candidates"
    else:
        return answer
    # Neither the message nor the traceback, which may quote a prompt.
    _logger.warning("the verifier %s failed: %s", verifier.model_id, problem)
    failed = Verdict(accepted=False, reason=f"the verifier failed: {problem}", check="failure")
    return [failed] * len(candidates)


def _answer(verifier: Verifier, prompt: str, candidates: list[str]) -> list[Verdict] | Exception:
    try:
        return verifier.verify(prompt, candidates)
    except Exception as error:  # noqa: BLE001 - what cannot be checked is not served
        return error


async def _aanswer(
    verifier: Verifier, prompt: str, candidates: list[str]
) -> list[Verdict] | Exception:
    try:
        return await verifier.averify(prompt, candidates)
    except Exception as error:  # noqa: BLE001 - what cannot be checked is not served
        return error


_UNCHECKED = Verdict(accepted=True, reason="nothing was checked")
