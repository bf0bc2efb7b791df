"""The last word on candidates: what users reported, what the embedder reads, the verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine._steps import Steps, call
from langcache.engine.verify.base import Verdict
from langcache.engine.verify.chain import VerifierChain
from langcache.engine.verify.identity import IdentityVerifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langcache.engine.feedback import Feedback
    from langcache.engine.storage.entry import Match
    from langcache.engine.verify.base import Verifier

__all__ = ["SPARE_CANDIDATES", "Judge"]

SPARE_CANDIDATES = 4
"""How many more candidates to look at than are wanted, as the nearest may be turned down."""


class Judge:
    """Decides which candidates of a lookup may be served. It only ever takes candidates away.

    A report of a user decides first. Then a candidate is turned down if the embedder cannot tell
    its prompt from the one that was asked (see `IdentityVerifier`). Last, the verifier decides, if
    there is one; if it fails, the candidate is turned down.

    Args:
        embedder: The embedder of the prompts.
        verifier: The verifier, or None for none.
        feedback: The reports of users, or None for none.
    """

    def __init__(
        self, embedder: object, verifier: Verifier | None, feedback: Feedback | None
    ) -> None:
        identity = IdentityVerifier(embedder)
        self._chain = VerifierChain([identity] if verifier is None else [identity, verifier])
        self._feedback = feedback
        self._verifier = verifier

    @property
    def spare(self) -> int:
        """How many more candidates than wanted the first search should ask for."""
        return 0 if self._verifier is None else SPARE_CANDIDATES

    def judge(self, prompt: str, candidates: Sequence[Match]) -> Steps[list[Verdict]]:
        """Return a verdict for each candidate, in their order."""
        verdicts: list[Verdict | None] = [None] * len(candidates)
        if self._feedback is not None:
            for place, match in enumerate(candidates):
                if match.entry.prompt == prompt:
                    continue
                report = yield from self._feedback.find(prompt, match.entry.prompt)
                if report is not None:
                    verdicts[place] = _RIGHT if report.right else _WRONG
        open_places = [place for place, verdict in enumerate(verdicts) if verdict is None]
        if open_places:
            prompts = [candidates[place].entry.prompt for place in open_places]
            similarities = [candidates[place].similarity for place in open_places]
            judged = yield from call(
                self._chain.verify,
                self._chain.averify,
                prompt,
                prompts,
                similarities=similarities,
            )
            for place, verdict in zip(open_places, judged, strict=True):
                verdicts[place] = verdict
        return [verdict for verdict in verdicts if verdict is not None]


_RIGHT = Verdict(accepted=True, reason="a user reported this hit as right", check="feedback")
_WRONG = Verdict(accepted=False, reason="a user reported this hit as wrong", check="feedback")
